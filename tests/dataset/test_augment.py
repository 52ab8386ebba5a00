import numpy as np
import pytest
import torch

from nas.dataset.augment import augment, cut_mix
from nas.dataset.base import Augmentation

BLACK = torch.full((3, 1, 1), -9.0)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_shift_moves_each_image_and_fills_with_black() -> None:
    images = torch.rand(200, 3, 5, 7) + 1
    moved = augment(images, Augmentation(shift=0.2, flip=False, cutout=0.0), BLACK, generator())
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), value=-9.0)
    windows = {(i, j): padded[:, :, i : i + 5, j : j + 7] for i in range(3) for j in range(3)}
    seen = set()
    for n in range(200):
        found = [place for place, window in windows.items() if torch.equal(window[n], moved[n])]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) == 9


def test_flip_mirrors_half_of_the_images() -> None:
    images = torch.rand(400, 3, 4, 5)
    changed = augment(images, Augmentation(shift=0.0, flip=True, cutout=0.0), BLACK, generator())
    mirrored = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(changed, images, strict=True)])
    same = torch.tensor([torch.equal(a, b) for a, b in zip(changed, images, strict=True)])
    assert bool((mirrored ^ same).all())
    assert 150 < int(mirrored.sum()) < 250


def test_cutout_blanks_a_square_with_the_mean() -> None:
    images = torch.rand(100, 3, 8, 8) + 1
    changed = augment(images, Augmentation(shift=0.0, flip=False, cutout=0.25), BLACK, generator())
    hole = changed == 0
    assert torch.equal(torch.where(hole, images, changed), images)
    assert set(hole[:, 0].sum(dim=(1, 2)).tolist()) <= {1, 2, 4}
    assert int(hole[:, 0].sum(dim=(1, 2)).max()) == 4
    assert torch.equal(hole[:, 0], hole[:, 2])


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_cut_mix_pastes_rectangles_of_other_images(probability):
    n, side = 400, 8
    images = torch.arange(n).float()[:, None, None, None].expand(n, 3, side, side).contiguous()
    labels = torch.arange(n) % 4
    settings = Augmentation(shift=0.0, flip=False, cutout=0.0, cutmix=1.0, cutmix_probability=probability)
    mixed, targets = cut_mix(images, labels, 4, settings, np.random.default_rng(0))
    changed = 0
    for number, (image, target) in enumerate(zip(mixed, targets, strict=True)):
        pasted = image[0] != number
        expected = torch.eye(4)[number % 4]
        if pasted.any():
            changed += 1
            rows, columns = pasted.any(dim=1).nonzero().flatten(), pasted.any(dim=0).nonzero().flatten()
            area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
            assert int(pasted.sum()) == int(area)
            (other,) = image[0][pasted].unique().int().tolist()
            expected = torch.lerp(expected, torch.eye(4)[other % 4], pasted.float().mean())
        torch.testing.assert_close(target, expected)
    assert abs(changed / n - 0.9 * probability) < 0.1 * probability + 1e-9  # small rectangles are empty


def test_cut_mix_covers_a_uniform_share_of_the_images():
    """With alpha 1 the rectangle's area before it is cut off at the border is uniform; at the border less remains."""
    settings = Augmentation(shift=0.0, flip=False, cutout=0.0, cutmix=1.0, cutmix_probability=1.0)
    images = torch.rand(2000, 3, 32, 32)
    mixed, _ = cut_mix(images, torch.zeros(2000, dtype=torch.int64), 2, settings, np.random.default_rng(0))
    share = (mixed != images)[:, 0].float().mean(dim=(1, 2)).numpy()
    drawn = np.random.default_rng(1)
    side, centre = np.sqrt(drawn.random((1, 20000))), drawn.random((2, 20000))
    expected = np.prod(np.clip(centre + side / 2, 0, 1) - np.clip(centre - side / 2, 0, 1), axis=0)
    assert share.mean() == pytest.approx(expected.mean(), abs=0.02)
    assert share.std() == pytest.approx(expected.std(), abs=0.02)
