"""``pool=none``: no stored outputs, for searches that need none."""

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from nas.errors import RunError, UserError
from nas.pool.base import Outputs, Pool, Split
from nas.types import Floats, Progress


@final
class NoPool(Pool):
    """Empty pool; parts that need networks in it raise an error.

    Example:
        >>> from nas.pool.none import NoPool
        >>> len(NoPool().names)
        0
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    architectures: tuple[Mapping[str, Any], ...] = ()
    class_names: tuple[str, ...] = ()
    fingerprint = "none"

    def __init__(self) -> None:
        """Create the empty pool; there are no settings."""
        self.costs: Mapping[str, Floats] = {}

    def prepare(self, progress: Progress) -> None:
        """Do nothing."""

    def outputs(self, split: Split) -> Outputs:
        """Raise UserError, because there are no outputs."""
        raise UserError("pool=none has no outputs: choose pool=runs, pool=timm or pool=files")


@final
class Specimen(Pool):
    """Placeholder pool with two invented models and no outputs.

    It allows checks of the settings of parts that are built on a pool. These parts cannot be run.

    Example:
        >>> from nas.pool.none import Specimen
        >>> Specimen().names, Specimen().has_outputs
        (('first', 'second'), False)
    """

    has_outputs = False
    names: tuple[str, ...] = ("first", "second")
    groups: tuple[str, ...] = ("specimen", "specimen")
    architectures: tuple[Mapping[str, Any], ...] = ({}, {})
    class_names: tuple[str, ...] = ("first", "second")
    splits: tuple[Split, ...] = ("validation", "test")
    fingerprint = "specimen"

    def __init__(self) -> None:
        """Set every cost that a pool may know; which costs a real pool knows is only known after its preparation."""
        self.failed: Mapping[str, str] = {}
        self.costs: Mapping[str, Floats] = {name: np.array([1.0, 2.0]) for name in ("flops", "params", "latency")}

    def prepare(self, progress: Progress) -> None:
        """Do nothing."""

    def outputs(self, split: Split) -> Outputs:
        """Raise RunError, because there are no outputs."""
        raise RunError("a specimen of a pool was asked for outputs: a check of settings went too far")
