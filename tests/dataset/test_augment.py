import torch

from nas.dataset.augment import augment
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
