"""``pool=none``: searches that need no stored outputs."""

from collections.abc import Mapping
from typing import Any, final

from nas.errors import UserError
from nas.pool.base import Outputs, Pool, Progress, Split
from nas.types import Floats


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
