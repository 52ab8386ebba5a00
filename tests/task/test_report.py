import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.browser import PROGRAM, Browser
from tests.report.made import RANDOM, SETTINGS, write_run

LOOKS: list[dict[str, Any]] = [
    {"width": 1400, "height": 900},
    {"width": 1280, "height": 900, "dark": True},
    {"width": 390, "height": 844, "mobile": True},
]


@pytest.fixture
def runs(tmp_path):
    for i in range(5):
        write_run(tmp_path / "runs" / "msunas" / f"seed_{i}", seed=i)
        write_run(tmp_path / "runs" / "random" / f"seed_{i}", seed=i, settings=RANDOM, shift=2.0)
    return tmp_path / "runs"


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.slow
def test_one_command(launch, runs, tmp_path):
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    code, out, err = launch("task=report", "runs=[runs]")
    assert code == 0, err
    assert "MSuNAS > random search, validation" in out and "NSGANetV2, digits (FLOPs)" in out
    assert "Report of 10 runs in 2 groups" in out and "outputs/report/index.html" in out
    assert "Report of 10 runs" in (tmp_path / "outputs" / "report" / "index.html").read_text()
    marked = json.loads((tmp_path / "outputs" / "report" / "report.json").read_text())
    assert len(marked["runs"]) == 10
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before
    other = (
        "runs=runs/*/seed_0",
        "path=other",
        "together=true",
        "reference_point=[99,99]",
        "hypotheses=none",
        "published=false",
    )
    code, out, err = launch("task=report", *other)
    assert code == 0, err
    assert "Hypotheses" not in out and "no tests" not in out
    page = (tmp_path / "other" / "index.html").read_text()
    assert "Report of 2 runs" in page and "as the command line says" in page


def test_damaged_runs_are_named_and_not_used(launch, runs, tmp_path):
    path = runs / "msunas" / "seed_1" / "archive.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"step":1', b'"step":2', 1))
    code, out, err = launch("task=report", "runs=[runs]", "path=out")
    assert code == 0, err
    assert "Report of 9 runs in 2 groups, 1 damaged left out" in out
    page = (tmp_path / "out" / "index.html").read_text().replace("<wbr>", "")
    assert "Left out, damaged" in page and "msunas/seed_1/archive.jsonl" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs=[]"], "runs is empty; list run folders"),
        ([], "runs must be given"),
        (["runs=[nowhere]"], "runs: 'nowhere' does not exist"),
        (["runs=[runs/msunas/seed_0/failed]"], "'runs/msunas/seed_0/failed' does not exist"),
        (["runs=[empty]"], "runs: 'empty' is no run folder and holds none"),
        (["runs=[runs,3]"], "runs"),
        (["runs=[runs]", "path=full"], "path=full holds something that is no report"),
        (["runs=[runs]", "path=runs/msunas/seed_0/report"], "is inside the run folder"),
        (["runs=[runs]", "reference_point=[1]"], "reference_point has 1 values; these runs have 2 objectives"),
        (["runs=[runs]", "path=''"], "path is empty"),
        (["runs=[runs]", "hypotheses=nowhere.yaml"], "use papers, none, or a file"),
        (["runs=[runs]", "published=maybe"], "published"),
        (["runs=[bad]"], "there is nothing to report: "),
        (["runs=[early]"], "has no complete step"),
    ],
)
def test_wrong_inputs_are_one_line_and_nothing_is_written(launch, runs, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    bad, early = write_run(tmp_path / "bad" / "seed_0"), write_run(tmp_path / "early" / "seed_0", state="running")
    (bad / "archive.jsonl").write_bytes((bad / "archive.jsonl").read_bytes().replace(b"genome", b"gemone", 1))
    (early / "archive.jsonl").unlink()
    before = listing(tmp_path)
    code, _, err = launch("task=report", *arguments)
    assert code == 2
    assert message in err and len([line for line in err.splitlines() if line.startswith("error: ")]) == 1
    assert listing(tmp_path) == before


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")
def test_the_page_in_a_browser(launch, runs, tmp_path):
    write_run(runs / "three", objectives=3, again=True)
    write_run(runs / "cascade", settings=SETTINGS | {"seed": 5}, steps=1, config={"networks": ["a"], "thresholds": []})
    write_run(runs / "broken", seed=9, state="failed", failing=True)
    long = {
        "_target_": "nas.surrogate.rbf.RBF",
        "kernel": "a_name_that_is_longer_than_the_screen_of_a_phone_is_wide",
    }
    write_run(runs / "long", settings=SETTINGS | {"surrogate": long})
    code, _, err = launch("task=report", "runs=[runs]", "path=out")
    assert code == 0, err
    page = tmp_path / "out" / "index.html"
    count = "[...document.querySelectorAll('canvas')].filter((c) => c.width > 0 && c.height > 0).length"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, Browser(Path(profile)) as browser:
        for look in LOOKS:
            browser.open(page, **look)
            assert browser.value("document.documentElement.scrollWidth") <= look["width"]
            wide = "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
            assert browser.value(wide) == 0  # no column of a table is cut off
            hidden = "document.querySelector('.long .scroll')"
            assert browser.value(f"{hidden}.scrollHeight - {hidden}.clientHeight") <= 2  # all hypotheses are in view
            height = browser.value("document.documentElement.scrollHeight")
            browser.open(page, **look | {"height": height})
            browser.value("new Promise((done) => setTimeout(() => done(1), 400))")
            assert browser.value(count) >= 10
            colours = browser.value(
                "(() => { const c = document.querySelector('[data-chart=front] canvas');"
                "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
                "return new Set(new Uint32Array(d.buffer)).size; })()"
            )
            assert colours > 20  # something is drawn
        said = browser.value(
            "new Promise((done) => { document.querySelector('.play').click(); setTimeout(() => "
            "done([...new Set([document.querySelector('output').textContent])]), 300); })"
        )
        assert "evaluations" in said[0]
        assert browser.errors == []
        assert {request.partition(":")[0] for request in browser.requests} <= {"file", "data"}
