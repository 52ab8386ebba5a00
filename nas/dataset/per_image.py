"""Augmentation of single images with torchvision and timm."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from nas.dataset.base import Augmentation, Images
from nas.dataset.decoding import centre_square
from nas.dataset.file_rows import FileRows
from nas.dataset.summary import Channels
from nas.errors import UserError
from nas.seeding import rng_for

RATIO = (3 / 4, 4 / 3)
"""Smallest and largest ratio of width to height of a random crop."""
SMALLEST = 0.01
"""Smallest share of a photo's area whose crop keeps full detail. Smaller crops may be enlarged from a reduced scale."""
TRANSLATION = 0.45
"""Largest translation by a policy, as a share of the side; the value of timm."""
AUTO_AUGMENT = ("cifar10", "svhn")
"""Policies that torchvision has and timm lacks."""

Draw = tuple[int, int, int]
"""Epoch, row in the split, and side of the result in pixels."""

Change = Callable[[Image.Image], Image.Image]


@final
class PerImage(torch.utils.data.Dataset[Tensor]):
    """Augmented training images. The random numbers of an image depend only on the seed, the epoch and its row.

    Example:
        >>> import numpy as np
        >>> from nas.dataset.base import Augmentation, Images
        >>> from nas.dataset.per_image import PerImage
        >>> images = Images(np.zeros((5, 3, 8, 8), dtype=np.uint8), np.zeros(5, dtype=np.int64))
        >>> augmentation = Augmentation(shift=0.0, flip=False, cutout=0.0, crop=0.5)
        >>> epoch, row, side = 0, 3, 6
        >>> PerImage(images=images, augmentation=augmentation, mean=(0.5, 0.5, 0.5), seed=0)[epoch, row, side].shape
        torch.Size([3, 6, 6])
    """

    def __init__(self, *, images: Images, augmentation: Augmentation, mean: Channels, seed: int) -> None:
        """Wrap a split.

        Args:
            images: Images of the split, in memory or in files.
            augmentation: Augmentation; only its changes of single images are applied.
            mean: Mean color of pixels scaled to 0..1; it fills uncovered and erased areas.
            seed: Seed of all random changes.
        """
        self._images = images
        self._augmentation = augmentation
        self._colour = [round(255 * value) for value in mean]
        self._seed = seed
        self._changes: dict[int, list[Change]] = {}

    def __getitem__(self, draw: Draw) -> Tensor:
        """Return one augmented image, shape (3, side, side), uint8."""
        from torchvision.transforms import v2

        epoch, row, side = draw
        pixels = self._images.pixels
        if isinstance(pixels, FileRows):
            photo = pixels.photo(row, round(side / max(self._augmentation.crop, SMALLEST) ** 0.5))
        else:
            photo = Image.fromarray(pixels[np.array([row])][0].transpose(1, 2, 0))
        with seeded(int(rng_for(self._seed, epoch, f"image {row}").integers(2**32))):
            photo = self._cropped(photo, side)
            for change in self._changes_at(side):
                photo = change(photo)
            result = torch.from_numpy(np.array(photo)).permute(2, 0, 1).contiguous()
            if self._augmentation.erasing:
                result = v2.RandomErasing(self._augmentation.erasing, value=self._colour)(result)
        return result

    def _cropped(self, photo: Image.Image, side: int) -> Image.Image:
        from torchvision.transforms import RandomResizedCrop

        if self._augmentation.crop == 1:
            return centre_square(photo, side)
        frame = torch.empty(3, photo.height, photo.width, device="meta")
        area = [self._augmentation.crop, 1.0]
        top, left, height, width = RandomResizedCrop.get_params(frame, area, list(RATIO))
        box = (left, top, left + width, top + height)
        return photo.resize((side, side), Image.Resampling.BILINEAR, box=box)

    def _changes_at(self, side: int) -> list[Change]:
        from torchvision.transforms import v2

        if side not in self._changes:
            jitter, policy = self._augmentation.jitter, self._augmentation.policy
            changes: list[Change] = []
            if jitter:
                changes.append(v2.ColorJitter(jitter, jitter, jitter))
            if policy is not None:
                changes.append(policy_of(policy, side, self._colour))
            self._changes[side] = changes
        return self._changes[side]


def policy_of(text: str, side: int, colour: list[int]) -> Change:
    """Return the augmentation policy with this name, from timm or torchvision.

    Args:
        text: Name of the policy in timm's notation, for example ``"rand-m9-mstd0.5-inc1"``. ``"cifar10"`` and
            ``"svhn"`` are the policies that AutoAugment (Cubuk et al., CVPR 2019) found for these data sets, from
            torchvision.
        side: Side of the images in pixels.
        colour: Red, green and blue, 0 to 255; they fill uncovered areas.

    Raises:
        UserError: If neither timm nor torchvision has the policy.
    """
    from timm.data import auto_augment
    from torchvision.transforms import AutoAugment, AutoAugmentPolicy

    if text in AUTO_AUGMENT:
        found: Change = AutoAugment(AutoAugmentPolicy(text), fill=[float(value) for value in colour])
        return found
    make = {"rand": auto_augment.rand_augment_transform, "augmix": auto_augment.augment_and_mix_transform}
    settings = {"translate_const": int(TRANSLATION * side), "img_mean": tuple(colour)}
    try:
        change: Change = make.get(text.partition("-")[0], auto_augment.auto_augment_transform)(text, settings)
    except (AssertionError, ValueError, KeyError) as error:
        raise UserError(
            f"dataset.augmentation.policy={text} is unknown ({error}); timm's policies are rand-m9-mstd0.5-inc1, "
            f"original, v0, 3a, augmix-m3-w3 and the like, torchvision's {' and '.join(AUTO_AUGMENT)}"
        ) from error
    parts: Any = change
    for operation in parts.ops if hasattr(parts, "ops") else [part for several in parts.policy for part in several]:
        if operation.aug_fn is auto_augment.posterize:
            operation.aug_fn = _posterized
    return change


def _posterized(image: Image.Image, bits: int, **_: object) -> Image.Image:
    """Keep the upper ``bits`` of each color, at least one. timm also requests zero bits, which Pillow refuses."""
    return image if bits >= 8 else ImageOps.posterize(image, max(1, bits))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global random generators, which libraries draw from, and restore their states afterwards.

    Args:
        seed: Seed, 0 to 2**32 - 1.

    Example:
        >>> import random
        >>> from nas.dataset.per_image import seeded
        >>> with seeded(3):
        ...     first = random.random()
        >>> with seeded(3):
        ...     random.random() == first
        True
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPU's generators
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
