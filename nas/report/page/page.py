"""Report as one self-contained HTML page: it needs no network, no library and no other file."""

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
"""Length up to which words are never broken in a table."""

SIGNS = re.compile(r"([_/=.,:-]|&[a-z#0-9]+;)")
"""Signs after which a longer word may be broken, escaped signs included."""

MOST_FAILURES = 100
"""Largest number of failures that the page lists. The tables contain all."""


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
    """Return the page as HTML.

    The template escapes every text from a run folder, and :func:`inert` those in the values for the charts. The page's
    content security policy allows only its own script.

    Args:
        runs: All runs that were read.
        comparisons: Comparisons with results.
        pictures: Pictures of architectures for each comparison.
        papers: Hypotheses and published networks.
        exhibits: Figures of the papers for each comparison.
        texts: Texts for the rows of genes, for each group of each comparison.
        warnings: Lines for the top of the page.
        files: Descriptions of the report's other files, by path.
        made: Text about the program and the time of the report.
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
    """Return a table's cell as HTML in which words longer than ``LONG`` may be broken after signs.

    Example:
        >>> str(breakable("algorithm.surrogate=rbf"))
        'algorithm.<wbr>surrogate=<wbr>rbf'
    """
    words = [str(escape(word)) for word in str(cell).split(" ")]
    broken = [SIGNS.sub(r"\1<wbr>", word) if len(word) > LONG else word for word in words]
    return Markup(" ".join(broken))


def _of_papers(comparison: Comparison, exhibits: Sequence[Drawn]) -> dict[str, Any]:
    accuracies = accuracies_table(comparison)
    parts = [part for part in PARTS if part[0] != "papers" or exhibits or accuracies["rows"]]
    return {"exhibits": exhibits, "accuracies": accuracies, "parts": parts, "split": split_of(comparison)}


def inert(values: Any) -> str:
    r"""Return values as JSON in which no text can open or close an HTML element.

    Example:
        >>> inert(["</script>"])
        '["\\u003c/script\\u003e"]'
    """
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
