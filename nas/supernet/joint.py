"""``supernet=[a,b]``: several supernets that are searched together, for cascades of one network from each."""

import hashlib
import json
from collections.abc import Mapping
from typing import NoReturn, cast, final

from torch import Tensor, nn

from nas.errors import UserError
from nas.space.joint import EACH_MACS, MemberTables, ProductSpace
from nas.space.table import AdditiveTable
from nas.supernet.base import Supernet
from nas.types import Architecture

SUPERNET = "supernet"
"""The key of an architecture's configuration that names its supernet."""


@final
class Several(Supernet):
    """Supernets by name; they share nothing but the data.

    Its architectures are cascades, and no network of one supernet: what trains or measures networks asks ``members``.

    Attributes:
        members: the supernets.
    """

    space: ProductSpace

    def __init__(self, *, members: Mapping[str, Supernet]) -> None:
        """Take the supernets.

        Args:
            members: the supernets by name, their classifiers with the same outputs.

        Raises:
            UserError: if there are fewer than two.
        """
        if len(members) < 2:
            raise UserError(f"supernet=[{','.join(members)}] is too few: a cascade needs two supernets or more")
        self.members = members
        self.space = ProductSpace({name: each.space for name, each in self.members.items()})
        self.module = nn.ModuleDict({name: each.module for name, each in self.members.items()})
        self.trained = all(each.trained for each in self.members.values())
        self.checkpoints = tuple(digest for each in self.members.values() for digest in each.checkpoints)
        self.fingerprint = hashlib.sha256(
            json.dumps([[name, each.fingerprint] for name, each in self.members.items()]).encode()
        ).hexdigest()

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Raise UserError."""
        _single()

    def extract(self, architecture: Architecture) -> nn.Module:
        """Raise UserError."""
        _single()

    def _cost_tables(self) -> Mapping[str, AdditiveTable]:
        """Return ``"params"`` of all networks of a cascade together, and ``"each_macs"``; there are no ``"macs"``."""
        tables = {
            key: MemberTables(self.space, [each.costs()[own] for each in self.members.values()])
            for key, own in (("params", "params"), (EACH_MACS, "macs"))
        }
        return cast("Mapping[str, AdditiveTable]", tables)  # calls and parts are all that is asked of a table


def _single() -> NoReturn:
    raise UserError(
        "several supernets have no network in common: choose algorithm=encas_joint, which searches cascades of theirs, "
        "or a single supernet"
    )


@final
class Networks(Supernet):
    """The networks of several supernets as those of one; an architecture says which supernet it is of."""

    def __init__(self, several: Several) -> None:
        """Take the supernets."""
        self._members = several.members
        self.module, self.fingerprint, self.trained = several.module, several.fingerprint, several.trained

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Run an architecture in place, (n, 3, r, r) -> (n, classes)."""
        return self._of(architecture).forward(images, architecture)

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of the architecture, in eval mode, with copies of its weights."""
        return self._of(architecture).extract(architecture)

    def _cost_tables(self) -> Mapping[str, AdditiveTable]:
        """Return nothing: each supernet has tables of its own."""
        return {}

    def _of(self, architecture: Architecture) -> Supernet:
        return self._members[architecture.config[SUPERNET]]


def of_supernet(name: str, architecture: Architecture) -> Architecture:
    """Return an architecture that says which supernet it is of, for :class:`Networks`."""
    return Architecture(architecture.genome, {**architecture.config, SUPERNET: name})
