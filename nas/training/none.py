"""No training: the supernet keeps its weights."""

from functools import cached_property
from typing import final

from nas.supernet.base import Supernet
from nas.supernet.checkpoint import weights_digest
from nas.training.base import Training
from nas.types import Progress


@final
class NoTraining(Training):
    """Training that leaves the supernet's weights unchanged, either published or random ones.

    Example:
        >>> from nas.supernet.tiny import Tiny
        >>> from nas.training.none import NoTraining
        >>> sizes = dict(stem_width=8, stem_stride=1, stage_widths=(8,), strides=(1,), feature_width=16, widths=(1.0,))
        >>> choices = dict(depths=(1, 2), kernel_sizes=(3,), expand_ratios=(1, 2), resolutions=(8,), dropout=0.0)
        >>> supernet = Tiny(n_classes=10, squeeze_excite=(False,), hard_swish=(False,), seed=0, **sizes, **choices)
        >>> training = NoTraining(supernet=supernet)
        >>> training.moves, len(training.weights)
        (False, 64)
    """

    def __init__(self, *, supernet: Supernet) -> None:
        """Store the supernet.

        Args:
            supernet: Supernet whose weights stay unchanged.
        """
        self._supernet = supernet

    def prepare(self, progress: Progress) -> None:
        """Do nothing."""

    @cached_property
    def weights(self) -> str | None:
        """Digest of the supernet's weights; ``None`` if it has no weights."""
        weights = self._supernet.module.state_dict()
        return weights_digest(weights) if weights else None
