"""Tables of a report for other programs, as CSV and Parquet, with unrounded values."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from nas.report.data.comparison import Comparison, experiments
from nas.report.data.outcomes import outcomes
from nas.report.data.runs import Run, differing, flat_settings
from nas.report.papers.exhibits import highest_accuracies, split_of
from nas.report.papers.papers import Papers
from nas.report.papers.published import PublishedMethod, published_for
from nas.report.statistics.genes import RowTexts
from nas.run.record import Record
from nas.types import LARGEST

EVALUATIONS = "evaluations"
"""Table that is written only as Parquet. As text it would have hundreds of megabytes."""


def write_tables(
    folder: Path,
    runs: Sequence[Run],
    comparisons: Sequence[Comparison],
    papers: Papers,
    texts: Sequence[Sequence[RowTexts]],
) -> dict[str, str]:
    """Write all tables into a folder.

    Args:
        folder: Existing folder for the files.
        runs: All runs that were read.
        comparisons: Comparisons with results.
        papers: Hypotheses and published networks.
        texts: Texts for the rows of genes, for each group of each comparison.

    Returns:
        Descriptions of the tables by file names.
    """
    said = {}
    for name, what, table in _tables(runs, comparisons, papers, texts):
        if len(table) == 0:
            continue
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet")
        if name != EVALUATIONS:
            pyarrow.csv.write_csv(table, folder / f"{name}.csv")
        said[f"{name}.parquet" if name == EVALUATIONS else f"{name}.csv, {name}.parquet"] = what
    return said


def _tables(
    runs: Sequence[Run],
    comparisons: Sequence[Comparison],
    papers: Papers,
    texts: Sequence[Sequence[RowTexts]],
) -> Iterator[tuple[str, str, pa.Table]]:
    said = {id(comparison): found for comparison, found in zip(comparisons, texts, strict=True)}
    yield "runs", "one row a run", _rows([_run_row(run) for run in runs])
    yield "failures", "evaluations that failed", _rows([_failure for run in runs for _failure in _failures(run)])
    yield "front", "the last front of each run, with test split and final weights", _joined(comparisons, _front)
    yield "hypervolume", "of each run after its steps", _joined(comparisons, _hypervolume)
    yield "attainment", "corners of the attainment surfaces", _joined(comparisons, _attainment)
    yield "surrogate", "quality of predictions, one row a step of a run", _joined(comparisons, _surrogate)
    yield (
        "genes",
        "shares of gene values over iterations",
        _joined(comparisons, _genes(said)),
    )
    yield "times", "seconds, one row a step and activity of a run", _joined(comparisons, _times)
    yield "outcomes", "what groups are compared by, one row a run", _joined(comparisons, _outcomes)
    yield (
        "statistics",
        "tests and effect sizes between groups",
        _joined(comparisons, _statistics(papers.together)),
    )
    tested = [asdict(row) | {"found": row.verdict} for row in papers.tested]
    yield "hypotheses", "the papers' hypotheses, one row a test", _rows(tested)
    yield "accuracies", "highest accuracies, one row a run", _joined(comparisons, _accuracies)
    yield "published", "networks of other methods, with sources", _joined(comparisons, _published(papers.published))
    yield "settings", "settings that differ between groups", _joined(comparisons, _settings)
    yield EVALUATIONS, "every evaluation: step, place, objectives, prediction", _evaluations(comparisons)


def _rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return a table whose columns are all keys of the rows."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a column, as texts if an integer exceeds 64 bits, as seeds of old runs may."""
    if any(isinstance(value, int) and not -LARGEST <= value <= LARGEST for value in values):
        return [None if value is None else str(value) for value in values]
    return values


def _joined(comparisons: Sequence[Comparison], rows: Any) -> pa.Table:
    found = []
    for comparison in comparisons:
        place = {"objectives": " ".join(m.name for m in comparison.measures), "data": comparison.data}
        found += [place | row for row in rows(comparison)]
    return _rows(found)


def _run_row(run: Run) -> dict[str, Any]:
    evaluations = 0 if run.record is None else len(run.record.step)
    failed = 0 if run.record is None else int((~run.record.ok).sum())
    row = {"run": run.name, "seed": run.seed, "state": run.state, "evaluations": evaluations, "failed": failed}
    return row | {"error": run.error, "folder": str(run.folder)}


def _failures(run: Run) -> list[dict[str, Any]]:
    return [{"run": run.name, "architecture": f.architecture, "last_line": f.reason, "traceback": str(f.file)}
            for f in run.failures]  # fmt: skip


def _each(comparison: Comparison) -> Iterator[tuple[dict[str, Any], Run, Record]]:
    for group in comparison.groups:
        for run in group.runs:
            if run.record is not None:
                yield {"group": group.label, "run": run.name, "seed": run.seed}, run, run.record


def _front(comparison: Comparison) -> Iterator[dict[str, Any]]:
    names = [measure.name for measure in comparison.measures]
    for row, run, record in _each(comparison):
        tested = {where: comparison.measured(run, where)[:, 0] for where in ("final", "test")}
        for i, place in enumerate(comparison.courses[run.name].fronts[-1].tolist()):
            values = dict(zip(names, record.objectives[place].tolist(), strict=True))
            errors = {f"{names[0]}_{where}": _known(found[i]) for where, found in tested.items()}
            weights = record.digests[record.weights[place]] if record.weights[place] >= 0 else None
            where = {"step": int(record.step[place]), "index": int(record.index[place]), "weights": weights}
            architecture = {"architecture": json.dumps(record.described[place]["config"])}
            yield row | values | errors | where | architecture


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _hypervolume(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for row, run, _ in _each(comparison):
        course = comparison.courses[run.name]
        for step, count, value, front in zip(
            course.steps.tolist(), course.evaluations.tolist(), comparison.hypervolumes[run.name].tolist(),
            course.fronts, strict=True,
        ):  # fmt: skip
            yield row | {"step": step, "evaluations": count, "hypervolume": value, "front_size": len(front)}


def _attainment(comparison: Comparison) -> Iterator[dict[str, Any]]:
    names = [measure.name for measure in comparison.measures]
    for other, groups in enumerate(comparison.attainment, start=1):
        for group, surfaces in zip(comparison.groups, groups, strict=True):
            for level, corners in surfaces.items():
                for first, second in corners.tolist():
                    pair = {names[0]: first, "other": names[other], "value": second}
                    yield {"group": group.label, "runs": len(group.counted), "level": level} | pair


def _surrogate(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for row, run, _ in _each(comparison):
        for step, (rmse, rho, tau) in zip(*(part.tolist() for part in comparison.qualities[run.name]), strict=True):
            yield row | {"step": step, "rmse": rmse, "rho": _known(rho), "tau": _known(tau)}


def _genes(texts: Mapping[int, Sequence[RowTexts]]) -> Callable[[Comparison], Iterator[dict[str, Any]]]:
    def rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
        for group, found, said in zip(comparison.groups, comparison.genes, texts[id(comparison)], strict=True):
            for gene, width, shares, text in zip(found.genes, found.widths, found.shares, said, strict=True):
                for (value, column), share in np.ndenumerate(shares):
                    step = int(found.steps[column]) if column < len(found.steps) else None
                    row = {"group": group.label, "gene": gene, "first_value": value * width, "values": width}
                    row |= {"stands_for": text[value], "from_step": step}
                    yield row | {"of": "front" if step is None else "candidates", "share": float(share)}

    return rows


def _times(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for row, run, _ in _each(comparison):
        for step, seconds in run.seconds.items():
            for activity, value in seconds.items():
                yield row | {"step": step, "activity": activity, "seconds": value}


def _outcomes(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for outcome in outcomes(comparison):
        for group, values in outcome.values.items():
            for seed, value in values.items():
                yield {"outcome": outcome.name, "unit": outcome.unit, "group": group, "seed": seed, "value": value}


def _statistics(together: bool) -> Callable[[Comparison], Iterator[dict[str, Any]]]:
    def rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
        parts = experiments(comparison, [group.label for group in comparison.groups], together)
        for number, part in enumerate(parts, start=1):
            for outcome in outcomes(part):
                sign = 1.0 if outcome.more_is_better else -1.0
                for difference in outcome.differences():
                    row = asdict(difference)
                    row |= {name: sign * row[name] + 0.0 for name in ("median_first", "median_second", "difference")}
                    row["p_first_better"], row["p_second_better"] = row.pop("p_greater"), row.pop("p_less")
                    yield {"experiment": number, "outcome": outcome.name, "unit": outcome.unit} | row

    return rows


def _accuracies(comparison: Comparison) -> Iterator[dict[str, Any]]:
    split = split_of(comparison)
    for row in highest_accuracies(comparison):
        for seed, accuracy, volume in zip(row.seeds, row.accuracy.tolist(), row.hypervolume.tolist(), strict=True):
            found = {"seed": seed, "split": split, "accuracy": accuracy, "hypervolume": volume}
            yield {"method": row.role, "group": row.group} | found


def _published(methods: Sequence[PublishedMethod]) -> Callable[[Comparison], Iterator[dict[str, Any]]]:
    def rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
        for method in published_for(comparison, methods):
            for name, (error, flops) in zip(method.names, method.values.tolist(), strict=True):
                row = {"method": method.method, "network": name, "top1_error": error, "flops": flops}
                yield row | {"source": method.source}

    return rows


def _settings(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for name, values in differing([flat_settings(group.runs[0].settings) for group in comparison.groups]).items():
        for group, value in zip(comparison.groups, values, strict=True):
            yield {"setting": name, "group": group.label, "value": value}


def _evaluations(comparisons: Sequence[Comparison]) -> pa.Table:
    parts = []
    every = [row for comparison in comparisons for row, _, _ in _each(comparison)]
    seeds = iter(_column([row["seed"] for row in every]))
    for comparison in comparisons:
        for row, _, record in _each(comparison):
            n = len(record.step)
            row["seed"] = next(seeds)
            texts = row | {"objectives": " ".join(m.name for m in comparison.measures), "data": comparison.data}
            columns: dict[str, Any] = {
                name: pa.DictionaryArray.from_arrays(np.zeros(n, dtype=np.int32), [value])
                for name, value in texts.items()
            }
            columns |= {"step": record.step, "index": record.index}
            columns |= {
                m.name: pa.array(record.objectives[:, k], from_pandas=True) for k, m in enumerate(record.measures)
            }
            parts.append(pa.table(columns | {"predicted": pa.array(record.predicted, from_pandas=True)}))
    return pa.concat_tables(parts, promote_options="permissive").unify_dictionaries()
