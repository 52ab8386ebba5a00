"""Two of Once-for-All's MobileNetV3 as one space, as NAT searches them."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import final

from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
from torch import Tensor, nn

from nas.errors import UserError
from nas.space.ofa import OfaSpace
from nas.space.table import CostTable
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import RANDOM
from nas.supernet.ofa import fingerprint, first_weights, load
from nas.supernet.ofa_costs import mobile_tables
from nas.supernet.ofa_mobile import CHOICES, DEPTHS, EXPAND_RATIOS, KERNEL_SIZES, MobileSubnets
from nas.supernet.ofa_mobilenet import N_STAGES, PUBLISHED
from nas.types import Architecture, NonNegativeInt, PositiveInt, Probability

WIDTHS = tuple(PUBLISHED)


@final
class Nat(Supernet):
    """OFA MobileNetV3 of the widths 1.0 and 1.2, the width as last gene (NAT, Lu et al. 2021, section 4.1).

    The two networks share no weights. ``module`` lists them.
    """

    space: OfaSpace

    def __init__(
        self,
        *,
        n_classes: PositiveInt,
        cache: Path,
        resolutions: tuple[PositiveInt, ...],
        checkpoint: str | tuple[str, ...] | None,
        dropout: Probability,
        drop_path: Probability,
        gradient_checkpointing: bool,
        seed: NonNegativeInt,
    ) -> None:
        """Build the networks and load their weights.

        Args:
            n_classes: outputs of the classifiers; where a checkpoint has others, its classifier stays random.
            cache: folder; the published weights are kept in it.
            resolutions: side of the square input, pixels.
            checkpoint: paths of the weights of width 1.0 and of width 1.2; ``None`` for the published ones;
                ``"random"`` for none.
            dropout: probability that a feature is zeroed in training.
            drop_path: in training, the probability that a layer is dropped for an image; it grows linearly from 0 at
                the first layer to this value after the last one.
            gradient_checkpointing: whether training computes each layer a second time instead of storing what lies
                inside it.
            seed: of the random weights.

        Raises:
            UserError: if there are not two checkpoints, or one does not fit.
        """
        settings = {key: value for key, value in locals().items() if key not in {"self", "__class__", "cache"}}
        self.space = OfaSpace(
            n_stages=N_STAGES,
            depths=DEPTHS,
            kernel_sizes=KERNEL_SIZES,
            expand_ratios=EXPAND_RATIOS,
            resolutions=resolutions,
            widths=WIDTHS,
        )
        build = partial(OFAMobileNetV3, n_classes=n_classes, dropout_rate=dropout, **CHOICES)
        networks = [first_weights(partial(build, width_mult=width), seed) for width in WIDTHS]
        weights = [
            load(network, path, PUBLISHED[width], cache)
            for network, path, width in zip(networks, _one_a_width(checkpoint), WIDTHS, strict=True)
        ]
        self.checkpoints = tuple(weights)
        self.fingerprint = fingerprint("nat", settings, weights)
        self._subnets = tuple(MobileSubnets(network, drop_path, gradient_checkpointing) for network in networks)
        self.module: nn.Module = nn.ModuleList(networks).eval()

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Run an architecture in place, (n, 3, r, r) -> (n, classes)."""
        return self._of(architecture).forward(images, architecture.config)

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of the architecture, in eval mode, with copies of its weights."""
        return self._of(architecture).extract(architecture.config)

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Return the tables of ``"macs"`` and ``"params"``: exact, computed from the layers' sizes."""
        return mobile_tables(self.space, self._subnets, self.space.n_genes, last=None)

    def _of(self, architecture: Architecture) -> MobileSubnets:
        return self._subnets[WIDTHS.index(architecture.config["w"])]


def _one_a_width(checkpoint: str | tuple[str, ...] | None) -> tuple[str | None, ...]:
    if checkpoint is None or checkpoint == RANDOM:
        return (checkpoint,) * len(WIDTHS)
    if isinstance(checkpoint, str) or len(checkpoint) != len(WIDTHS):
        raise UserError(
            f"supernet.checkpoint must be {len(WIDTHS)} files, of the widths {' and '.join(map(str, WIDTHS))}, "
            f"null for the published weights, or {RANDOM}"
        )
    return tuple(checkpoint)
