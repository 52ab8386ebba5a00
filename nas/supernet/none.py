"""No network at all, where the search space has results in tables."""

from collections.abc import Mapping
from typing import NoReturn, final

from torch import Tensor, nn

from nas.errors import UserError
from nas.space.table import CostTable
from nas.supernet.base import Supernet
from nas.types import Architecture


@final
class NoSupernet(Supernet):
    """Stands where a search space needs no networks; whatever asks for one is told so."""

    fingerprint = "none"

    def __init__(self) -> None:
        """There is nothing to set."""
        self.module = nn.Module()

    def __getattr__(self, name: str) -> NoReturn:
        """Raise UserError for what a supernet has and this has not."""
        if name == "space":
            raise _nothing()
        raise AttributeError(name)

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Raise UserError."""
        raise _nothing()

    def extract(self, architecture: Architecture) -> nn.Module:
        """Raise UserError."""
        raise _nothing()

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Raise UserError."""
        raise _nothing()


def _nothing() -> UserError:
    return UserError("supernet=none has no networks: choose a supernet; only a search in space=nasbench201 needs none")
