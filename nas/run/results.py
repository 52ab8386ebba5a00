"""Summaries and result files of a run; all but the times follow from the archive."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import counted
from nas.files import sealed, unsealed, write_json, write_text
from nas.pareto import hypervolume
from nas.run.archive import Archive, Entry
from nas.run.box import Box
from nas.types import Floats, Genomes

log = logging.getLogger(__name__)

Metrics = Mapping[tuple[int, ...], Mapping[str, float]]
"""Metrics by genome, by name."""

Quality = tuple[float | None, float | None, float | None]
"""Root-mean-square error, Spearman's rho and Kendall's tau; ``None`` where it is not defined."""


@dataclass(frozen=True)
class StepSummary:
    """Summary of one step for trackers; a row of ``metrics.csv``.

    Attributes:
        step: 0 is the initial design.
        evaluations, failed: All of the run so far.
        hypervolume: Hypervolume of the front so far, as a share of ``box``, 0 to 1; more is better.
        front_size: Architectures on the front so far.
        best: Lowest value of each objective so far, in the objectives' order.
        rmse, rho, tau: Agreement of the surrogate's predictions of this step's candidates with their evaluations:
            root-mean-square error in the unit of the first objective, Spearman's and Kendall's rank correlation.
            ``None`` without a prediction or with fewer than two candidates.
        rmse_archive, rho_archive, tau_archive: The same over these candidates and all that the surrogate was fitted
            to, NSGANetV2's definition; ``None`` where there was no surrogate.
        parts: Spearman's rank correlation of what else the surrogate predicted, by the metric's name, over this step's
            new candidates; empty where it predicts the error alone.
        seconds: Seconds of this step by activity (``ACTIVITIES``); empty if the process died before it wrote them.
        front: Objectives of the front so far with their architectures and steps, cheapest last.
        box: Box that the hypervolume is a share of.
    """

    step: int
    evaluations: int
    failed: int
    hypervolume: float
    front_size: int
    best: tuple[float, ...]
    rmse: float | None
    rho: float | None
    tau: float | None
    rmse_archive: float | None
    rho_archive: float | None
    tau_archive: float | None
    parts: Mapping[str, float | None]
    seconds: Mapping[str, float]
    front: Sequence[Mapping[str, Any]]
    box: Box


class Results:
    """Summaries and files that follow from an archive.

    Attributes:
        archive: The run's.
    """

    def __init__(
        self,
        archive: Archive,
        folder: Path,
        box: Box | None,
        images: Mapping[str, int] | None = None,
    ) -> None:
        """Set where the results come from and go to.

        Args:
            archive: The run's.
            folder: The run's.
            box: Box that hypervolumes are shares of; ``None`` for the run's own: from the origin to 1.01 times the
                worst values of its initial design, as in the paper.
            images: Number of images that results of a split are from, by the split's name, as far as known.
        """
        self.archive = archive
        self._folder = folder
        self._box = box
        self._images = dict(images or {})
        self._final: Metrics = {}
        self._test: Metrics = {}
        self._draw_failed = False
        self._times = folder / "times.jsonl"
        self._seconds = _read_seconds(self._times, archive.next_step)

    @property
    def box(self) -> Box:
        """Box that hypervolumes are shares of; a run's own box is known after its initial design."""
        if self._box is not None:
            return self._box
        reference = self.archive.reference_point().tolist()
        return Box(tuple(reference), (0.0,) * len(reference), "initial design")

    def hypervolume(self, step: int) -> float:
        """Return the normalized hypervolume, 0 to 1, of the front after ``step``."""
        front = np.array([entry.objectives for entry in self.archive.front(step)], dtype=np.float64)
        return hypervolume(front.reshape(-1, len(self.archive.measures)), *self.box.corners())

    def record_seconds(self, step: int, seconds: Mapping[str, float]) -> None:
        """Write the seconds of a completed step by activity into ``times.jsonl``, one line a step.

        Times are outside the archive: equal seeds give equal archives, killed and resumed or not.
        """
        self._seconds[step] = {activity: round(value, 6) for activity, value in seconds.items()}
        records = [sealed({"step": k, "seconds": self._seconds[k]}) for k in sorted(self._seconds)]
        lines = [json.dumps(record) + "\n" for record in records]
        write_text(self._times, "".join(lines))

    def summary(self, step: int) -> StepSummary:
        """Return the summary of a completed step."""
        commit = self.archive.commit_of(step)
        entries = self.archive.entries(step)
        front = self.archive.front(step)
        values = np.array([entry.objectives for entry in front], dtype=np.float64)
        rmse, rho, tau = surrogate_quality(self.archive.fresh(step))
        return StepSummary(
            step=step,
            evaluations=self.archive.n_evaluations(step),
            failed=sum(entry.objectives is None for entry in entries),
            hypervolume=self.hypervolume(step),
            front_size=len(front),
            best=tuple(values.min(axis=0).tolist()),
            rmse=rmse,
            rho=rho,
            tau=tau,
            rmse_archive=commit.rmse_archive,
            rho_archive=commit.rho_archive,
            tau_archive=commit.tau_archive,
            parts=commit.parts,
            seconds=self._seconds.get(step, {}),
            front=[self._described(entry) for entry in front],
            box=self.box,
        )

    def write_step(self, step: int) -> None:
        """Write ``iter_<step>.stats`` with the keys and layout of NSGANetV2's tool."""
        commit = self.archive.commit_of(step)
        entries = [entry for entry in self.archive.entries(step) if entry.objectives is not None]
        rows = [[entry.architecture.config, *(entry.objectives or ())] for entry in entries]
        candidates = [row for row, entry in zip(rows, entries, strict=True) if entry.step == step]
        rmse, rho, tau = surrogate_quality(self.archive.fresh(step))
        names = {"model": commit.surrogate, "name": commit.surrogate, "winner": commit.winner}
        surrogate = names | {"rmse": rmse, "rho": rho, "tau": tau}
        surrogate |= {f"rho_{name}": value for name, value in commit.parts.items()}
        stats = {"archive": rows, "candidates": candidates, "hv": self.hypervolume(step), "surrogate": surrogate}
        write_json(self._folder / f"iter_{step}.stats", stats)

    def write_front(self, finished: bool, final: Metrics, test: Metrics) -> None:
        """Write ``front.json``.

        Args:
            finished: Whether this is the final front.
            final: Metrics on the validation set with the weights that the search leaves, where those moved since.
            test: Metrics on the test set; empty before the end.
        """
        self.measured(final, test)
        step = self.archive.next_step - 1
        members = []
        for entry in self.archive.front():
            genome = entry.architecture.genome
            found = {"metrics": entry.metrics, "predicted": entry.predicted, "weights": entry.weights}
            found |= {
                name: metrics[genome] for name, metrics in (("final", final), ("test", test)) if genome in metrics
            }
            members.append(self._described(entry) | {"genome": genome} | found)
        front = {
            "finished": finished,
            "step": step,
            "evaluations": self.archive.n_evaluations(),
            "objectives": [{"name": m.name, "unit": m.unit, "minimised": True} for m in self.archive.measures],
            **self.box.record(),
            "hypervolume": self.hypervolume(step),
            "images": self._images,
            "front": members,
        }
        write_json(self._folder / "front.json", sealed(front), indent=2)

    def forget_failures(self) -> None:
        """Remove architectures from ``failed/`` that have succeeded since."""
        good = {f"it_{e.step}_net_{e.index}" for e in self.archive.entries() if e.objectives is not None}
        for path in (self._folder / "failed").glob("it_*"):
            if path.name.removesuffix(".traceback") in good:
                path.unlink()

    def measured(self, final: Metrics, test: Metrics) -> None:
        """Set the measurements of the final front; arguments as in :meth:`write_front`."""
        self._final, self._test = final, test

    @property
    def tested(self) -> bool:
        """Whether the final front was measured on the test split."""
        return bool(self._test)

    def outcome(self) -> dict[str, float]:
        """Return the results of the final front, by split and name.

        ``<split>/top1_error`` belongs to the architecture with the lowest validation error, in percent.
        ``<split>/hypervolume`` is that of the front with its errors on the split. ``<split>/images`` is the size of the
        split. ``final`` is the validation split with the final weights, if weights adapted.
        """
        front = self.archive.front()
        found = {f"{split}/images": float(n) for split, n in self._images.items()}
        found |= {"validation/top1_error": _objectives(front[0])[0]}
        found |= {"validation/hypervolume": self.hypervolume(self.archive.next_step - 1)}
        for name, metrics in (("final", self._final), ("test", self._test)):
            values = [self._with_error(entry, metrics) for entry in front if entry.architecture.genome in metrics]
            if values:
                found[f"{name}/hypervolume"] = hypervolume(np.array(values), *self.box.corners())
            if front[0].architecture.genome in metrics:
                found[f"{name}/top1_error"] = self._with_error(front[0], metrics)[0]
        return found

    def _with_error(self, entry: Entry, metrics: Metrics) -> tuple[float, ...]:
        """Return the objectives of an entry with the error of other metrics."""
        return (100 - metrics[entry.architecture.genome]["top1"], *_objectives(entry)[1:])

    def conclusion(self, remark: str | None = None) -> str:
        """Return the closing lines of a run: the front in numbers, and the files to open.

        Args:
            remark: One more line, on why the run ended.
        """
        from nas.plotting.run import noun_of

        front = np.array([entry.objectives for entry in self.archive.front()], dtype=np.float64)
        measures = self.archive.measures
        lowest, highest = front.min(axis=0), front.max(axis=0)
        ranges = [
            f"{m.words} {lowest[i]:.4g} to {highest[i]:.4g} {m.short_unit}" for i, m in enumerate(measures) if i > 0
        ]
        failed = sum(entry.objectives is None for entry in self.archive.entries())
        n, drawn = self.archive.n_evaluations(), ["hypervolume.png"] if self.archive.next_step > 1 else []
        files = ["front.png", *drawn, "front.json", "metrics.csv"]
        noun = noun_of(self.archive.front()[0].architecture.config)
        whole = len(front) == n and self.archive.next_step == 1  # a search whose archive holds its front alone
        lines = [
            f"Front: {counted(len(front), noun.removesuffix('s'))}"
            + ("" if whole else f" after {counted(n, 'evaluation')}")
            + (f" ({failed} failed, see {os.path.relpath(self._folder / 'failed')})" if failed else ""),
            *([f"  {remark}"] if remark else []),
            f"  most accurate: {self._errors()}",
            f"  {'; '.join(ranges)}",
            f"  hypervolume {self.hypervolume(self.archive.next_step - 1):.4f} of the box {self.box.words(measures)}",
            "Open:",
            *(f"  {os.path.relpath(self._folder / name)}" for name in files),
        ]
        return "\n".join(lines)

    def _errors(self) -> str:
        """Return the errors of the architecture with the lowest validation error, each with its split and its size."""
        found = self.outcome()

        def where(split: str) -> str:
            images = found.get(f"{split}/images")
            return f"the {split} split" if images is None else f"{images:,.0f} {split} images"

        parts = [f"top-1 error {found['validation/top1_error']:.2f} % on {where('validation')}"]
        if "final/top1_error" in found:
            parts[0] += f" ({found['final/top1_error']:.2f} % with the final weights)"
        if "test/top1_error" in found:
            parts.append(f"{found['test/top1_error']:.2f} % on {where('test')}")
        return ", ".join(parts)

    def draw(self, test: Metrics) -> None:
        """Draw ``front.png`` and, after more than one step, ``hypervolume.png``; ``test`` as in :meth:`write_front`.

        A failure is logged once and does not stop the run, because figures can be drawn again from the archive.
        """
        try:
            self._draw(test)
        except Exception as error:
            if not self._draw_failed:
                self._draw_failed = True
                log.warning("the figures cannot be drawn (%s: %s); the run goes on", type(error).__name__, error)

    def _draw(self, test: Metrics) -> None:
        from nas.plotting.run import front_figure, hypervolume_figure, noun_of

        good = [entry for entry in self.archive.entries() if entry.objectives is not None]
        last = self.archive.next_step - 1
        tested = [self._with_error(entry, test) for entry in self.archive.front() if entry.architecture.genome in test]
        front_figure(
            self._folder / "front.png",
            objectives=self.archive.measures,
            values=np.array([entry.objectives for entry in good], dtype=np.float64),
            steps=np.array([entry.step for entry in good]),
            hypervolume=self.hypervolume(last),
            noun=noun_of(good[0].architecture.config),
            test=np.array(tested) if tested else None,
        )
        if last > 0:  # a search for cascades archives its last front alone, which is one point
            hypervolume_figure(
                self._folder / "hypervolume.png",
                evaluations=np.array([self.archive.n_evaluations(step) for step in range(last + 1)]),
                hypervolume=np.array([self.hypervolume(step) for step in range(last + 1)]),
            )

    def _described(self, entry: Entry) -> dict[str, Any]:
        names = [measure.name for measure in self.archive.measures]
        objectives = dict(zip(names, entry.objectives or (), strict=True))
        return {"architecture": entry.architecture.config, "step": entry.step, "objectives": objectives}


def _objectives(entry: Entry) -> tuple[float, ...]:
    assert entry.objectives is not None, "what is on the front was evaluated"
    return entry.objectives


def surrogate_quality(entries: Sequence[Entry]) -> Quality:
    """Return the agreement of predictions with evaluations of the first objective, on new candidates only.

    All values are ``None`` with fewer than two predicted candidates; correlations are ``None`` for constant values.
    """
    return _quality(*_pairs(entries))


def quality_with_archive(entries: Sequence[Entry], fitted: Floats | None, known: Floats | None) -> Quality:
    """Return the agreement on new candidates and on all architectures that the surrogate was fitted to.

    NSGANetV2's tool reports these values. They are optimistic, because an interpolant reproduces its training data. The
    tool's root-mean-square error compares every prediction with every evaluation; this one compares each prediction
    with its own evaluation.

    Args:
        entries: The new candidates.
        fitted: The surrogate's predictions of what it was fitted to, shape (k,); ``None`` without a surrogate.
        known: The first objective of the same, shape (k,).
    """
    if fitted is None or known is None:
        return None, None, None
    predicted, actual = _pairs(entries)
    return _quality(np.concatenate([fitted, predicted]), np.concatenate([known, actual]))


def quality_of_parts(entries: Sequence[Entry], seen: Genomes, parts: Mapping[str, Floats]) -> dict[str, float | None]:
    """Return Spearman's rho of further predictions of the surrogate, by name, on new candidates.

    Args:
        entries: Entries of a step.
        seen: Genomes of the steps before, (n, d): those are no new candidates.
        parts: Predictions for the entries, by the name of what evaluations measured, (k,) each.
    """
    known = {tuple(genome) for genome in seen.tolist()}
    new = [i for i, e in enumerate(entries) if e.objectives and e.architecture.genome not in known]
    actual = {name: np.array([entries[i].metrics[name] for i in new], dtype=np.float64) for name in parts}
    return {name: _quality(predicted[new], actual[name])[1] for name, predicted in parts.items()}


def _pairs(entries: Sequence[Entry]) -> tuple[Floats, Floats]:
    pairs = [(e.predicted, e.objectives[0]) for e in entries if e.predicted is not None and e.objectives]
    predicted, actual = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return predicted, actual


def _quality(predicted: Floats, actual: Floats) -> Quality:
    from scipy.stats import kendalltau, spearmanr  # takes most of a second, which the command line does not wait for

    if len(predicted) < 2:
        return None, None, None
    rmse = float(np.sqrt(np.mean((predicted - actual) ** 2)))
    if np.ptp(predicted) == 0 or np.ptp(actual) == 0:
        return rmse, None, None
    return rmse, float(spearmanr(predicted, actual).statistic), float(kendalltau(predicted, actual).statistic)


def _read_seconds(path: Path, steps: int) -> dict[int, Mapping[str, float]]:
    """Return the seconds of the steps below ``steps`` from the file; damaged lines are left out."""
    if not path.exists():
        return {}
    found: dict[int, Mapping[str, float]] = {}
    for line in path.read_bytes().splitlines():
        try:
            record = unsealed(json.loads(line), required=False)
            found[record["step"]] = record["seconds"]
        except (ValueError, KeyError, TypeError):
            log.warning("%s is damaged: what some steps took is not known", path)
    return {step: seconds for step, seconds in found.items() if step < steps}
