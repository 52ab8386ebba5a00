"""``supernet=none``: placeholder for search spaces whose results are in tables."""

from collections.abc import Mapping
from typing import NoReturn, final

from torch import Tensor, nn

from nas.errors import UserError
from nas.space.table import CostTable
from nas.supernet.base import Supernet
from nas.types import Architecture


@final
class NoSupernet(Supernet):
    """Placeholder for the supernet of a search space that needs no networks.

    Every request for a network raises UserError.

    Example:
        >>> supernet = NoSupernet()
        >>> supernet.fingerprint
        'none'
        >>> len(supernet.module.state_dict())
        0
    """

    fingerprint = "none"

    def __init__(self) -> None:
        """Create the placeholder; it has no settings."""
        self.module = nn.Module()

    def __getattr__(self, name: str) -> NoReturn:
        """Raise UserError for ``space``, which other supernets have, and AttributeError for other missing names."""
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
