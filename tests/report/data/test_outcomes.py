import pytest

from nas.report.data.comparison import compare_runs
from nas.report.data.outcomes import outcomes
from tests.report.made import RANDOM, made_run


def found_in(runs):
    return {outcome.name: outcome for outcome in outcomes(compare_runs(runs, None, None)[0])}


def test_numbers_are_those_of_the_runs(tmp_path):
    runs = [made_run(tmp_path / f"m{i}", seed=i) for i in range(6)]
    runs += [made_run(tmp_path / f"r{i}", seed=i, settings=RANDOM, shift=4.0) for i in range(6)]
    found = found_in(runs)
    assert [name for name in found if "after" not in name] == [
        "hypervolume", "hypervolume on the test split", "lowest top-1 error", "lowest top-1 error, on the test split"
    ]  # fmt: skip
    error = found["lowest top-1 error"]
    assert error.values["MSuNAS"][3] == runs[3].record.objectives[:, 0].min()
    record = runs[3].record
    chosen = int(record.objectives[:, 0].argmin())
    assert found["lowest top-1 error, on the test split"].values["MSuNAS"][3] == 10.0 + record.step[chosen]
    difference = error.differences()[0]
    assert (difference.first, difference.second, difference.test) == ("MSuNAS", "random search", "signed-rank")
    assert difference.effect == 1.0 and difference.p_greater == pytest.approx(1 / 64)  # lower errors are better
    assert found["hypervolume"].differences()[0].effect == 1.0


def test_unequal_budgets_are_compared_at_what_all_have(tmp_path):
    runs = [made_run(tmp_path / "m", steps=6), made_run(tmp_path / "r", settings=RANDOM, steps=4)]
    fewest = len(runs[1].record.step)
    found = found_in(runs)[f"hypervolume after {fewest} evaluations"]
    assert found.values["random search"] == found_in(runs)["hypervolume"].values["random search"]
    assert found.values["MSuNAS"][0] <= found_in(runs)["hypervolume"].values["MSuNAS"][0]


def test_unfinished_runs_and_second_runs_of_a_seed_do_not_count(tmp_path):
    runs = [
        made_run(tmp_path / "a"),
        made_run(tmp_path / "b", shift=-3.0),
        made_run(tmp_path / "c", seed=1, state="running"),
    ]
    found = found_in(runs)["lowest top-1 error"].values["MSuNAS"]
    assert found == {0: runs[0].record.objectives[:, 0].min()}
