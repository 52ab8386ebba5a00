"""Evaluation of a batch into files, so that measurements survive a killed process."""

import logging
import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.files import read_sealed, sealed, write_json, write_text
from nas.types import Architecture, Evaluation

log = logging.getLogger(__name__)

Evaluate = Callable[[Sequence[Architecture]], Iterator[tuple[int, Evaluation]]]
"""Evaluates architectures; yields the position and the result of each as soon as it is known."""

Finished = Callable[[int, int, int], None]
"""Told after each evaluation: how many are finished, of how many, and how many of those failed."""


class BatchFolder:
    """Folder with ``net_<i>.subnet`` and ``net_<i>.stats`` files in the layout of NSGANetV2's tool.

    A ``.stats`` file holds the tool's keys (``params``, ``flops``, ``gpu``, ``cpu``, ``loss``, ``top1``,
    ``top5``), the genome, the digest of the weights and a checksum. Architectures with a file are not evaluated again.
    """

    def __init__(self, path: Path, failed: Path, label: str, weights: str | None) -> None:
        """Name the places.

        Args:
            path: Folder of architectures and measurements.
            failed: Folder of architectures that failed, with their tracebacks.
            label: Beginning of their file names, for example ``"it_3"``.
            weights: Digest of the weights that the measurements are of.
        """
        self._path = path
        self._failed = failed
        self._label = label
        self._weights = weights

    def evaluate(
        self, architectures: Mapping[int, Architecture], evaluate: Evaluate, finished: Finished
    ) -> dict[int, Evaluation]:
        """Evaluate architectures by their index in the batch and return the evaluations by index."""
        results = dict(self._stored(architectures))
        missing = [index for index in architectures if index not in results]
        for index in missing:
            write_json(self._path / f"net_{index}.subnet", architectures[index].config)
        failures = 0
        for position, evaluation in evaluate([architectures[index] for index in missing]):
            index = missing[position]
            results[index] = _finite(evaluation)
            self._store(index, architectures[index], results[index])
            failures += not results[index].ok
            finished(len(results), len(architectures), failures)
        return {index: results[index] for index in architectures}

    def _stored(self, architectures: Mapping[int, Architecture]) -> Iterator[tuple[int, Evaluation]]:
        for index, architecture in architectures.items():
            path = self._path / f"net_{index}.stats"
            if path.exists():
                stats = _read(path)
                if stats is None:
                    continue
                if (stats.pop("genome"), stats.pop("weights", None)) == (list(architecture.genome), self._weights):
                    yield index, Evaluation({name: value for name, value in stats.items() if value is not None})

    def _store(self, index: int, architecture: Architecture, evaluation: Evaluation) -> None:
        name = f"{self._label}_net_{index}"
        if evaluation.error is not None:
            write_json(self._failed / name, architecture.config)
            write_text(self._failed / f"{name}.traceback", evaluation.error)
            return
        stats: dict[str, Any] = dict(evaluation.metrics)
        stats |= {key: None for key in ("gpu", "cpu") if key not in stats}
        stats |= {"genome": list(architecture.genome), "weights": self._weights}
        write_json(self._path / f"net_{index}.stats", sealed(stats))

    def keep_only(self, indices: Container[int]) -> None:
        """Remove files of other indices, which an earlier and longer batch left."""
        for path in self._path.glob("net_*.*"):
            if int(path.stem.removeprefix("net_")) not in indices:
                path.unlink()


def _finite(evaluation: Evaluation) -> Evaluation:
    wrong = {name: value for name, value in evaluation.metrics.items() if not math.isfinite(value)}
    return Evaluation({}, error=f"ValueError: not finite: {wrong}") if wrong else evaluation


def _read(path: Path) -> dict[str, Any] | None:
    """Return the content of a ``.stats`` file; ``None``, with a warning, if it is damaged."""
    try:
        return read_sealed(path)
    except ValueError:
        log.warning("%s is damaged; the architecture is evaluated again", path)
        return None


def last_line(error: str) -> str:
    """Return the last line of a traceback: the exception and its message."""
    lines: Sequence[str] = error.strip().splitlines()
    return lines[-1] if lines else "unknown error"
