"""Folder of a report: page, tables, figures and animation. It is written in full or not at all."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from nas.errors import UserError
from nas.files import write_json, write_text
from nas.report.data.comparison import Comparison
from nas.report.data.runs import Run
from nas.report.data.spaces import Spaces
from nas.report.page.animation import write_animation
from nas.report.page.figures import write_figures
from nas.report.page.page import render_page
from nas.report.page.pictures import chosen_architectures
from nas.report.page.tables import write_tables
from nas.report.papers.exhibit_figures import write_exhibits
from nas.report.papers.papers import Papers
from nas.report.statistics.genes import row_texts
from nas.targets import NO_OTHERS, Allowed

MARK = "report.json"
"""File that marks a folder as a report. Only such a folder may be replaced."""


def check_place(path: Path) -> None:
    """Check that a report can be written to ``path``.

    Raises:
        UserError: If ``path`` is a file or a folder with content that is no report.
    """
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / MARK).exists()):
        raise UserError(f"path={path} holds something that is no report; give another folder")


def write_report(
    path: Path,
    runs: Sequence[Run],
    comparisons: Sequence[Comparison],
    *,
    papers: Papers,
    warnings: Sequence[str],
    cache: Path,
    allowed: Allowed = NO_OTHERS,
) -> None:
    """Write a report to ``path``. An existing report there is replaced after the new one is complete.

    Args:
        path: Folder of the report.
        runs: All runs that were read.
        comparisons: Comparisons with results.
        papers: Hypotheses and published networks.
        warnings: Lines for the top of the page.
        cache: Folder of downloaded files.
        allowed: Classes from outside ``nas`` that the settings of runs may name.
    """
    with _replacing(path.absolute()) as folder:
        _write(folder, runs, comparisons, papers, warnings, Spaces(cache, allowed))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``path`` at the end and is removed after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        _exchange(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write(  # noqa: PLR0917
    folder: Path,
    runs: Sequence[Run],
    comparisons: Sequence[Comparison],
    papers: Papers,
    warnings: Sequence[str],
    spaces: Spaces,
) -> None:
    for name in ("data", "figures"):
        (folder / name).mkdir(parents=True)
    pictures = [chosen_architectures(comparison, spaces) for comparison in comparisons]
    texts = [
        [
            row_texts(found, spaces.space(group.evaluated[0]))
            for group, found in zip(each.groups, each.genes, strict=True)
        ]
        for each in comparisons
    ]
    files = {
        f"data/{name}": what for name, what in write_tables(folder / "data", runs, comparisons, papers, texts).items()
    }
    exhibits = []
    for number, (comparison, drawn) in enumerate(zip(comparisons, pictures, strict=True)):
        suffix = f"_{number + 1}" if len(comparisons) > 1 else ""
        said = write_figures(folder / "figures", comparison, drawn, texts[number], suffix)
        of_papers, shown = write_exhibits(folder / "figures", comparison, papers.published, suffix)
        exhibits.append(shown)
        files |= {f"figures/{name}": what for name, what in (said | of_papers).items()}
        if comparison.moves:
            write_animation(folder / "figures" / f"front{suffix}.gif", comparison)
            files[f"figures/front{suffix}.gif"] = "the fronts of the median runs as they move"
    made = datetime.now(UTC).isoformat(timespec="seconds")
    page = render_page(
        runs,
        comparisons,
        pictures,
        papers=papers,
        exhibits=exhibits,
        texts=texts,
        warnings=warnings,
        files=files,
        made=f"Made by nas, task=report, {made}",
    )
    write_text(folder / "index.html", page)
    listed = [str(run.folder) for run in runs]
    write_json(
        folder / MARK, {"format": "nas-report", "made": made, "runs": listed, "warnings": list(warnings)}, indent=2
    )


def _exchange(new: Path, path: Path) -> None:
    """Replace ``path`` with ``new``."""
    if not path.exists():
        new.rename(path)
        return
    check_place(path)
    old = path.with_name(f".{path.name}.{uuid4().hex[:8]}.old")
    path.rename(old)
    new.rename(path)
    shutil.rmtree(old)
