"""Outcomes of runs: the numbers with which groups are compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nas.pareto import hypervolume
from nas.report.data.comparison import Comparison
from nas.report.data.fronts import along
from nas.report.data.runs import Run
from nas.report.statistics.tests import Difference, compare_all


@dataclass(frozen=True)
class RunOutcome:
    """One kind of number for all compared runs.

    Attributes:
        name, unit: Name and unit of the number.
        more_is_better: Whether larger values are better.
        values: Values by group and seed. If two runs have the same seed, the first one counts.
    """

    name: str
    unit: str
    more_is_better: bool
    values: Mapping[str, Mapping[int, float]]

    def differences(self) -> list[Difference]:
        """Compare every pair of groups. Signs are such that "greater" means "better"."""
        sign = 1.0 if self.more_is_better else -1.0
        return compare_all({group: {s: sign * v for s, v in found.items()} for group, found in self.values.items()})


def outcomes(comparison: Comparison) -> list[RunOutcome]:
    """Return the compared numbers: hypervolumes and lowest errors, on the validation and the test split.

    The error on the test split is that of the architecture with the lowest error on the validation split, so that no
    choice depends on test images. Runs without a measurement are left out.
    """
    error = comparison.measures[0]
    named = f"lowest {error.words}"
    reached = _common_evaluations(comparison)
    found = [_outcome(comparison, "hypervolume", "", True, lambda run: float(comparison.hypervolumes[run.name][-1]))]
    if reached is not None:
        found.append(
            _outcome(comparison, f"hypervolume after {reached} evaluations", "", True, _after(comparison, reached))
        )
    found += [
        _outcome(comparison, "hypervolume on the test split", "", True, _tested_hypervolume(comparison)),
        _outcome(comparison, named, error.unit, False, lambda run: float(comparison.front(run)[:, 0].min())),
        _outcome(comparison, f"{named}, on the test split", error.unit, False, _tested_error(comparison)),
    ]  # fmt: skip
    return [outcome for outcome in found if any(outcome.values.values())]


def paper_outcomes(comparison: Comparison, split: Literal["test", "validation"]) -> tuple[RunOutcome, RunOutcome]:
    """Return the numbers that the papers compare: the hypervolume and the highest accuracy on a split.

    Larger values of both are better. The accuracy on the test split is that of the architecture with the highest
    accuracy on the validation split.
    """
    if split == "test":
        volume, error = _tested_hypervolume(comparison), _tested_error(comparison)
    else:

        def volume(run: Run) -> float:
            return float(comparison.hypervolumes[run.name][-1])

        def error(run: Run) -> float:
            return float(comparison.front(run)[:, 0].min())

    return (
        _outcome(comparison, f"hypervolume, {split}", "", True, volume),
        _outcome(comparison, f"highest accuracy, {split}", "%", True, lambda run: 100 - error(run)),
    )


def _outcome(
    comparison: Comparison, name: str, unit: str, more_is_better: bool, value: Callable[[Run], float]
) -> RunOutcome:
    values: dict[str, dict[int, float]] = {}
    for group in comparison.groups:
        seeds = values.setdefault(group.label, {})
        for run in group.counted:
            number = value(run)
            if np.isfinite(number):
                seeds.setdefault(run.seed, number)
    return RunOutcome(name, unit, more_is_better, values)


def _common_evaluations(comparison: Comparison) -> int | None:
    """Return the number of evaluations that all compared runs reached; ``None`` if all runs made the same number.

    The result is also ``None`` if a run's first front comes after that number.
    """
    counts = [int(comparison.courses[run.name].evaluations[-1]) for g in comparison.groups for run in g.counted]
    starts = [int(comparison.courses[run.name].evaluations[0]) for g in comparison.groups for run in g.counted]
    return min(counts) if len(set(counts)) > 1 and max(starts) <= min(counts) else None


def _after(comparison: Comparison, evaluations: int) -> Callable[[Run], float]:
    def value(run: Run) -> float:
        curve = comparison.courses[run.name].evaluations, comparison.hypervolumes[run.name]
        return float(along(*curve, np.array([evaluations]), holds=True)[0])

    return value


def _tested_hypervolume(comparison: Comparison) -> Callable[[Run], float]:
    def value(run: Run) -> float:
        tested = comparison.measured(run, "test")
        if np.isnan(tested).any():
            return float("nan")
        return hypervolume(tested, comparison.box.reference, comparison.box.ideal)

    return value


def _tested_error(comparison: Comparison) -> Callable[[Run], float]:
    def value(run: Run) -> float:
        return float(comparison.measured(run, "test")[int(comparison.front(run)[:, 0].argmin()), 0])

    return value
