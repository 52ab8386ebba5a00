"""The search loop: propose, adapt, evaluate, append; every method of this project is this loop."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import final

import numpy as np

from nas.algorithm.base import Algorithm, timed
from nas.errors import RunError
from nas.evaluator.base import ArrayEvaluator, Evaluator
from nas.executor.base import Executor, Work
from nas.executor.serial import Serial
from nas.objective.base import TOP1_ERROR, Objective, values
from nas.run.archive import Archive, Commit, Entry
from nas.run.batch_folder import BatchFolder, last_line
from nas.run.folder import RunFolder
from nas.run.results import Results, quality_of_parts, quality_with_archive
from nas.seeding import rng_for
from nas.space.base import SearchSpace
from nas.threads import proposing
from nas.tracker.base import Tracker
from nas.tracker.together import Together
from nas.training.base import Training
from nas.types import Architecture, Batch, Evaluation

log = logging.getLogger(__name__)


@final
class Search:
    """One run of one algorithm in one folder; a killed run resumes from the archive with the same result.

    ``propose`` depends on the archive and the step alone, and a step counts when it is in the archive. So a run
    that was killed goes on from the archive and ends as if nothing had happened.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.algorithm.random import RandomSearch
        >>> from nas.objective.known import KnownCost
        >>> from nas.space.integer import IntegerSpace
        >>> from nas.supernet.none import NoSupernet
        >>> from nas.training.none import NoTraining
        >>> class Guess(Evaluator):
        ...     def __call__(self, architectures, split):
        ...         return [{"top1": float(sum(each.genome)), "top5": 90.0, "loss": 1.0} for each in architectures]
        >>> space, folder = IntegerSpace([0, 0], [9, 9]), RunFolder(Path(tempfile.mkdtemp()))
        >>> algorithm = RandomSearch(space=space, n_doe=6, iterations=0)
        >>> cost = KnownCost("size", lambda genomes: genomes[:, 0] + 1.0)
        >>> training = NoTraining(supernet=NoSupernet())
        >>> parts = dict(space=space, objectives=[cost], algorithm=algorithm, training=training, evaluator=Guess())
        >>> Search(folder=folder, **parts).run()
        >>> len(folder.front()["front"]) > 0
        True
    """

    def __init__(
        self,
        *,
        folder: RunFolder,
        space: SearchSpace,
        objectives: Sequence[Objective],
        algorithm: Algorithm,
        training: Training,
        evaluator: Evaluator | ArrayEvaluator,
        executor: Executor | None = None,
        tracker: Tracker | None = None,
        results: Results | None = None,
        seed: int = 0,
    ) -> None:
        """Put the parts together.

        Args:
            folder: Run folder; a search resumes from the steps that it holds.
            space: Search space.
            objectives: Objectives besides the error.
            algorithm: Search algorithm.
            training: Training of the supernet.
            evaluator: Evaluator of architectures.
            executor: Executor of evaluations; ``None`` for one after the other in this process, on the CPU.
            tracker: Who is told; ``None`` for nobody.
            results: Archive and summaries of the run; ``None`` for those of the folder, with hypervolumes as shares of
                a box from the initial design.
            seed: Seed of the search, 0 or more.
        """
        self._folder = folder
        if results is None:
            measures = [TOP1_ERROR, *(objective.measure for objective in objectives)]
            archive = Archive.resume(folder.path / "archive.jsonl", measures, space.names)
            results = Results(archive, folder.path, None)
        self._archive = results.archive
        self._space = space
        self._objectives = objectives
        self._algorithm = algorithm
        self._training = training
        self._evaluator = evaluator
        self._executor = Serial(device="cpu", workers_per_gpu=None) if executor is None else executor
        self._tracker = Together([]) if tracker is None else tracker
        self._results = results
        self._seed = seed

    def run(self, retry_failed: bool = False) -> None:
        """Go through all steps that are missing, then measure the final front on the test set.

        Args:
            retry_failed: Evaluate again what failed in earlier steps.

        Raises:
            RunError: If every evaluation of the initial design, or of two steps in a row, failed.
        """
        with closing(self._executor), closing(self._training):
            self._run(retry_failed)

    def _run(self, retry_failed: bool) -> None:
        seconds: dict[str, float] = {}
        with timed(seconds, "train"), self._executor.device():
            self._training.prepare(self._tracker.progress)
            self._folder.keep(self._training.keep())
            self._restore()
        if retry_failed:
            with timed(seconds, "evaluate"):
                self._retry()
        for step in range(self._archive.next_step):
            self._results.write_step(step)
        for step in range(self._archive.next_step, self._algorithm.steps):
            batch = self._propose(step, seconds)
            if len(batch.genomes) == 0:
                break  # nothing is left that could be evaluated
            with timed(seconds, "train"), self._executor.device():
                self._training.adapt(batch.genomes, step)
            with timed(seconds, "evaluate"):
                self._evaluate(batch, step)
            self._results.record_seconds(step, seconds)
            self._report(step)
            seconds = {}
        self._conclude()

    def remark(self) -> str | None:
        """Return why a finished search evaluated fewer architectures than it was allowed to; ``None`` where it did not.

        Failed evaluations count, too.
        """
        genomes = self._archive.genomes()
        if len(genomes) >= self._algorithm.evaluations:
            return None
        left = self._space.unseen(genomes)
        if left is not None and len(left) == 0:
            whole = "the only architecture is" if len(genomes) == 1 else f"all {len(genomes):,} architectures are"
            return f"the search space is used up: {whole} evaluated"
        if self._archive.next_step < self._algorithm.steps:
            return f"no new architecture was found after {len(genomes):,}: the search ends before its budget is spent"
        return None

    def _restore(self) -> None:
        """Give the training the weights of the last complete step."""
        batches = [self._archive.batch(step) for step in range(self._archive.next_step)]
        self._training.restore(
            [np.array([entry.architecture.genome for entry in batch], dtype=np.int64) for batch in batches]
        )
        if batches and batches[-1][0].weights != self._training.weights:
            log.warning("the weights are not those that step %d was evaluated with", len(batches) - 1)

    def _propose(self, step: int, seconds: dict[str, float]) -> Batch:
        """Return the step's candidates and add the seconds by activity; time without a name is search."""
        took: dict[str, float] = {}
        with proposing(), timed(took, "search"):
            batch = self._algorithm.propose(self._archive, step, rng_for(self._seed, step, "propose"))
        named = dict(batch.seconds)
        named["search"] = named.get("search", 0.0) + took["search"] - sum(named.values())
        for activity, value in named.items():
            seconds[activity] = seconds.get(activity, 0.0) + value
        return batch

    def _evaluate(self, batch: Batch, step: int) -> None:
        architectures = dict(enumerate(self._space.decode(genome) for genome in batch.genomes))
        results = self._validate(architectures, step)
        predicted = [None] * len(results) if batch.predicted is None else batch.predicted.tolist()
        entries = self._entries(architectures, results, step, predicted)
        failed = all(entry.objectives is None for entry in entries)
        previous = self._archive.batch(step - 1)
        if failed and all(entry.objectives is None for entry in previous):
            error = next(result.error for result in results.values() if result.error)
            raise RunError(
                f"all {len(entries)} evaluations of step {step} failed, the first with: {last_line(error)} "
                f"(tracebacks in {self._folder.path / 'failed'})"
            )
        quality = quality_with_archive(entries, batch.fitted, batch.known)
        parts = quality_of_parts(entries, self._archive.genomes(), batch.parts)
        self._training.wait_until_saved()  # the archive may say only then that these weights exist
        self._archive.extend(Commit(step, batch.surrogate, batch.winner, *quality, parts=parts), entries)
        self._results.forget_failures()

    def _retry(self) -> None:
        failed = [entry for entry in self._archive.entries() if entry.objectives is None]
        steps = sorted({entry.step for entry in failed})
        if self._training.moves:  # the weights of earlier steps are gone
            steps = [step for step in steps if step == self._archive.next_step - 1]
        for step in steps:
            chosen = {entry.index: entry for entry in failed if entry.step == step}
            architectures = {index: entry.architecture for index, entry in chosen.items()}
            results = self._validate(architectures, step)
            entries = self._entries(architectures, results, step, [entry.predicted for entry in chosen.values()])
            commit = self._archive.commit_of(step)
            if any(result.ok for result in results.values()):
                self._archive.extend(Commit(step, commit.surrogate, commit.winner, retry=True), entries)
        self._results.forget_failures()

    def _validate(self, architectures: dict[int, Architecture], step: int) -> dict[int, Evaluation]:
        folder = self._batch_folder(f"iter_{step}", f"it_{step}")
        return self._measure(architectures, "validation", folder, f"evaluating step {step}")

    def _batch_folder(self, name: str, label: str) -> BatchFolder:
        failed = self._folder.path / "failed"
        return BatchFolder(self._folder.path / name, failed, label, self._training.weights)

    def _measure(
        self, architectures: dict[int, Architecture], split: str, folder: BatchFolder, activity: str
    ) -> dict[int, Evaluation]:
        def finished(done: int, total: int, failed: int) -> None:
            self._tracker.progress(activity, done, total, failed)

        if isinstance(self._evaluator, ArrayEvaluator):
            genomes = np.array([architecture.genome for architecture in architectures.values()], dtype=np.int64)
            with self._executor.device():
                found = self._evaluator.measure(genomes, split)
            return {index: Evaluation(metrics) for index, metrics in zip(architectures, found, strict=True)}
        work = Work(self._evaluator, split, self._training.weights)
        return folder.evaluate(architectures, partial(self._executor.map, work), finished)

    def _entries(
        self,
        architectures: dict[int, Architecture],
        results: dict[int, Evaluation],
        step: int,
        predicted: Sequence[float | None],
    ) -> list[Entry]:
        good = [index for index in architectures if results[index].ok]
        genomes = np.array([architectures[index].genome for index in good], dtype=np.int64)
        found = values(self._objectives, genomes.reshape(-1, self._space.n_genes), [results[i].metrics for i in good])
        objectives = dict(zip(good, map(tuple, found.tolist()), strict=True))
        return [
            Entry(
                step,
                index,
                architecture,
                objectives.get(index),
                results[index].metrics,
                prediction,
                self._training.weights,
            )
            for (index, architecture), prediction in zip(architectures.items(), predicted, strict=True)
        ]

    def _report(self, step: int) -> None:
        self._results.write_step(step)
        self._results.write_front(finished=False, final={}, test={})
        summary = self._results.summary(step)
        self._results.draw({})
        self._folder.write_status(
            "running",
            step=step,
            steps=self._algorithm.steps,
            hypervolume=summary.hypervolume,
            box=summary.box.words(self._archive.measures),
            failed=summary.failed,
        )
        self._tracker.step(summary, self._folder.path / "front.png")

    def _conclude(self) -> None:
        """Measure the final front on the test set, and on the validation set with weights that moved since."""
        with self._executor.device():
            self._training.conclude(self._tracker.progress)
        again = {}
        if self._training.moves:
            again = self._measure_front("final", "validation", "measuring the final front with the final weights")
        test = self._measure_front("test", "test", "measuring the final front on the test set")
        self._results.write_front(finished=True, final=again, test=test)
        self._results.draw(test)
        self._tracker.outcome(self._results.outcome())

    def _measure_front(self, name: str, split: str, activity: str) -> dict[tuple[int, ...], Mapping[str, float]]:
        """Return the front's metrics by genome; they are kept in the run's folder of this name."""
        front = dict(enumerate(entry.architecture for entry in self._archive.front()))
        folder = self._batch_folder(name, name)
        results = self._measure(front, split, folder, activity)
        folder.keep_only(front)
        return {front[index].genome: result.metrics for index, result in results.items() if result.ok}
