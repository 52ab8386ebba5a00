import pytest

from nas.report.comparison import compare_runs
from nas.report.papers import accuracies_table, hypotheses_table, p_value, papers_of, printed_hypotheses
from tests.report.made import RANDOM, made_run


@pytest.fixture
def comparisons(tmp_path):
    runs = [made_run(tmp_path / f"m{i}", seed=i, noise=i) for i in range(4)]
    runs += [made_run(tmp_path / f"r{i}", seed=i, settings=RANDOM, shift=2, noise=i) for i in range(4)]
    return compare_runs(runs, None, None)


def test_tables_in_words(comparisons):
    papers = papers_of(comparisons, "papers", published=False)
    assert papers.published == () and len(papers.tested) == 4
    table = hypotheses_table(papers.tested)
    row = dict(zip(table["head"], table["rows"][1], strict=True))
    assert row["hypothesis"] == "MSuNAS > random search" and row["by"] == "highest accuracy, test"
    assert (row["found"], row["pairs"], row["p"], row["p, Bonferroni"]) == ("not shown", 4, "0.0625", "0.2500")
    assert row["difference"] == "+2" and row["first"] == "msunas"
    assert "corrected for 4 tests" in table["note"] and "With 4 pairs no p value is below 0.0625" in table["note"]
    assert "The best one" not in table["note"]
    accuracies = accuracies_table(comparisons[0])
    assert [found[:3] for found in accuracies["rows"]] == [["MSuNAS", "msunas", 4], ["random search", "random", 4]]


def test_printed_table_is_aligned(comparisons):
    lines = printed_hypotheses(papers_of(comparisons, "papers", published=True).tested)
    assert lines[0] == "Hypotheses:" and lines[1].split()[0] == "hypothesis"
    place = lines[1].index("found")
    assert all(line[place:].startswith("not shown") for line in lines[2:6])
    assert printed_hypotheses([]) == []


def test_p_values():
    assert (p_value(1e-6), p_value(0.03125)) == ("< 0.0001", "0.0312")
