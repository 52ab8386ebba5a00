"""``pool=none``: searches that need no stored outputs."""

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from nas.errors import RunError, UserError
from nas.pool.base import Outputs, Pool, Split
from nas.types import Floats, Progress


@final
class NoPool(Pool):
    """An empty pool; whatever needs networks in it says so."""

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    architectures: tuple[Mapping[str, Any], ...] = ()
    class_names: tuple[str, ...] = ()
    fingerprint = "none"

    def __init__(self) -> None:
        """There is nothing to set."""
        self.costs: Mapping[str, Floats] = {}

    def prepare(self, progress: Progress) -> None:
        """Do nothing."""

    def outputs(self, split: Split) -> Outputs:
        """Raise UserError."""
        raise UserError("pool=none has no outputs: choose pool=runs, pool=timm or pool=files")


@final
class Specimen(Pool):
    """Two invented models without outputs; what is built on it may say what its settings lack, but not be run."""

    has_outputs = False
    names: tuple[str, ...] = ("first", "second")
    groups: tuple[str, ...] = ("specimen", "specimen")
    architectures: tuple[Mapping[str, Any], ...] = ({}, {})
    class_names: tuple[str, ...] = ("first", "second")
    splits: tuple[Split, ...] = ("validation", "test")
    fingerprint = "specimen"

    def __init__(self) -> None:
        """Know every cost that a pool may know: which of them one does know is found out when it is prepared."""
        self.failed: Mapping[str, str] = {}
        self.costs: Mapping[str, Floats] = {name: np.array([1.0, 2.0]) for name in ("flops", "params", "latency")}

    def prepare(self, progress: Progress) -> None:
        """Do nothing."""

    def outputs(self, split: Split) -> Outputs:
        """Raise RunError."""
        raise RunError("a specimen of a pool was asked for outputs: a check of settings went too far")
