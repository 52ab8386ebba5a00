"""``supernet=[a,b]``: several supernets that are searched together, for cascades of one network from each."""

import hashlib
import json
from collections.abc import Mapping
from typing import final

from torch import Tensor, nn

from nas.errors import UserError
from nas.space.joint import EACH_MACS, JointSpace, MemberTables
from nas.space.table import CostTable
from nas.supernet.base import Supernet
from nas.types import Architecture

SUPERNET = "supernet"
"""The key of an architecture's configuration that names its supernet."""


@final
class JointSupernet(Supernet):
    """Supernets by name; they share nothing but the data.

    Its architectures are cascades; what trains asks ``members``. What it runs and cuts out are networks of one supernet
    each, which their configuration names, see :func:`of_supernet`.

    Attributes:
        members: The supernets.
    """

    space: JointSpace

    def __init__(self, *, members: Mapping[str, Supernet]) -> None:
        """Take the supernets.

        Args:
            members: The supernets by name, their classifiers with the same outputs.

        Raises:
            UserError: If there are fewer than two.
        """
        if len(members) < 2:
            raise UserError(f"supernet=[{','.join(members)}] is too few: a cascade needs two supernets or more")
        self.members = members
        self.space = JointSpace({name: each.space for name, each in self.members.items()})
        self.module = nn.ModuleDict({name: each.module for name, each in self.members.items()})
        self.trained = all(each.trained for each in self.members.values())
        self.checkpoints = tuple(digest for each in self.members.values() for digest in each.checkpoints)
        self.fingerprint = hashlib.sha256(
            json.dumps([[name, each.fingerprint] for name, each in self.members.items()]).encode()
        ).hexdigest()

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Run a network of one supernet in place, (n, 3, r, r) -> (n, classes); its configuration says which."""
        return self._of(architecture).forward(images, architecture)

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of one supernet, in eval mode, with copies of its weights."""
        return self._of(architecture).extract(architecture)

    def _of(self, architecture: Architecture) -> Supernet:
        """Return the supernet that an architecture names; UserError for a cascade, which has networks of all."""
        if SUPERNET in architecture.config:
            return self.members[architecture.config[SUPERNET]]
        raise UserError(
            "several supernets have no network in common: choose algorithm=encas_joint, which searches cascades of "
            "theirs, or a single supernet"
        )

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Return ``"params"`` of all networks of a cascade together, and ``"each_macs"``; there are no ``"macs"``."""
        return {
            key: MemberTables(self.space, [each.costs()[own] for each in self.members.values()])
            for key, own in (("params", "params"), (EACH_MACS, "macs"))
        }


def of_supernet(name: str, architecture: Architecture) -> Architecture:
    """Return an architecture that says which supernet it is of, as pools name it."""
    return Architecture(architecture.genome, {**architecture.config, SUPERNET: name})
