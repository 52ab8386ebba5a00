"""Commands on the pages compose, Python on the pages runs, and the settings page has every choice."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nas.cli.command import CommandLine
from nas.cli.compose import compose_jobs
from tools.docs_hooks import settings_page

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(page: Path) -> Iterator[str]:
    """Yield the command lines in a page's blocks of shell, and in tables."""
    text = page.read_text()
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL)
    for block in [*blocks, *re.findall(r"(?<!`)`(nas [^`\n]+)`(?!`)", text)]:
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(r"(?:nas|python launch\.py)(?= |$)(.*)", line.strip())
            if found:
                yield shlex.join(shlex.split(re.sub(r"\s#.*", "", found[1])))


LINES = sorted({line for page in PAGES for line in commands(page) if "NAME" not in line})


def test_there_are_commands() -> None:
    assert len(LINES) > 50


@pytest.mark.parametrize("line", LINES)
def test_commands_compose(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "examples/elastic_cnn"))
    parsed = CommandLine.parsed(shlex.split(line))
    if parsed.help or parsed.cfg or parsed.task == "estimate":
        return  # tested with what they print
    if parsed.config_name:
        assert (ROOT / "sweeps" / f"{parsed.config_name}.yaml").is_file()  # test_sweeps.py composes them all
        return
    jobs = compose_jobs(parsed)
    for job in jobs.jobs[:2]:
        job.experiment()


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_python_on_the_pages_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    namespace = {"errors_of": lambda genomes: 100 / np.sqrt(1 + genomes.prod(axis=1))}
    found = blocks(page)
    assert found
    quick = '"algorithm.iterations=1", "algorithm.n_doe=30", "training.epochs=2", "training.warmup_epochs=1"'
    for block in found:
        exec(compile(block.replace('"algorithm.iterations=5"', quick), page, "exec"), namespace)


def test_the_settings_page_has_every_choice():
    page = settings_page()
    groups = ("algorithm", "surrogate", "supernet", "dataset", "sec_obj", "task", "tracker", "training")
    for group in groups:
        for file in (ROOT / "conf" / group).glob("*.yaml"):
            assert f"### `{group}={file.stem}`" in page
    assert "| `algorithm.n_doe` | `100` | whole number, 1 to 1,000,000 |" in page
    assert "| `format` | `onnx` | onnx or torchscript or torch_export |" in page  # at the top of the task's file
    assert "| `task.batch_sizes` | `[1, 32]` |" in page
    assert "${" not in "".join(line for line in page.splitlines() if line.startswith(("| `task.", "| `run`")))
