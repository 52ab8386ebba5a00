"""Searches on OFA's accuracy predictor in this process: what the benchmarks of search methods share."""

import copy
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from nas.cli.compose import experiment_of
from nas.experiment import Experiment
from nas.objective.base import TOP1_ERROR
from nas.pareto import hypervolume
from nas.run.archive import Archive, Commit, Entry
from nas.seeding import rng_for
from nas.types import Architecture

IDEAL, REFERENCE = np.array([15.0, 100.0]), np.array([35.0, 600.0])
"""Corners of the hypervolume's box: top-1 error in percent, FLOPs in millions."""

LIMITS = (200, 300, 400, 500)
"""FLOPs, in millions, up to which the best accuracy is reported."""


class Study:
    """The parts of a search by their names on the command line, and a loop without files.

    Attributes:
        space, tables, objective: of OFA's MobileNetV3 at width 1.2.
    """

    def __init__(self, predictor: Path | None) -> None:
        """Build the supernet; ``predictor`` is the file of the accuracy predictor, ``None`` for the published one."""
        self._predictor = predictor
        experiment = self._experiment([])
        self.supernet, self._evaluator = experiment.supernet, experiment.evaluator
        self.space, self.tables = self.supernet.space, experiment.tables
        (self.objective,) = experiment.objectives

    def _experiment(self, words: list[str], **parts: Any) -> Experiment:
        checkpoint = "null" if self._predictor is None else str(self._predictor)
        fixed = [
            "evaluator=predictor",
            f"evaluator.checkpoint={checkpoint}",
            "supernet=ofa_w12",
            "supernet.checkpoint=random",
            "supernet.resolutions=[160,176,192,208,224]",
            "device=cpu",
        ]
        return experiment_of([*fixed, *words]).changed(n_classes=1000, **parts)

    def _changed(self, words: list[str]) -> Experiment:
        return self._experiment(words, supernet=self.supernet, objectives=[self.objective], evaluator=self._evaluator)

    def part(self, group: str, choice: str, *overrides: str) -> Any:
        """Return a part as the command line would make it from ``group=choice`` and further settings."""
        return self._changed([f"{group}={choice}", *overrides]).part(group)

    def algorithm(self, name: str, *overrides: str) -> Any:
        """Return an algorithm with its surrogate, optimizer and selector."""
        return self._changed([f"algorithm={name}", *overrides]).algorithm

    def errors(self, genomes: np.ndarray) -> np.ndarray:
        """Return the predictor's top-1 error in percent, (n, d) -> (n,)."""
        return self._evaluator.errors(genomes)

    def objectives(self, genomes: np.ndarray) -> np.ndarray:
        """Return top-1 error in percent and FLOPs in millions, (n, d) -> (n, 2)."""
        return np.column_stack([self.errors(genomes), self.objective(genomes)])

    def run(self, algorithm: Any, seed: int) -> "Trace":
        """Search, and return what happened."""
        algorithm = copy.deepcopy(algorithm)
        with tempfile.TemporaryDirectory() as folder:
            archive = Archive.open(
                Path(folder) / "archive.jsonl", [TOP1_ERROR, self.objective.measure], self.space.names
            )
            trace = Trace()
            for step in range(algorithm.steps):
                start = time.perf_counter()
                batch = algorithm.propose(archive, step, rng_for(seed, step, "propose"))
                trace.seconds += time.perf_counter() - start
                found = self.objectives(batch.genomes)
                if batch.predicted is not None:
                    trace.predicted.append((batch.predicted, found[:, 0]))
                archive.extend(Commit(step, batch.surrogate, batch.winner), _entries(step, batch.genomes, found))
                trace.evaluations.append(len(archive.history))
                trace.hypervolumes.append(hypervolume(archive.arrays()[1], REFERENCE, IDEAL))
            trace.objectives = archive.arrays()[1]
        return trace


class Trace:
    """One search.

    Attributes:
        evaluations, hypervolumes: after each step.
        predicted: predictions and evaluations of each step's candidates.
        objectives: of everything evaluated, shape (n, 2).
        seconds: spent on proposing.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.evaluations: list[int] = []
        self.hypervolumes: list[float] = []
        self.predicted: list[tuple[np.ndarray, np.ndarray]] = []
        self.objectives = np.zeros((0, 2))
        self.seconds = 0.0

    def best(self) -> list[float]:
        """Return the best accuracy, percent, up to each of ``LIMITS``."""
        return [float(100 - self.objectives[self.objectives[:, 1] <= limit, 0].min()) for limit in LIMITS]


def _entries(step: int, genomes: np.ndarray, objectives: np.ndarray) -> list[Entry]:
    return [
        Entry(step, i, Architecture(tuple(genome.tolist()), {}), tuple(values.tolist()), {})
        for i, (genome, values) in enumerate(zip(genomes, objectives, strict=True))
    ]
