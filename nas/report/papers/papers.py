"""Part of a report about the papers: results of hypotheses, published networks, and their tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.errors import counted
from nas.report.data.comparison import Comparison
from nas.report.papers.exhibits import highest_accuracies, split_of
from nas.report.papers.hypotheses import LEAST_PAIRS, TOGETHER, Tested, Untested, examine, read_hypotheses
from nas.report.papers.published import PublishedMethod, published_methods
from nas.report.statistics.tests import ALPHA, number, p_value
from nas.types import Floats

HEAD = ("hypothesis", "by", "found", "p, Holm", "family", "tests", "p", "pairs", "difference", "A12",
        "median of first", "median of second", "first", "second")  # fmt: skip
PRINTED = ("hypothesis", "by", "found", "p, Holm", "family", "tests", "pairs", "difference")
"""Columns that are printed in the terminal."""


Table = dict[str, Any]
"""Table with the keys ``head``, ``rows`` and ``numbers``, the indices of numeric columns."""


@dataclass(frozen=True)
class Papers:
    """Part of a report about the papers.

    Attributes:
        tested: Test results of the hypotheses for which the runs have both sides.
        untested: Hypotheses with too few pairs of seeds.
        published: Networks of other methods.
        together: Whether all groups on the same images are one experiment.
    """

    tested: Sequence[Tested]
    untested: Sequence[Untested]
    published: Sequence[PublishedMethod]
    together: bool = False


def papers_of(comparisons: Sequence[Comparison], hypotheses: str, published: bool, together: bool = False) -> Papers:
    """Test the hypotheses and return the part of a report about the papers.

    Args:
        comparisons: Comparisons of runs.
        hypotheses: Hypotheses to test: ``papers``, ``none`` or a YAML file.
        published: Whether networks of other methods are shown.
        together: Whether all groups on the same images are one experiment.

    Raises:
        UserError: If the file cannot be read or has another format.
    """
    tested, untested = examine(read_hypotheses(hypotheses), comparisons, together)
    return Papers(tested, untested, published_methods() if published else (), together)


def hypotheses_table(papers: Papers) -> Table:
    """Return a table with one row per test, and notes."""
    rows = [[t.hypothesis, t.outcome, t.verdict, p_value(t.p_holm), t.family, t.family_size, p_value(t.p), t.pairs,
             f"{t.difference:+.3g}", f"{t.effect:.2f}", number(t.median_first), number(t.median_second), t.first,
             t.second] for t in papers.tested]  # fmt: skip
    return {"head": list(HEAD), "rows": rows, "numbers": (3, *range(5, 12)), "notes": _notes(papers)}


def _notes(papers: Papers) -> list[str]:
    notes = []
    if papers.tested:
        notes.append(
            "One-sided signed-rank tests (Wilcoxon) over pairs of equal seeds. The tests of one source on one "
            "experiment are a family, and p is corrected for their number (Holm); a hypothesis holds where that is "
            f"below {ALPHA:g}. Hypervolumes are in the box of the experiment's own runs; the difference is the median "
            "of the pairs' differences."
        )
    if any(t.best for t in papers.tested):
        notes.append(
            "The best one is the group with the best median hypervolume on the images of the test: chosen afterwards, "
            "as in the papers, which favours it."
        )
    if any(t.data == TOGETHER for t in papers.tested):
        notes.append(f"Rows of {TOGETHER} have the pairs of those above them.")
    weak = {t.family: t for t in papers.tested if all(
        one.family_size * 0.5**one.pairs >= ALPHA for one in papers.tested if one.family == t.family)}  # fmt: skip
    for t in weak.values():
        least = next(n for n in range(t.pairs, 99) if t.family_size * 0.5**n < ALPHA)
        notes.append(
            f"{t.family}: after correction for {counted(t.family_size, 'test')} no p value can be below {ALPHA:g} with "
            f"{counted(t.pairs, 'pair')}; with {least} it can."
        )
    for family, pairs in dict.fromkeys((one.family, one.pairs) for one in papers.untested):
        few = [one.hypothesis for one in papers.untested if (one.family, one.pairs) == (family, pairs)]
        notes.append(
            f"{family}: no tests: at least {LEAST_PAIRS} seeds that both groups have are needed for p < {ALPHA:g}, "
            f"there {'is' if pairs == 1 else 'are'} {pairs}: {'; '.join(few)}."
        )
    return notes


def accuracies_table(comparison: Comparison) -> Table:
    """Return a table of the highest accuracy and the hypervolume of each method, as in the papers."""
    split = split_of(comparison)
    head = ["method", "group", "runs", f"highest accuracy, {split} (%)", "mean and st.dev.", f"hypervolume, {split}",
            "mean and st.dev."]  # fmt: skip
    rows = []
    for row in highest_accuracies(comparison):
        values = [text for found in (row.accuracy, row.hypervolume) for text in _spread(found)]
        rows.append([row.role, row.group, len(row.seeds), *values])
    return {"head": head, "rows": rows, "numbers": range(2, len(head))}


def _spread(values: Floats) -> tuple[str, str]:
    ends = number(float(np.median(values)))
    if len(values) == 1:
        return ends, "-"
    mean = float(values.mean())
    digits = max(0, 3 - int(np.floor(np.log10(abs(mean))))) if mean else 4
    return (
        f"{ends} ({number(values.min())} to {number(values.max())})",
        f"{mean:.{digits}f} ± {values.std(ddof=1):.{digits}f}",
    )


def printed_hypotheses(papers: Papers) -> list[str]:
    """Return the table of hypotheses and its notes as lines of text."""
    table = hypotheses_table(papers)
    if not table["rows"]:
        return list(table["notes"])
    wanted = [HEAD.index(name) for name in PRINTED]
    rows = [[str(row[i]) for i in wanted] for row in (list(HEAD), *table["rows"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(wanted))]
    right = [i in table["numbers"] for i in wanted]
    lines = [
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in rows
    ]
    return ["Hypotheses:", *lines, *table["notes"]]
