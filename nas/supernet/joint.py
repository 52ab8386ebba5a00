"""``supernet=[a,b]``: several supernets in one search, for cascades with one network from each."""

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
"""Key of an architecture's configuration that names its supernet."""


@final
class JointSupernet(Supernet):
    """Several named supernets, which share only the data.

    The architectures of ``space`` are cascades of one network from each supernet. Training uses ``members``.
    ``forward`` and ``extract`` take an architecture of a single supernet, whose configuration names that supernet, see
    :func:`of_supernet`.

    Attributes:
        members: Supernets by name.

    Example:
        >>> from nas.supernet.tiny import Tiny
        >>> sizes = dict(n_classes=10, stem_width=8, stem_stride=1, stage_widths=(8,), strides=(1,), feature_width=32)
        >>> sizes |= dict(squeeze_excite=(False,), hard_swish=(False,), depths=(1, 2), kernel_sizes=(3,))
        >>> sizes |= dict(expand_ratios=(2,), widths=(1.0,), resolutions=(8, 16), dropout=0.0)
        >>> joint = JointSupernet(members={"a": Tiny(seed=0, **sizes), "b": Tiny(seed=1, **sizes)})
        >>> sorted(joint.space.decode(joint.space.smallest).config)
        ['a', 'b']
    """

    space: JointSpace

    def __init__(self, *, members: Mapping[str, Supernet]) -> None:
        """Join supernets.

        Args:
            members: Supernets by name; their classifiers have the same outputs.

        Raises:
            UserError: If there are fewer than two supernets.
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
        """Run a network with the weights of the supernet that its configuration names, (n, 3, r, r) -> (n, classes)."""
        return self._of(architecture).forward(images, architecture)

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of one supernet, in eval mode, with copies of its weights."""
        return self._of(architecture).extract(architecture)

    def _of(self, architecture: Architecture) -> Supernet:
        """Return the supernet that an architecture names; raise UserError for a cascade, which uses all supernets."""
        if SUPERNET in architecture.config:
            return self.members[architecture.config[SUPERNET]]
        raise UserError(
            "several supernets have no network in common: choose algorithm=encas_joint, which searches cascades of "
            "theirs, or a single supernet"
        )

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Return the tables ``"params"``, the sum over all networks of a cascade, and ``"each_macs"``.

        There is no table ``"macs"``: the multiply-adds of a cascade depend on how many images run each network.
        """
        return {
            key: MemberTables(self.space, [each.costs()[own] for each in self.members.values()])
            for key, own in (("params", "params"), (EACH_MACS, "macs"))
        }


def of_supernet(name: str, architecture: Architecture) -> Architecture:
    """Return the architecture with the name of its supernet added to its configuration, as pools name it.

    Example:
        >>> of_supernet("alphanet", Architecture((0, 1), {"r": 224})).config
        {'r': 224, 'supernet': 'alphanet'}
    """
    return Architecture(architecture.genome, {**architecture.config, SUPERNET: name})
