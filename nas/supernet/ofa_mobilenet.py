"""Once-for-All's MobileNetV3."""

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
from nas.supernet.checkpoint import Published
from nas.supernet.ofa import OFA_NETS, fingerprint, first_weights, load
from nas.supernet.ofa_costs import mobile_tables
from nas.supernet.ofa_mobile import CHOICES, DEPTHS, EXPAND_RATIOS, KERNEL_SIZES, MobileSubnets
from nas.types import Architecture, NonNegativeInt, PositiveFloat, PositiveInt, Probability

N_STAGES = 5
PUBLISHED = {
    width: Published(name=name, url=f"{OFA_NETS}{name}", sha256=None)
    for width, name in ((1.0, "ofa_mbv3_d234_e346_k357_w1.0"), (1.2, "ofa_mbv3_d234_e346_k357_w1.2"))
}
"""The weights, by width."""


@final
class OfaMobileNet(Supernet):
    """OFA MobileNetV3 of one width (Cai et al. 2020), encoded as in NSGANetV2 (Lu et al. 2020).

    Elastic depth, kernel size, expansion and resolution. ``module`` is the package's ``OFAMobileNetV3``, extracted
    networks are its ``MobileNetV3``.
    """

    space: OfaSpace

    def __init__(
        self,
        *,
        n_classes: PositiveInt,
        cache: Path,
        width: PositiveFloat,
        resolutions: tuple[PositiveInt, ...],
        checkpoint: str | None,
        dropout: Probability,
        drop_path: Probability,
        gradient_checkpointing: bool,
        seed: NonNegativeInt,
    ) -> None:
        """Build the network and load its weights.

        Args:
            n_classes: outputs of the classifier; where the checkpoint has others, the classifier stays random.
            cache: folder; the published weights are kept in it.
            width: multiplier of all channels; weights are published for 1.0 and 1.2.
            resolutions: side of the square input, pixels.
            checkpoint: path of weights; ``None`` for the published ones; ``"random"`` for none.
            dropout: probability that a feature is zeroed in training.
            drop_path: in training, the probability that a layer is dropped for an image; it grows linearly from 0 at
                the first layer to this value after the last one.
            gradient_checkpointing: whether training computes each layer a second time instead of storing what lies
                inside it.
            seed: of the random weights.

        Raises:
            UserError: if no weights are published for this width, or the checkpoint does not fit.
        """
        settings = {key: value for key, value in locals().items() if key not in {"self", "__class__", "cache"}}
        if width not in PUBLISHED:
            raise UserError(f"width is {width}; weights are published for {', '.join(map(str, PUBLISHED))}")
        self.space = OfaSpace(
            n_stages=N_STAGES,
            depths=DEPTHS,
            kernel_sizes=KERNEL_SIZES,
            expand_ratios=EXPAND_RATIOS,
            resolutions=resolutions,
            widths=(width,),
        )
        build = partial(OFAMobileNetV3, n_classes=n_classes, dropout_rate=dropout, width_mult=width, **CHOICES)
        network = first_weights(build, seed)
        weights = load(network, checkpoint, PUBLISHED[width], cache)
        self.checkpoints = (weights,)
        self.fingerprint = fingerprint("ofa_mobilenet", settings, [weights])
        self._subnets = MobileSubnets(network, drop_path, gradient_checkpointing)
        self.module: nn.Module = network

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Run an architecture in place, (n, 3, r, r) -> (n, classes)."""
        return self._subnets.forward(images, architecture.config)

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of the architecture, in eval mode, with copies of its weights."""
        return self._subnets.extract(architecture.config)

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Return the tables of ``"macs"`` and ``"params"``: exact, computed from the layers' sizes."""
        return mobile_tables(self.space, (self._subnets,), self.space.n_genes, last=None)
