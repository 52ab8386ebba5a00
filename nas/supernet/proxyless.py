"""Once-for-All's ProxylessNAS."""

from collections.abc import Mapping
from functools import partial
from typing import Unpack, final

from ofa.imagenet_classification.elastic_nn.networks import OFAProxylessNASNets

from nas.space.proxyless import ProxylessSpace
from nas.space.table import CostTable
from nas.supernet.base import PublishedOptions
from nas.supernet.checkpoint import Published
from nas.supernet.ofa import OFA_NETS
from nas.supernet.ofa_mobile import MobileSupernet, elastic_stages, mobile_tables
from nas.types import PositiveInt

WIDTH = 1.3
NAME = "ofa_proxyless_d234_e346_k357_w1.3"
PUBLISHED = Published(name=NAME, url=f"{OFA_NETS}{NAME}", sha256=None)


@final
class Proxyless(MobileSupernet):
    """OFA ProxylessNAS of width 1.3 (Cai et al. 2020; Cai et al. 2019).

    Elastic depth, kernel size, expansion and resolution; the kernel size and the expansion of one more layer.
    ``module`` is the package's ``OFAProxylessNASNets``, extracted networks are its ``ProxylessNASNets``.
    """

    space: ProxylessSpace

    def __init__(
        self,
        *,
        last_kernel_sizes: tuple[PositiveInt, ...] = (3, 5, 7),
        last_expand_ratios: tuple[PositiveInt, ...] = (3, 4, 6),
        checkpoint: str | None = None,
        **options: Unpack[PublishedOptions],
    ) -> None:
        """Build the network and load its weights.

        Args:
            last_kernel_sizes: Kernel sizes of the layer after the stages; ENCAS (Chebykin et al. 2022) keeps it at 7.
            last_expand_ratios: Expansion ratios of the layer after the stages; ENCAS keeps it at 6.
            checkpoint: Path of weights; ``None`` for the published ones; ``"random"`` for none.
            options: See :class:`nas.supernet.base.PublishedOptions`.

        Raises:
            UserError: If the last layer has choices that do not exist, or the checkpoint does not fit.
        """
        last = {"last_kernel_sizes": last_kernel_sizes, "last_expand_ratios": last_expand_ratios}
        self.space = ProxylessSpace(stages=elastic_stages(options["resolutions"], (WIDTH,)), **last)
        build = partial(OFAProxylessNASNets, width_mult=WIDTH)
        self._take("proxyless", [build], [checkpoint], [PUBLISHED], {**options, **last, "checkpoint": checkpoint})

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Return the tables of ``"macs"`` and ``"params"``: exact, computed from the layers' sizes."""
        space = self.space
        last = (
            (space.last_kernel_gene, space.last_kernel_sizes),
            (space.last_expand_gene, space.last_expand_ratios),
        )
        return mobile_tables(space.stages, self._subnets, space.n_genes, last)
