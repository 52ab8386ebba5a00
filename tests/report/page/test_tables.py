import numpy as np
import pyarrow.csv
import pyarrow.parquet

from nas.report.data.comparison import compare_runs
from nas.report.page.tables import write_tables
from nas.report.papers.papers import papers_of
from nas.report.statistics.genes import row_texts
from tests.report.made import RANDOM, made_run


def test_csv_and_parquet_hold_the_values_as_measured(tmp_path):
    runs = [made_run(tmp_path / f"m{i}", seed=i, failing=True) for i in range(6)]
    runs += [made_run(tmp_path / f"r{i}", seed=i, settings=RANDOM, objectives=2) for i in range(6)]
    runs += [made_run(tmp_path / "t", objectives=3)]
    comparisons = compare_runs(runs, None, None)
    texts = [[row_texts(found, None) for found in comparison.genes] for comparison in comparisons]
    (tmp_path / "data").mkdir()
    said = write_tables(tmp_path / "data", runs, comparisons, papers_of(comparisons, "papers", published=True), texts)
    names = {path.stem for path in (tmp_path / "data").glob("*.parquet")}
    assert names == {"runs", "failures", "front", "hypervolume", "attainment", "surrogate", "genes", "times",
                     "outcomes", "statistics", "settings", "evaluations", "hypotheses", "accuracies"}  # fmt: skip
    assert {path.stem for path in (tmp_path / "data").glob("*.csv")} == names - {"evaluations"}
    assert "evaluations.parquet" in said and "front.csv, front.parquet" in said
    tables = {name: pyarrow.parquet.read_table(tmp_path / "data" / f"{name}.parquet") for name in names}
    for name in names - {"evaluations"}:
        text = pyarrow.csv.read_csv(tmp_path / "data" / f"{name}.csv")
        assert text.column_names == tables[name].column_names and len(text) == len(tables[name])
    assert len(tables["evaluations"]) == sum(len(run.record.step) for run in runs)
    front = tables["front"].to_pylist()
    mine = [row for row in front if row["run"] == runs[0].name]
    record = runs[0].record
    assert sorted(row["top1_error"] for row in mine) == sorted(record.objectives[record.front(), 0])
    assert all(row["top1_error_test"] == 10 + row["step"] for row in mine)
    rows = [row for row in tables["evaluations"].to_pylist() if row["run"] == runs[0].name]
    errors = np.array([row["top1_error"] for row in rows], dtype=float)
    assert np.isnan(errors).sum() == (~record.ok).sum() > 0
    row = tables["statistics"].to_pylist()[0]
    assert (row["outcome"], row["first"], row["second"], row["n_first"]) == (
        "hypervolume",
        "MSuNAS",
        "random search",
        6,
    )
    tested = tables["hypotheses"].to_pylist()
    assert tested[0]["hypothesis"] == "MSuNAS > random search" and tested[0]["found"] == "not shown"
    assert (tested[0]["family"], tested[0]["family_size"], row["family"]) == ("NSGANetV2, digits (FLOPs)", 4, 1)
    genes = tables["genes"].to_pylist()
    assert {row["stands_for"] for row in genes if row["gene"] == "kernel"} == {"0", "1", "2"}
    assert len(tables["failures"]) == 18


def test_an_old_run_with_a_seed_of_more_than_64_bits_is_reported(tmp_path):
    runs = [made_run(tmp_path / "a", seed=2**63), made_run(tmp_path / "b", seed=3)]
    comparisons = compare_runs(runs, None, None)
    texts = [[row_texts(found, None) for found in comparison.genes] for comparison in comparisons]
    (tmp_path / "data").mkdir()
    write_tables(tmp_path / "data", runs, comparisons, papers_of(comparisons, "papers", published=True), texts)
    for name in ("runs", "front", "evaluations"):
        seeds = pyarrow.parquet.read_table(tmp_path / "data" / f"{name}.parquet")["seed"].to_pylist()
        assert set(seeds) == {"9223372036854775808", "3"}
