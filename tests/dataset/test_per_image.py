import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nas.dataset.base import Augmentation, Images
from nas.dataset.file_rows import FileRows
from nas.dataset.per_image import PerImage, policy_of, seeded
from nas.errors import RunError, UserError

MEAN = (0.2, 0.4, 0.6)
N = 40


def images(n: int = N, side: int = 12) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 3, side, side), dtype=np.uint8)
    return Images(pixels, np.zeros(n, np.int64))


def changed(seed: int = 0, **settings: float | str) -> PerImage:
    nothing = {"shift": 0.0, "flip": False, "cutout": 0.0}
    return PerImage(images=images(), augmentation=Augmentation(**nothing | settings), mean=MEAN, seed=seed)


def original(row: int) -> Tensor:
    return torch.from_numpy(images().pixels[np.array([row])][0])


def test_without_changes_images_are_only_resized() -> None:
    assert torch.equal(changed()[0, 3, 12], original(3))
    assert changed()[0, 3, 7].shape == (3, 7, 7)


@pytest.mark.parametrize(
    "settings",
    [
        {"crop": 0.3},
        {"jitter": 0.4},
        {"policy": "rand-m9-mstd0.5-inc1"},
        {"policy": "original"},
        {"policy": "augmix-m3-w3"},
        {"policy": "cifar10"},
        {"erasing": 1.0},
    ],
    ids=lambda settings: "-".join(map(str, *settings.items())),
)
def test_every_change_follows_from_seed_epoch_and_row_alone(settings: dict[str, float | str]) -> None:
    data = changed(**settings)
    first = [data[0, row, 12] for row in range(N)]
    assert {(image.shape, image.dtype) for image in first} == {((3, 12, 12), torch.uint8)}
    assert sum(not torch.equal(image, original(row)) for row, image in enumerate(first)) > N / 4
    again = changed(**settings)
    assert all(torch.equal(again[0, row, 12], first[row]) for row in reversed(range(N)))
    for other in (changed(seed=1, **settings), data):
        epoch = int(other is data)
        assert any(not torch.equal(other[epoch, row, 12], first[row]) for row in range(N))


def test_crops_are_parts_of_the_image_with_at_least_the_given_area() -> None:
    ramp = np.broadcast_to(np.arange(0, 240, 4, dtype=np.uint8), (60, 60))  # columns tell their place
    pixels = np.stack([ramp, ramp.T, ramp])[None]
    settings = Augmentation(shift=0.0, flip=False, cutout=0.0, crop=0.25)
    data = PerImage(images=Images(pixels, np.zeros(1, np.int64)), augmentation=settings, mean=MEAN, seed=0)
    spans = []
    for epoch in range(100):
        image = data[epoch, 0, 60].int()
        spans.append(
            [float(image[0, 30].max() - image[0, 30].min()), float(image[1, :, 30].max() - image[1, :, 30].min())]
        )
    areas = np.prod(np.array(spans) / 236, axis=1)
    assert 0.2 < areas.min() < 0.4
    assert 0.8 < areas.max() <= 1


def test_what_is_erased_has_the_mean_colour_and_how_often() -> None:
    data = changed(erasing=0.5)
    colour = torch.tensor([51, 102, 153])[:, None, None]
    erased = 0
    for row in range(N):
        image = data[0, row, 12]
        different = (image != original(row)).any(dim=0)
        erased += bool(different.any())
        assert (image[:, different] == colour[:, 0]).all()
    assert N / 4 < erased < 3 * N / 4


def test_files_are_cropped_in_their_own_shape(tmp_path: Path) -> None:
    wide = np.zeros((20, 100, 3), np.uint8)
    wide[:, 80:] = 255  # outside of the square in the centre
    Image.fromarray(wide).save(tmp_path / "a.png")
    rows = FileRows(root=tmp_path, paths=["a.png"], size=20)
    assert rows[:].max() == 0
    settings = Augmentation(shift=0.0, flip=False, cutout=0.0, crop=0.05)
    data = PerImage(images=Images(rows, np.zeros(1, np.int64)), augmentation=settings, mean=MEAN, seed=0)
    assert max(int(data[epoch, 0, 20].max()) for epoch in range(30)) == 255
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(RunError, match=r"a\.png cannot be read \(not an image of a known format"):
        data[0, 0, 20]


@pytest.mark.parametrize(
    "text", ["rand-m10-n9-p1-inc1", "rand-m0-n9-p1", "original", "v0", "augmix-m10", "cifar10", "svhn"]
)
def test_every_operation_of_a_policy_works(text: str) -> None:
    change = policy_of(text, 12, [0, 0, 0])
    photo = Image.fromarray(images().pixels[np.array([0])][0].transpose(1, 2, 0))
    for seed in range(60):
        with seeded(seed):
            assert change(photo).size == (12, 12)


@pytest.mark.parametrize("text", ["rand-x9", "nonsense", "", "augmix-m3-q1"])
def test_an_unknown_policy_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match=rf"^dataset\.augmentation\.policy={text} is unknown") as caught:
        policy_of(text, 8, [0, 0, 0])
    assert "\n" not in str(caught.value)


def test_global_generators_are_as_before() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    undisturbed = [draw(), draw()]
    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    found = [draw()]
    with seeded(3):
        inside = draw()
    found.append(draw())
    assert found == undisturbed
    with pytest.raises(ValueError), seeded(3):
        assert draw() == inside
        raise ValueError
