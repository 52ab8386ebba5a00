import numpy as np
import pytest

from nas.errors import counted
from nas.report.data.comparison import compare_runs
from nas.report.papers.papers import (
    Papers,
    _spread,
    accuracies_table,
    hypotheses_table,
    papers_of,
    printed_hypotheses,
)
from nas.report.statistics.tests import number, p_value
from tests.report.made import RANDOM, made_run


@pytest.fixture
def comparisons(tmp_path):
    runs = [made_run(tmp_path / f"m{i}", seed=i, noise=i) for i in range(5)]
    runs += [made_run(tmp_path / f"r{i}", seed=i, settings=RANDOM, shift=2, noise=i) for i in range(5)]
    return compare_runs(runs, None, None)


def test_tables_in_words(comparisons):
    papers = papers_of(comparisons, "papers", published=False)
    assert papers.published == () and len(papers.tested) == 4
    table = hypotheses_table(papers)
    row = dict(zip(table["head"], table["rows"][1], strict=True))
    assert row["hypothesis"] == "MSuNAS > random search" and row["by"] == "highest accuracy, test"
    assert (row["found"], row["pairs"], row["p"], row["p, Holm"]) == ("not shown", 5, "0.0312", "0.1250")
    assert (row["family"], row["tests"]) == ("NSGANetV2, digits (FLOPs)", 4)
    assert row["difference"] == "+2" and row["first"] == "MSuNAS"
    assert table["notes"][1:] == [
        "NSGANetV2, digits (FLOPs): after correction for 4 tests no p value can be below 0.05 with 5 pairs; with 7 it "
        "can."
    ]
    accuracies = accuracies_table(comparisons[0])
    assert [found[:3] for found in accuracies["rows"]] == [
        ["MSuNAS", "MSuNAS", 5],
        ["random search", "random search", 5],
    ]


def test_printed_table_is_aligned(comparisons):
    lines = printed_hypotheses(papers_of(comparisons, "papers", published=True))
    assert lines[0] == "Hypotheses:" and lines[1].split()[0] == "hypothesis"
    place = lines[1].index("found")
    assert all(line[place:].startswith("not shown") for line in lines[2:6])
    assert printed_hypotheses(Papers((), (), ())) == []


def test_spread_has_no_more_digits_than_its_mean():
    assert _spread(np.array([98.67, 98.67 + 3e-14])) == ("98.67 (98.67 to 98.67)", "98.67 ± 0.00")
    assert _spread(np.array([0.95, 0.96, 0.94])) == ("0.95 (0.94 to 0.96)", "0.9500 ± 0.0100")
    assert _spread(np.array([98.67])) == ("98.67", "-") and _spread(np.zeros(2))[1] == "0.0000 ± 0.0000"


def test_p_values():
    assert (p_value(1e-6), p_value(0.03125)) == ("< 0.0001", "0.0312")
    assert [counted(n, "pair") for n in (0, 1, 2, 1200)] == ["0 pairs", "1 pair", "2 pairs", "1,200 pairs"]
    assert (number(1.5e-14), number(-1.5e-14), number(98.67), number(float("nan"))) == ("0", "0", "98.67", "-")
