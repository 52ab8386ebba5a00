"""Texts and tables of the page about a comparison. The template escapes them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.errors import counted
from nas.report.data.comparison import Comparison, experiments, images_of
from nas.report.data.groups import Group
from nas.report.data.outcomes import RunOutcome, outcomes
from nas.report.data.runs import Run, differing, flat_settings
from nas.report.page.payload import hypervolume_panels
from nas.report.page.pictures import Picture
from nas.report.papers.papers import Table
from nas.report.statistics.tests import ALPHA, Difference, number, p_value, pairs_needed
from nas.tracker.base import ACTIVITIES

PARTS = (
    ("front", "Fronts"),
    ("hypervolume", "Hypervolume"),
    ("attainment", "Attainment"),
    ("papers", "As in the papers"),
    ("statistics", "Statistics"),
    ("surrogate", "Surrogate"),
    ("genes", "Genes"),
    ("architectures", "Architectures"),
    ("times", "Times"),
    ("settings", "Settings"),
)

APART_NEEDED = 4
"""Minimum number of values in each of two groups with which a rank-sum test can give a p value below ``ALPHA``."""


def said_of(
    comparison: Comparison, pictures: Sequence[Picture], quality: bool, together: bool = False
) -> dict[str, Any]:
    """Return the template's variables for a comparison.

    Args:
        comparison: Groups of runs.
        pictures: Pictures of architectures.
        quality: Whether any run has predictions of a surrogate.
        together: Whether all groups are one experiment.
    """
    groups, measures = comparison.groups, comparison.measures
    waiting = [run for group in groups for run in group.evaluated if run not in group.counted]
    whole = all(run.state == "finished" for group in groups for run in group.counted)
    counted = f"Finished runs alone ({len(waiting)} left out)." if waiting else ""
    if not whole:
        counted += " A group without a finished run is shown as far as it got."
    found = outcomes(comparison)
    parts = experiments(comparison, [group.label for group in groups], together)
    compared = _statistics(parts)
    return {
        "title": title_of(comparison),
        "parts": PARTS,
        "panels": hypervolume_panels(comparison) if comparison.moves else [],
        "box": _box(comparison),
        "groups": groups,
        "first": measures[0].label,
        "others": [(k, measure.label) for k, measure in enumerate(measures) if k],
        "overview": _overview(comparison, found),
        "notes": _notes(comparison),
        "front_note": _front_note(comparison),
        "curve_note": _curve_note(comparison, alone=bool(waiting) or not whole),
        "counted_note": counted.strip(),
        "has_test": any(run.test for run, _ in comparison.evaluated),
        "has_final": any(run.final for run, _ in comparison.evaluated),
        "has_quality": quality,
        "statistics": compared,
        "tested": any(part["tables"] for part in compared),
        "alone": _alone(parts),
        "pictures": [_picture(comparison, picture) for picture in pictures],
        "times": _times(groups),
        "settings": _settings(groups),
    }


def title_of(comparison: Comparison) -> str:
    """Return a title with the objectives and the data set."""
    return f"{', '.join(m.words for m in comparison.measures)} on {comparison.data}"


def _corners(comparison: Comparison) -> str:
    box = comparison.box
    corners = [
        f"{m.words} {low:.6g} to {high:.6g} {m.short_unit}".strip()
        for m, low, high in zip(comparison.measures, box.ideal, box.reference, strict=True)
    ]
    return "; ".join(corners)


def _box(comparison: Comparison) -> str:
    return (
        f"Every objective is minimised. Hypervolumes of all runs are shares of one box: {_corners(comparison)}. "
        f"Its worst corner is {comparison.box.origin}."
    )


def _overview(comparison: Comparison, found: Sequence[RunOutcome]) -> Table:
    head = ["group", "runs", "finished", "evaluations", *(_outcome_name(outcome) for outcome in found), "front"]
    rows = []
    for group in comparison.groups:
        counts = [int(comparison.courses[run.name].evaluations[-1]) for run in group.counted]
        sizes = [len(comparison.front(run)) for run in group.counted]
        finished = sum(run.state == "finished" for run in group.runs)
        values = [_median_range(list(outcome.values[group.label].values())) for outcome in found]
        row = [group.label, len(group.runs), finished, _range(counts)]
        rows.append([*row, *values, _median_range([float(size) for size in sizes])])
    return {"head": head, "rows": rows, "numbers": range(1, len(head))}


def _outcome_name(outcome: RunOutcome) -> str:
    return f"{outcome.name} ({outcome.unit})" if outcome.unit else outcome.name


def _range(values: Sequence[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _median_range(values: Sequence[float]) -> str:
    if not values:
        return "-"
    middle = number(float(np.median(values)))
    return middle if min(values) == max(values) else f"{middle} ({number(min(values))} to {number(max(values))})"


def _notes(comparison: Comparison) -> list[str]:
    notes = ["Numbers of a group are medians over its runs, with least and most in brackets."]
    for group in comparison.groups:
        seeds = [run.seed for run in group.runs]
        twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
        if twice:
            notes.append(f"{group.label} has seed {twice[0]} more than once; the first one counts in statistics.")
    if any(len(np.unique(r.architecture)) < len(r.architecture) for _, r in comparison.evaluated):
        notes.append("Some architectures were evaluated again with other weights; on a front the newest values count.")
    known = {bool(images_of(run)) for run, _ in comparison.evaluated}
    if len(known) == 2:
        notes.append(
            "Of runs on pools of files it is not known on which images they were; they are taken for the same."
        )
    return notes


def _curve_note(comparison: Comparison, alone: bool) -> str:
    note = "Dotted lines are single runs that did not finish. " if alone else ""
    if not comparison.moves:
        return "These runs archive their last fronts alone, as searches for cascades do: their hypervolumes are above."
    if any(len(course.steps) == 1 for course in comparison.courses.values()):
        note += "A run of one step, such as a search for cascades, archives its last front alone: its line is level."
    return note.strip()


def _front_note(comparison: Comparison) -> str:
    total = sum(int(record.ok.sum()) for _, record in comparison.evaluated)
    note = "Lines join what is not dominated in the two objectives shown, bold for the run with a group's median "
    note += "hypervolume; the smallest dots are a sample of "
    note += f"{total:,} evaluations"
    return note + (", grey those of initial designs." if total and comparison.moves else ".")


def _statistics(parts: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return title, tables of tests, and a note on missing tests for each experiment with several groups."""
    said = []
    for part in parts:
        if len(part.groups) > 1:
            found = outcomes(part)
            title = ", ".join(group.label for group in part.groups)
            tables = [_table(outcome) for outcome in found if outcome.differences()]
            said.append({"title": title, "box": _corners(part), "tables": tables, "missing": _missing(found)})
    return said


def _alone(parts: Sequence[Comparison]) -> str:
    """Return a note on groups that are alone in their experiment; empty without any."""
    alone = [part.groups[0].label for part in parts if len(part.groups) == 1]
    if not alone:
        return ""
    if len(parts) == 1:
        return "There is one group: nothing to compare it with."
    return f"Alone in their experiment: {'; '.join(alone)}. together=true compares all groups with each other."


def _table(outcome: RunOutcome) -> Table:
    found = outcome.differences()
    sign = 1.0 if outcome.more_is_better else -1.0
    head = ["first", "second", "runs", "difference", f"p, Holm (of {counted(len(found), 'test')})", "p", "A12",
            "median of first", "median of second", "test"]  # fmt: skip
    rows = [[d.first, d.second, _sizes(d), number(sign * d.difference), p_value(d.p_holm), p_value(d.p),
             f"{d.effect:.2f}", number(sign * d.median_first), number(sign * d.median_second), d.test]
            for d in found]  # fmt: skip
    return {"name": _outcome_name(outcome), "head": head, "rows": rows, "numbers": range(3, 9)}


def _missing(found: Sequence[RunOutcome]) -> str:
    """Return the reason why some groups are not compared; empty if all are."""
    sizes = [len(values) for outcome in found for values in outcome.values.values() if values]
    pairs = [len([values for values in outcome.values.values() if values]) for outcome in found]
    if all(len(outcome.differences()) == n * (n - 1) // 2 for outcome, n in zip(found, pairs, strict=True)):
        return ""
    kind = "No tests" if not any(outcome.differences() for outcome in found) else "Some groups are not compared"
    least, most = min(sizes), max(sizes)
    there = f"there {'is' if most == 1 else 'are'} {_range([least, most])}"
    needed = f"at least {pairs_needed(2)} seeds that two groups have in common, or {APART_NEEDED} other ones in each"
    return f"{kind}: {needed}, are needed for p < {ALPHA:g}; {there} in a group."


def _sizes(difference: Difference) -> str:
    if difference.test == "signed-rank":
        return counted(difference.n_first, "pair")
    return f"{difference.n_first} and {difference.n_second}"


def _picture(comparison: Comparison, picture: Picture) -> dict[str, Any]:
    values = [
        f"{m.words} {number(v)} {m.short_unit}".strip()
        for m, v in zip(comparison.measures, picture.objectives, strict=True)
    ]
    return {
        "title": picture.title,
        "caption": f"{'; '.join(values)}. {picture.group}: {picture.run}, {picture.place}",
        "drawn": bool(picture.layers),
        "note": picture.note,
        "config": json.dumps(picture.config),
    }


def mean_seconds(group: Group) -> Mapping[str, float]:
    """Return the mean seconds of a group's runs by activity, over runs that recorded their times."""
    timed = [run for run in group.evaluated if run.seconds]
    names = dict.fromkeys(name for run in timed for step in run.seconds.values() for name in step)
    ordered = sorted(names, key=lambda name: ACTIVITIES.index(name) if name in ACTIVITIES else len(ACTIVITIES))
    return {
        name: float(np.mean([sum(step.get(name, 0.0) for step in run.seconds.values()) for run in timed]))
        for name in ordered
    }


def _times(groups: Sequence[Group]) -> dict[str, Any]:
    found = {group.label: mean_seconds(group) for group in groups}
    names = list(dict.fromkeys(name for seconds in found.values() for name in seconds))
    rows = []
    for label, seconds in found.items():
        total = sum(seconds.values())
        if total > 0:
            shares = [100 * seconds.get(name, 0.0) / total for name in names]
            rows.append({"label": label, "total": _duration(total), "shares": shares})
    cells = [[label, *(_duration(seconds.get(name, 0.0)) for name in names), _duration(sum(seconds.values()))]
             for label, seconds in found.items()]  # fmt: skip
    head = ["group", *names, "all"]
    return {"names": names, "rows": rows, "head": head, "cells": cells, "numbers": range(1, len(head))}


def _duration(seconds: float) -> str:
    if seconds < 0.0005:
        return "0 s"
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"


def _settings(groups: Sequence[Group]) -> Table:
    found = differing([flat_settings(group.runs[0].settings) for group in groups])
    rows = []
    for name, values in found.items():
        for value in dict.fromkeys(values):
            labels = [group.label for group, other in zip(groups, values, strict=True) if other == value]
            rows.append([name, value, "; ".join(labels)])
    return {"head": ["setting", "value", "groups"], "rows": rows}


def runs_table(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> Table:
    """Return a table of all runs, including those without results."""
    home = {r.name: (c, g.label) for c in comparisons for g in c.groups for r in g.runs}
    head = ["run", "group", "seed", "state", "evaluations", "failed", "hypervolume", "front", "what ended it", "folder"]
    rows = []
    for run in runs:
        comparison, label = home.get(run.name, (None, "-"))
        found: list[Any] = ["-", len(run.failures), "-", "-"]
        if comparison is not None and run.record is not None:
            volume = number(float(comparison.hypervolumes[run.name][-1]))
            failed = int((~run.record.ok).sum())
            found = [len(run.record.step), failed, volume, len(comparison.front(run))]
        state = run.state if run.record is not None else f"{run.state}, no results"
        rows.append([run.name, label, run.seed, state, *found, run.error or "", str(run.folder)])
    return {"head": head, "rows": rows, "numbers": (2, 4, 5, 6, 7), "wide": (8, 9)}
