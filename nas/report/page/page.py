"""The report as one HTML page that needs nothing else: no network, no library, no other file."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from nas.errors import counted
from nas.report.data.comparison import COLUMNS, MOST_STEPS, Comparison
from nas.report.data.runs import Run
from nas.report.page.payload import chart_data
from nas.report.page.pictures import Picture
from nas.report.page.summary import PARTS, runs_table, said_of
from nas.report.papers.exhibit_figures import Drawn
from nas.report.papers.exhibits import split_of
from nas.report.papers.papers import Papers, accuracies_table, hypotheses_table
from nas.report.statistics.genes import RowTexts

TEMPLATES = Path(__file__).parent / "templates"

SCRIPTS = ("chart.js", "front.js", "curves.js", "drawings.js", "start.js")

LONG = 20
"""Letters of a word that always fit into a column."""

SIGNS = re.compile(r"([_/=.,:-]|&[a-z#0-9]+;)")
"""Where such a word may be broken: behind a sign, or an escaped one."""

MOST_FAILURES = 100
"""Failures that the page lists; all are in the tables."""


def render_page(
    runs: Sequence[Run],
    comparisons: Sequence[Comparison],
    pictures: Sequence[Sequence[Picture]],
    *,
    papers: Papers,
    exhibits: Sequence[Sequence[Drawn]],
    texts: Sequence[Sequence[RowTexts]],
    warnings: Sequence[str],
    files: Mapping[str, str],
    made: str,
) -> str:
    """Return the page.

    Every text from a run folder is escaped by the template, and in the values for the charts; a policy in the page
    lets no other script run than its own.

    Args:
        runs: All that were read.
        comparisons: Comparisons that have results.
        pictures: Pictures of each comparison.
        papers: Hypotheses and published networks.
        exhibits: Figures as in the papers, of each comparison.
        texts: Texts of the rows of genes, for each group of each comparison.
        warnings: Lines to show at the top.
        files: Files beside the page, by path.
        made: When and by what.
    """
    values = [
        chart_data(comparison, drawn, said, papers.published)
        for comparison, drawn, said in zip(comparisons, pictures, texts, strict=True)
    ]
    script = "\n".join((TEMPLATES / name).read_text().replace('"use strict";', "") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}\n}})();'
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters["breakable"] = breakable
    sets = [
        said_of(comparison, drawn, any(found["quality"]), papers.together)
        | _of_papers(comparison, shown)
        | {"published": found["published"]}
        for comparison, drawn, shown, found in zip(comparisons, pictures, exhibits, values, strict=True)
    ]
    return environment.get_template("page.html").render(
        title=f"Report of {counted(len(runs), 'run')}",
        summary=_summary(runs, comparisons),
        warnings=warnings,
        sets=sets,
        hypotheses=hypotheses_table(papers) if papers.tested or papers.untested else None,
        runs=runs_table(runs, comparisons),
        failures=_failures(runs),
        files=files.items(),
        most_steps=MOST_STEPS,
        columns=COLUMNS,
        made=made,
        style=Markup((TEMPLATES / "style.css").read_text()),
        data=Markup(inert(values)),
        script=Markup(script),
        script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
    )


def breakable(cell: object) -> Markup:
    """Return a table's cell as HTML in which words that are longer than ``LONG`` may be broken at their signs."""
    words = [str(escape(word)) for word in str(cell).split(" ")]
    broken = [SIGNS.sub(r"\1<wbr>", word) if len(word) > LONG else word for word in words]
    return Markup(" ".join(broken))


def _of_papers(comparison: Comparison, exhibits: Sequence[Drawn]) -> dict[str, Any]:
    accuracies = accuracies_table(comparison)
    parts = [part for part in PARTS if part[0] != "papers" or exhibits or accuracies["rows"]]
    return {"exhibits": exhibits, "accuracies": accuracies, "parts": parts, "split": split_of(comparison)}


def inert(values: Any) -> str:
    """Return values as JSON that ends no element and opens none, whatever texts are in it."""
    text = json.dumps(values, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _summary(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> str:
    states = {state: sum(run.state == state for run in runs) for state in ("finished", "unfinished", "failed")}
    said = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    groups = sum(len(comparison.groups) for comparison in comparisons)
    total = sum(len(record.step) for comparison in comparisons for _, record in comparison.evaluated)
    kinds = f"{counted(groups, 'group')} of runs that differ by the seed alone"
    text = f"{said}; {kinds}; {counted(total, 'evaluation')}."
    if len(comparisons) > 1:
        text += " Runs with other objectives, or on other images, are compared apart from each other."
    return text


def _failures(runs: Sequence[Run]) -> dict[str, Any] | None:
    found = [(run, failure) for run in runs for failure in run.failures]
    if not found:
        return None
    shown = found[:MOST_FAILURES]
    rows = [[run.name, failure.architecture, failure.reason, str(failure.file)] for run, failure in shown]
    said = f"{counted(len(found), 'evaluation')} failed with no other result"
    said += f"; the first {len(shown)} are listed." if len(shown) < len(found) else "."
    return {"said": said, "head": ["run", "architecture", "last line", "traceback"], "rows": rows}
