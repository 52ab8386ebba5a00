import pytest

from nas.errors import UserError
from nas.report import folder
from nas.report.data.comparison import compare_runs
from nas.report.folder import MARK, check_place, write_report
from nas.report.papers.papers import Papers
from tests.report.made import made_run


def write(path, tmp_path):
    runs = [made_run(tmp_path / "run")]
    write_report(path, runs, compare_runs(runs, None, None), papers=Papers((), (), ()), warnings=[], cache=tmp_path)


def files(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_a_report_takes_the_place_of_one(tmp_path):
    out = tmp_path / "deep" / "report"
    write(out, tmp_path)
    assert {"index.html", MARK, "data", "figures"} == {path.name for path in out.iterdir()}
    (out / "data" / "old.csv").write_text("old")
    write(out, tmp_path)
    assert not (out / "data" / "old.csv").exists()
    assert [path.name for path in out.parent.iterdir()] == ["report"]


@pytest.mark.slow
def test_all_or_nothing(tmp_path, monkeypatch):
    out = tmp_path / "report"
    write(out, tmp_path)
    before = files(out)

    def broken(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(folder, "render_page", broken)
    for place in (out, tmp_path / "other"):
        with pytest.raises(OSError, match="no space left"):
            write(place, tmp_path)
    assert files(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "run"]


def test_what_is_no_report_stays(tmp_path):
    for name in ("file", "full/thing"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty")
    check_place(tmp_path / "absent")
    for name in ("file", "full"):
        with pytest.raises(UserError, match="holds something that is no report"):
            check_place(tmp_path / name)
