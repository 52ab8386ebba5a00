"""Evaluation of a batch into files, so that what was measured survives the process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.evaluator.base import Evaluator
from nas.executor.base import Executor
from nas.files import read_json, write_json, write_text
from nas.types import Architecture, Evaluation

Finished = Callable[[int, int, int], None]
"""Told after each evaluation: how many are finished, of how many, and how many of those failed."""


class BatchFolder:
    """A folder with ``net_<i>.subnet`` and ``net_<i>.stats`` files, as NSGANetV2's tool leaves them.

    A ``.stats`` file holds the tool's keys (``params``, ``flops``, ``gpu``, ``cpu``, ``loss``, ``top1``,
    ``top5``) and the genome it belongs to; what is there already is not evaluated again.
    """

    def __init__(self, path: Path, failed: Path, label: str) -> None:
        """Name the places.

        Args:
            path: where architectures and measurements go.
            failed: where architectures that failed go, with their traceback.
            label: what their file names begin with, for example ``"it_3"``.
        """
        self._path = path
        self._failed = failed
        self._label = label

    def evaluate(
        self,
        architectures: Mapping[int, Architecture],
        evaluator: Evaluator,
        split: str,
        executor: Executor,
        finished: Finished,
    ) -> dict[int, Evaluation]:
        """Evaluate architectures, each under its index in the batch, and return what was found by index."""
        results = dict(self._stored(architectures))
        missing = [index for index in architectures if index not in results]
        for index in missing:
            write_json(self._path / f"net_{index}.subnet", architectures[index].config)
        failures = 0
        measure = _OnSplit(evaluator, split)
        for position, evaluation in executor.map(measure, [architectures[index] for index in missing]):
            index = missing[position]
            results[index] = evaluation
            self._store(index, architectures[index], evaluation)
            failures += not evaluation.ok
            finished(len(results), len(architectures), failures)
        return results

    def _stored(self, architectures: Mapping[int, Architecture]) -> Iterator[tuple[int, Evaluation]]:
        for index, architecture in architectures.items():
            path = self._path / f"net_{index}.stats"
            if path.exists():
                stats = read_json(path)
                if stats.pop("genome") == list(architecture.genome):
                    yield index, Evaluation({name: value for name, value in stats.items() if value is not None})

    def _store(self, index: int, architecture: Architecture, evaluation: Evaluation) -> None:
        name = f"{self._label}_net_{index}"
        if evaluation.error is not None:
            write_json(self._failed / name, architecture.config)
            write_text(self._failed / f"{name}.traceback", evaluation.error)
            return
        stats: dict[str, Any] = {"gpu": None, "cpu": None} | dict(evaluation.metrics)
        write_json(self._path / f"net_{index}.stats", stats | {"genome": architecture.genome})
        for leftover in (name, f"{name}.traceback"):
            (self._failed / leftover).unlink(missing_ok=True)


class _OnSplit:
    """The evaluator with its split; a class, because workers unpickle it."""

    def __init__(self, evaluator: Evaluator, split: str) -> None:
        self._evaluator = evaluator
        self._split = split

    def __call__(self, architecture: Architecture) -> Mapping[str, float]:
        return self._evaluator(architecture, self._split)


def last_line(error: str) -> str:
    """Return the last line of a traceback: the exception and its message."""
    lines: Sequence[str] = error.strip().splitlines()
    return lines[-1] if lines else "unknown error"
