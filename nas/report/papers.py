"""The papers' hypotheses and published networks as a report needs them, and their tables in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.report.comparison import Comparison
from nas.report.exhibits import highest_accuracies, split_of
from nas.report.hypotheses import ALPHA, TOGETHER, Tested, examine, read_hypotheses
from nas.report.published import Published, published_methods
from nas.report.summary import Table, number
from nas.types import Floats

HEAD = ("hypothesis", "images", "by", "found", "p, Bonferroni", "pairs", "median of first", "median of second",
        "difference", "A12", "p", "first", "second")  # fmt: skip


@dataclass(frozen=True)
class Papers:
    """What a report says about the papers beside its runs' own numbers.

    Attributes:
        tested: hypotheses that these runs have both sides of.
        published: other methods' networks to show.
    """

    tested: Sequence[Tested]
    published: Sequence[Published]


def papers_of(comparisons: Sequence[Comparison], hypotheses: str, published: bool) -> Papers:
    """Return what there is to say.

    Args:
        comparisons: of runs.
        hypotheses: ``papers``, ``none`` or a file.
        published: whether other methods' networks are shown.

    Raises:
        UserError: if the file cannot be read or says something else.
    """
    tested = examine(read_hypotheses(hypotheses), comparisons)
    return Papers(tested, published_methods() if published else ())


def hypotheses_table(tested: Sequence[Tested]) -> Table:
    """Return a row for each test."""
    rows = [[t.hypothesis, t.data, t.outcome, t.verdict, p_value(t.p_bonferroni), t.pairs, number(t.median_first),
             number(t.median_second), f"{t.difference:+.3g}", f"{t.effect:.2f}", p_value(t.p), t.first, t.second]
            for t in tested]  # fmt: skip
    return {"head": list(HEAD), "rows": rows, "numbers": range(4, 11), "note": _note(tested)}


def p_value(p: float) -> str:
    """Return a p value with four places."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def _note(tested: Sequence[Tested]) -> str:
    note = (
        f"One-sided signed-rank tests (Wilcoxon) over runs of equal seeds; p is corrected for {len(tested)} tests "
        f"(Bonferroni), and a hypothesis holds where that is below {ALPHA:g}."
    )
    if any(t.best for t in tested):
        note += (
            " The best one is the group with the best median hypervolume on the images of the test: chosen afterwards, "
            "as in the papers, which favours it."
        )
    if any(t.data == TOGETHER for t in tested):
        note += f" Rows of {TOGETHER} have the pairs of those above them."
    few = [t.pairs for t in tested if len(tested) * 0.5**t.pairs >= ALPHA]
    if few:
        note += (
            f" With {min(few)} pairs no p value is below {p_value(0.5 ** min(few))} before correction: too few runs to "
            f"show anything."
        )
    return note


def accuracies_table(comparison: Comparison) -> Table:
    """Return the highest accuracy and the hypervolume of each method, as the papers list them."""
    split = split_of(comparison)
    head = ["method", "group", "runs", f"highest accuracy, {split} (%)", "mean and st.dev.", f"hypervolume, {split}",
            "mean and st.dev."]  # fmt: skip
    rows = []
    for row in highest_accuracies(comparison):
        values = [text for found in (row.accuracy, row.hypervolume) for text in _spread(found)]
        rows.append([row.role, row.group, len(row.seeds), *values])
    return {"head": head, "rows": rows, "numbers": range(2, len(head))}


def _spread(values: Floats) -> tuple[str, str]:
    ends = f"{number(float(np.median(values)))} ({number(values.min())} to {number(values.max())})"
    return ends, f"{number(float(values.mean()))} ± {float(values.std(ddof=len(values) > 1)):.2g}"


def printed_hypotheses(tested: Sequence[Tested]) -> list[str]:
    """Return the table as lines of text."""
    if not tested:
        return []
    table = hypotheses_table(tested)
    wanted = [HEAD.index(name) for name in HEAD if name not in ("first", "second", "p")]
    rows = [[str(row[i]) for i in wanted] for row in (list(HEAD), *table["rows"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(wanted))]
    right = [i in table["numbers"] for i in wanted]
    lines = [
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in rows
    ]
    return ["Hypotheses:", *lines, table["note"]]
