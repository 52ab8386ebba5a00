"""``supernet=nat``: two of Once-for-All's MobileNetV3 in one search space, as in NAT."""

from functools import partial
from typing import Unpack, final

from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3

from nas.errors import UserError
from nas.space.ofa import OfaSpace
from nas.supernet.base import PublishedOptions
from nas.supernet.checkpoint import RANDOM
from nas.supernet.ofa_mobile import MobileSubnets, MobileSupernet, elastic_stages
from nas.supernet.ofa_mobilenet import PUBLISHED
from nas.types import Architecture

WIDTHS = tuple(PUBLISHED)


@final
class Nat(MobileSupernet):
    """OFA MobileNetV3 of the widths 1.0 and 1.2, with the width as last gene (NAT, Lu et al. 2021, section 4.1).

    The two networks share no weights. ``module`` is the list of both.

    Example:
        >>> from pathlib import Path
        >>> supernet = Nat(
        ...     checkpoint="random", n_classes=10, cache=Path("cache"), resolutions=(192, 224),
        ...     dropout=0.0, drop_path=0.0, gradient_checkpointing=False, seed=0,
        ... )
        >>> supernet.space.n_genes, supernet.space.names[-1], supernet.space.widths
        (47, 'width', (1.0, 1.2))
    """

    space: OfaSpace

    def __init__(self, *, checkpoint: str | tuple[str, ...] | None = None, **options: Unpack[PublishedOptions]) -> None:
        """Build the networks and load their weights.

        Args:
            checkpoint: Paths of the weights of width 1.0 and of width 1.2; ``"random"`` for random weights; ``None``
                for the published ones.
            options: See :class:`nas.supernet.base.PublishedOptions`.

        Raises:
            UserError: If ``checkpoint`` has another number of paths than two, or a checkpoint does not fit.
        """
        self.space = elastic_stages(options["resolutions"], WIDTHS)
        builds = [partial(OFAMobileNetV3, width_mult=width) for width in WIDTHS]
        published = [PUBLISHED[width] for width in WIDTHS]
        self._take("nat", builds, _one_a_width(checkpoint), published, {**options, "checkpoint": checkpoint})

    def _of(self, architecture: Architecture) -> MobileSubnets:
        """Return the network of the architecture's width."""
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
