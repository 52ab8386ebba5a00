import numpy as np
import torch

from nas.finetuning.erasing import erase

N, SIDE = 400, 32


def erased(probability: float, part: slice = slice(0, N)) -> torch.Tensor:
    images = torch.full((N, 3, SIDE, SIDE), 7.0)
    return erase(images[part], probability, part, N, np.random.default_rng(1))


def test_some_images_get_a_rectangle_of_noise():
    result = erased(0.25)
    changed = (result != 7).all(dim=1)
    chosen = changed.flatten(1).any(dim=1)
    assert 0.18 < chosen.float().mean() < 0.32
    for mask in changed[chosen]:
        rows, columns = mask.any(dim=1), mask.any(dim=0)
        assert torch.equal(mask, rows[:, None] & columns[None])
        height, width = int(rows.sum()), int(columns.sum())
        assert rows.nonzero().diff(dim=0).eq(1).all()
        assert columns.nonzero().diff(dim=0).eq(1).all()
        assert 0.01 * SIDE**2 < height * width < 0.37 * SIDE**2
        assert 0.25 < height / width < 4
    noise = result[result != 7]
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.02


def test_processes_draw_the_same():
    whole = erased(0.5)
    parts = [erased(0.5, part) for part in (slice(0, 150), slice(150, N))]
    assert torch.equal(torch.cat(parts), whole)


def test_none_at_all():
    images = torch.ones(4, 3, 8, 8)
    assert erase(images, 0.0, slice(0, 4), 4, np.random.default_rng(0)) is images
    assert torch.equal(images, torch.ones(4, 3, 8, 8))
