"""``supernet=ofa_w10`` and ``supernet=ofa_w12``: Once-for-All's MobileNetV3."""

from functools import partial
from typing import Unpack, final

from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3

from nas.errors import UserError
from nas.space.ofa import OfaSpace
from nas.supernet.base import PublishedOptions
from nas.supernet.checkpoint import Published
from nas.supernet.ofa import OFA_NETS
from nas.supernet.ofa_mobile import MobileSupernet, elastic_stages
from nas.types import PositiveFloat

PUBLISHED = {
    width: Published(name=name, url=f"{OFA_NETS}{name}", sha256=None)
    for width, name in ((1.0, "ofa_mbv3_d234_e346_k357_w1.0"), (1.2, "ofa_mbv3_d234_e346_k357_w1.2"))
}
"""Published weights by width."""


@final
class OfaMobileNet(MobileSupernet):
    """OFA MobileNetV3 of one width (Cai et al. 2020), encoded as in NSGANetV2 (Lu et al. 2020).

    Depth, kernel size, expansion and resolution are elastic. ``module`` is the package's ``OFAMobileNetV3``; extracted
    networks are its ``MobileNetV3``.

    Example:
        >>> from pathlib import Path
        >>> supernet = OfaMobileNet(
        ...     width=1.0, checkpoint="random", n_classes=10, cache=Path("cache"), resolutions=(192, 224),
        ...     dropout=0.0, drop_path=0.0, gradient_checkpointing=False, seed=0,
        ... )
        >>> supernet.space.n_genes, supernet.checkpoints
        (46, ('random',))
        >>> int(supernet.costs()["macs"](supernet.space.largest[None])[0])
        564903456
    """

    space: OfaSpace

    def __init__(
        self, *, width: PositiveFloat, checkpoint: str | None = None, **options: Unpack[PublishedOptions]
    ) -> None:
        """Build the network and load its weights.

        Args:
            width: Multiplier of all channels, 1.0 or 1.2, the widths with published weights.
            checkpoint: Path of the weights; ``"random"`` for random weights; ``None`` for the published ones.
            options: See :class:`nas.supernet.base.PublishedOptions`.

        Raises:
            UserError: If no weights are published for this width, or the checkpoint does not fit.
        """
        if width not in PUBLISHED:
            raise UserError(f"width is {width}; weights are published for {', '.join(map(str, PUBLISHED))}")
        self.space = elastic_stages(options["resolutions"], (width,))
        build = partial(OFAMobileNetV3, width_mult=width)
        settings = {**options, "width": width, "checkpoint": checkpoint}
        self._take("ofa_mobilenet", [build], [checkpoint], [PUBLISHED[width]], settings)
