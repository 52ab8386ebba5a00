"""``supernet=proxyless``: Once-for-All's ProxylessNAS."""

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

    Depth, kernel size, expansion and resolution are elastic; so are the kernel size and expansion of one last layer.
    ``module`` is the package's ``OFAProxylessNASNets``; extracted networks are its ``ProxylessNASNets``.

    Example:
        >>> from pathlib import Path
        >>> supernet = Proxyless(
        ...     last_kernel_sizes=(7,), last_expand_ratios=(6,), checkpoint="random", n_classes=10, cache=Path("cache"),
        ...     resolutions=(192, 224), dropout=0.0, drop_path=0.0, gradient_checkpointing=False, seed=0,
        ... )
        >>> supernet.space.n_genes, supernet.space.names[-1]
        (48, 'last.expand_ratio')
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
            last_kernel_sizes: Choices of the kernel size of the layer after the stages, some of 3, 5 and 7, ascending.
                ENCAS (Chebykin et al. 2022) keeps it at 7.
            last_expand_ratios: Choices of the expansion ratio of the layer after the stages, some of 3, 4 and 6,
                ascending. ENCAS keeps it at 6.
            checkpoint: Path of the weights; ``"random"`` for random weights; ``None`` for the published ones.
            options: See :class:`nas.supernet.base.PublishedOptions`.

        Raises:
            UserError: If a choice of the last layer is none of the stages' choices, or the checkpoint does not fit.
        """
        last = {"last_kernel_sizes": last_kernel_sizes, "last_expand_ratios": last_expand_ratios}
        self.space = ProxylessSpace(stages=elastic_stages(options["resolutions"], (WIDTH,)), **last)
        build = partial(OFAProxylessNASNets, width_mult=WIDTH)
        self._take("proxyless", [build], [checkpoint], [PUBLISHED], {**options, **last, "checkpoint": checkpoint})

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Return the exact tables ``"macs"`` and ``"params"``, computed from the layer sizes."""
        space = self.space
        last = (
            (space.last_kernel_gene, space.last_kernel_sizes),
            (space.last_expand_gene, space.last_expand_ratios),
        )
        return mobile_tables(space.stages, self._subnets, space.n_genes, last)
