"""A package ``acme`` with a supernet and a data set of its own, as somebody who uses this project would write them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NETS = """
from nas.supernet.tiny import Tiny


class AcmeNet(Tiny):
    def __init__(self, *, n_classes: int, resolutions: tuple[int, ...], feature_width: int = 16) -> None:
        super().__init__(
            n_classes=n_classes, stem_width=8, stem_stride=1, stage_widths=(8, 16), strides=(1, 2),
            squeeze_excite=(False, True), hard_swish=(False, True), feature_width=feature_width, depths=(1, 2),
            kernel_sizes=(3,), expand_ratios=(1, 2), widths=(1.0,), resolutions=tuple(resolutions), dropout=0.0, seed=0,
        )


class Greedy(AcmeNet):
    def __init__(self, *, n_classes: int, resolutions: tuple[int, ...], dataset: object) -> None:
        super().__init__(n_classes=n_classes, resolutions=resolutions)


class Forgetful(AcmeNet):
    def __init__(self, *, n_classes: int, resolutions: tuple[int, ...]) -> None:
        super().__init__(n_classes=n_classes, resolutions=resolutions)
        del self.fingerprint


class Broken(AcmeNet):
    def __init__(self, *, n_classes: int, resolutions: tuple[int, ...]) -> None:
        raise RuntimeError("no licence")
"""

DATA = """
import itertools

from nas.dataset.base import Augmentation
from nas.dataset.digits import Digits

_count = itertools.count()


class Mine(Digits):
    def __init__(self, *, vld_size: int, resolutions: tuple[int, ...]) -> None:
        super().__init__(
            split_seed=0, vld_size=vld_size, test_size=100, mean=None, std=None, resolutions=resolutions,
            augmentation=Augmentation(shift=0.0, flip=False, cutout=0.0),
        )


class Fickle(Mine):
    def __init__(self, *, vld_size: int, resolutions: tuple[int, ...]) -> None:
        super().__init__(vld_size=vld_size, resolutions=resolutions)
        self.fingerprint = f"{next(_count)}"
"""

INIT = """
from pathlib import Path

from acme.nets import AcmeNet

Path({imported!r}).touch()
"""

SUPERNET = """
_target_: acme.AcmeNet
resolutions: ${dataset.resolutions}
"""

DATASET = """
_target_: acme.data.Mine
vld_size: 100
resolutions: [8]
"""

SEARCH = (
    "tracker=csv",
    "paths.cache=cache",
    "device=cpu",
    "training.epochs=2",
    "training.warmup_epochs=1",
    "algorithm=random",
    "algorithm.n_doe=6",
    "algorithm.iterations=0",
    "evaluator.recalibration_images=64",
    "paths.run=run",
)
"""A search on any supernet that is trained from scratch."""

OWN = ("-cd", "own", "supernet=acme", "dataset=acme")
"""What names the package's parts."""


def write_package(folder: Path) -> Path:
    """Write the package and its settings, ``own/``, into a folder; return the file that an import of it makes."""
    imported = folder / "imported"
    files = {
        "acme/__init__.py": INIT.format(imported=str(imported)),
        "acme/nets.py": NETS,
        "acme/data.py": DATA,
        "own/supernet/acme.yaml": SUPERNET,
        "own/dataset/acme.yaml": DATASET,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return imported


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Put a folder on the path that modules are imported from, and forget the package before and afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        _forget()
        try:
            yield
        finally:
            _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        del sys.modules[name]
