"""Once-for-All's ProxylessNAS."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import final

from ofa.imagenet_classification.elastic_nn.networks import OFAProxylessNASNets
from torch import Tensor, nn

from nas.space.ofa import OfaSpace
from nas.space.proxyless import ProxylessSpace
from nas.space.table import CostTable
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import Published
from nas.supernet.ofa import OFA_NETS, fingerprint, first_weights, load
from nas.supernet.ofa_costs import mobile_tables
from nas.supernet.ofa_mobile import CHOICES, DEPTHS, EXPAND_RATIOS, KERNEL_SIZES, MobileSubnets
from nas.types import Architecture, NonNegativeInt, PositiveInt, Probability

N_STAGES = 5
WIDTH = 1.3
NAME = "ofa_proxyless_d234_e346_k357_w1.3"
PUBLISHED = Published(name=NAME, url=f"{OFA_NETS}{NAME}", sha256=None)


@final
class Proxyless(Supernet):
    """OFA ProxylessNAS of width 1.3 (Cai et al. 2020; Cai et al. 2019).

    Elastic depth, kernel size, expansion and resolution; the kernel size and the expansion of one more layer.
    ``module`` is the package's ``OFAProxylessNASNets``, extracted networks are its ``ProxylessNASNets``.
    """

    space: ProxylessSpace

    def __init__(
        self,
        *,
        n_classes: PositiveInt,
        cache: Path,
        resolutions: tuple[PositiveInt, ...],
        last_kernel_sizes: tuple[PositiveInt, ...],
        last_expand_ratios: tuple[PositiveInt, ...],
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
            resolutions: side of the square input, pixels.
            last_kernel_sizes: of the layer after the stages; ENCAS (Chebykin et al. 2022) keeps it at 7.
            last_expand_ratios: of this layer; ENCAS keeps it at 6.
            checkpoint: path of weights; ``None`` for the published ones; ``"random"`` for none.
            dropout: probability that a feature is zeroed in training.
            drop_path: in training, the probability that a layer is dropped for an image; it grows linearly from 0 at
                the first layer to this value after the last one.
            gradient_checkpointing: whether training computes each layer a second time instead of storing what lies
                inside it.
            seed: of the random weights.

        Raises:
            UserError: if the last layer has choices that do not exist, or the checkpoint does not fit.
        """
        settings = {key: value for key, value in locals().items() if key not in {"self", "__class__", "cache"}}
        stages = OfaSpace(
            n_stages=N_STAGES,
            depths=DEPTHS,
            kernel_sizes=KERNEL_SIZES,
            expand_ratios=EXPAND_RATIOS,
            resolutions=resolutions,
            widths=(WIDTH,),
        )
        self.space = ProxylessSpace(
            stages=stages, last_kernel_sizes=last_kernel_sizes, last_expand_ratios=last_expand_ratios
        )
        build = partial(OFAProxylessNASNets, n_classes=n_classes, dropout_rate=dropout, width_mult=WIDTH, **CHOICES)
        network = first_weights(build, seed)
        weights = load(network, checkpoint, PUBLISHED, cache)
        self.checkpoints = (weights,)
        self.fingerprint = fingerprint("proxyless", settings, [weights])
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
        space = self.space
        last = (
            (space.last_kernel_gene, space.last_kernel_sizes),
            (space.last_expand_gene, space.last_expand_ratios),
        )
        return mobile_tables(space.stages, (self._subnets,), space.n_genes, last)
