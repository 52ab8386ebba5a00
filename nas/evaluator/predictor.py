"""Evaluator that replaces images by a published accuracy predictor, to study search methods in seconds."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import nn

from nas.errors import UserError
from nas.evaluator.base import ArrayEvaluator
from nas.space.base import SearchSpace
from nas.space.ofa import DEPTHS, EXPAND_RATIOS, KERNEL_SIZES, N_STAGES, OfaSpace
from nas.space.table import CostTable
from nas.supernet.checkpoint import Published, locate, read_state_dict
from nas.types import MILLION, Architecture, Floats, Genomes

PUBLISHED = Published(
    name="ofa_mbv3_acc_predictor.pth",
    url="https://raw.githubusercontent.com/han-cai/files/master/ofa/acc_predictor.pth",
    sha256=None,
)
RESOLUTIONS = tuple(range(112, 225, 16))
MAX_DEPTH = max(DEPTHS)
HIDDEN = 400


@final
class PredictorEvaluator(ArrayEvaluator):
    """Evaluator with the ImageNet top-1 accuracy predictor of Once-for-All's MobileNetV3 (Cai et al. 2020).

    The predictor is a network with three hidden layers and 128 input features. For each of the 20 layers, kernel size
    and expansion ratio are one-hot encoded over three choices; both are zero if the layer is absent. The resolution is
    one-hot encoded over eight choices. Validation and test results are the same, and the supernet's weights do not
    matter.

    Example:
        >>> from nas.evaluator.predictor import RESOLUTIONS, PredictorEvaluator
        >>> RESOLUTIONS[0], RESOLUTIONS[-1], PredictorEvaluator.runs_networks
        (112, 224, False)
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        tables: Mapping[str, CostTable],
        cache: Path,
        checkpoint: str | None = None,
    ) -> None:
        """Load the predictor.

        Args:
            space: Search space of OFA's MobileNetV3.
            tables: Cost tables by name, see :meth:`nas.supernet.base.Supernet.costs`.
            cache: Cache folder; the downloaded predictor is stored in its subfolder ``checkpoints/``.
            checkpoint: Path of the predictor's weights; ``None`` downloads the published weights.

        Raises:
            UserError: If the predictor does not know this search space, or the file holds another model.
        """
        self._check(space)
        path = locate(checkpoint, PUBLISHED, cache)
        if path is None:
            raise UserError("evaluator.checkpoint=random predicts nothing: give a path, or null for the published file")

        state = read_state_dict(path)
        width = 2 * N_STAGES * MAX_DEPTH * len(KERNEL_SIZES) + len(RESOLUTIONS)
        sizes = (width, HIDDEN, HIDDEN, HIDDEN, 1)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self._model = nn.Sequential(*layers[:-1])
        try:
            self._model.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"evaluator.checkpoint={path} is not OFA's accuracy predictor: {reason}") from error
        self._space, self._tables = space, tables

    @staticmethod
    def _check(space: SearchSpace) -> None:
        if not isinstance(space, OfaSpace) or (space.n_stages, space.max_depth) != (N_STAGES, MAX_DEPTH):
            raise UserError("evaluator=predictor knows OFA's MobileNetV3 alone: use supernet=ofa_w12 or ofa_w10")
        for name, known in (
            ("kernel_sizes", KERNEL_SIZES),
            ("expand_ratios", EXPAND_RATIOS),
            ("resolutions", RESOLUTIONS),
        ):
            for choice in getattr(space, name):
                if choice not in known:
                    raise UserError(
                        f"evaluator=predictor does not know supernet.{name} {choice}; "
                        f"choices are {', '.join(map(str, known))}"
                    )

    @torch.no_grad()
    def measure(self, genomes: Genomes, split: str) -> Sequence[Mapping[str, float]]:
        """Return ``top1`` (percent), ``flops`` and ``params`` (both in millions); all splits give the same values."""
        rows = np.stack([features(self._space.decode(genome)) for genome in genomes])
        with _one_thread():  # on some processors the last digits depend on the number of threads
            top1 = 100 * self._model(torch.from_numpy(rows)).double().numpy()[:, 0]
        found = {
            "top1": top1,
            "flops": self._tables["macs"](genomes) / MILLION,
            "params": self._tables["params"](genomes) / MILLION,
        }
        return [dict(zip(found, values, strict=True)) for values in np.column_stack(list(found.values())).tolist()]


@contextmanager
def _one_thread() -> Iterator[None]:
    number = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(number)


def features(architecture: Architecture) -> Floats:
    """Return the predictor's input for an architecture, shape (128,), float32.

    Entries are 1 for the choices of the architecture and 0 elsewhere.

    Example:
        >>> from nas.evaluator.predictor import features
        >>> from nas.space.ofa import OfaSpace
        >>> choices = {"depths": (2, 3, 4), "kernel_sizes": (3, 5, 7), "expand_ratios": (3, 4, 6), "widths": (1.2,)}
        >>> space = OfaSpace(n_stages=5, resolutions=(160, 224), **choices)
        >>> float(features(space.decode(space.largest)).sum())  # 20 kernel sizes, 20 expansion ratios, 1 resolution
        41.0
    """
    config = architecture.config
    layers = [(s, i) for s, depth in enumerate(config["d"]) for i in range(depth)]
    chosen = np.zeros((2, N_STAGES * MAX_DEPTH, len(KERNEL_SIZES)), dtype=np.float32)
    for (stage, layer), kernel, expand in zip(layers, config["ks"], config["e"], strict=True):
        chosen[0, MAX_DEPTH * stage + layer, KERNEL_SIZES.index(kernel)] = 1
        chosen[1, MAX_DEPTH * stage + layer, EXPAND_RATIOS.index(expand)] = 1
    side = np.zeros(len(RESOLUTIONS), dtype=np.float32)
    side[RESOLUTIONS.index(config["r"])] = 1
    result: Floats = np.concatenate([chosen.ravel(), side])
    return result
