from itertools import product

import numpy as np
import pytest

from nas.errors import UserError
from nas.report.comparison import compare_runs
from nas.report.hypotheses import TOGETHER, examine, read_hypotheses
from nas.report.runs import find_runs, read_run
from nas.report.statistics import a12
from tests.report.made import RANDOM, SETTINGS, made_run
from tests.report.made_papers import write_papers

SEEDS = 6


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory):
    folder = write_papers(tmp_path_factory.mktemp("papers"), seeds=SEEDS)
    return compare_runs([read_run(str(path), path) for path in find_runs([str(folder)])], None, None)


def test_all_of_the_papers_hypotheses_are_tested(comparisons):
    rows = examine(read_hypotheses("papers"), comparisons)
    names = dict.fromkeys(row.hypothesis for row in rows)
    assert list(names) == [
        "ENCAS (1 supernet) > NAT (best)",
        "ENCAS (5 supernets) > NAT (best)",
        "ENCAS (5 supernets) > ENCAS (1 supernet)",
        "ENCAS > GreedyCascade",
        "ENCAS-joint+ > ENCAS-joint (2 supernets)",
        "ENCAS-joint+ > ENCAS-joint (5 supernets)",
        "ENCAS-joint+ > ENCAS (2 supernets)",
        "ENCAS-joint+ > ENCAS (5 supernets)",
        "ENCAS (5 supernets) > ENCAS (5 clones)",
        "MO-GOMEA > random search, validation",
        "MO-GOMEA > random search",
        "ENCAS > ENCAS-ensemble",
        "NAT > the same on frozen weights",
    ]
    assert len(rows) == 2 * len(names) and {row.pairs for row in rows} == {SEEDS}
    by = {(row.hypothesis, row.outcome): row for row in rows}
    sure = by["ENCAS (5 supernets) > ENCAS (1 supernet)", "highest accuracy, test"]
    assert sure.p == 0.5**SEEDS and sure.effect == 1 and sure.difference == pytest.approx(3, abs=1)
    assert sure.p_bonferroni == pytest.approx(len(rows) * 0.5**SEEDS) and sure.verdict == "not shown"
    same = by["MO-GOMEA > random search", "highest accuracy, test"]
    assert same.p > 0.05


def test_one_sided_p_values_over_pairs_of_seeds(comparisons):
    """By hand: every assignment of signs to the differences' ranks."""
    rows = examine(read_hypotheses("papers"), comparisons)
    row = next(row for row in rows if row.hypothesis.startswith("MO-GOMEA") and row.outcome == "hypervolume, test")
    from nas.report.outcomes import paper_outcomes

    values = paper_outcomes(comparisons[0], "test")[0].values
    first, second = (np.array([values[name][seed] for seed in range(SEEDS)]) for name in (row.first, row.second))
    ranks = np.argsort(np.argsort(np.abs(first - second))) + 1
    found = ranks[first > second].sum()
    sums = [np.dot(signs, ranks) for signs in product((0, 1), repeat=SEEDS)]
    assert row.p == pytest.approx(np.mean(np.array(sums) >= found))
    assert row.effect == a12(first, second)
    assert row.difference == np.median(first) - np.median(second)


def test_the_best_supernet_is_the_one_with_the_best_median(comparisons):
    rows = examine(read_hypotheses("papers"), comparisons)
    row = next(row for row in rows if row.hypothesis == "ENCAS (5 supernets) > NAT (best)")
    group = next(group for group in comparisons[0].groups if group.label == row.second)
    assert group.runs[0].folder.parent.name == "alphanet" and row.best


def test_pairs_of_all_images_are_tested_together(tmp_path):
    runs = []
    for data in ("digits", "cifar10"):
        place = {"dataset": {"_target_": f"nas.dataset.{data}.X"}}
        for i in range(3):
            runs.append(made_run(tmp_path / data / f"m{i}", seed=i, settings=SETTINGS | place, noise=i))
            runs.append(made_run(tmp_path / data / f"r{i}", seed=i, settings=RANDOM | place, shift=3, noise=i))
        for path in (tmp_path / data).rglob("run.json"):
            path.write_text(path.read_text().replace('"d"', f'"{data}"'))
    runs = [read_run(run.name, run.folder) for run in runs]
    rows = examine(read_hypotheses("papers"), compare_runs(runs, None, None))
    assert len(rows) == 12 and {row.p_bonferroni for row in rows} == {1.0, 12 * 0.5**6}
    together = [row for row in rows if row.data == TOGETHER]
    assert len(together) == 4 and {(row.pairs, row.p) for row in together} == {(6, 0.5**6)}
    better = next(row for row in rows if row.outcome == "highest accuracy, test")
    assert better.difference == pytest.approx(3, abs=1e-9)


def test_what_is_not_there_is_left_out_and_none_is_none(tmp_path):
    alone = compare_runs([made_run(tmp_path / "m")], None, None)
    assert examine(read_hypotheses("papers"), alone) == []
    assert read_hypotheses("none") == []


def test_a_claim_that_is_the_other_way_round_is_said_to_be(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("- {name: random is better, first: {method: random}, second: {method: msunas}, split: validation}")
    runs = [made_run(tmp_path / f"m{i}", seed=i) for i in range(3)]
    runs += [made_run(tmp_path / f"r{i}", seed=i, settings=RANDOM, shift=4) for i in range(3)]
    rows = examine(read_hypotheses(str(file)), compare_runs(runs, None, None))
    assert [row.verdict for row in rows] == ["not shown, the other way round"] * 2
    assert rows[1].difference == pytest.approx(-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {name: a, first: {method: encas}}", "second"),
        ("- {name: a, first: {method: magic}, second: {method: nat}}", "method is magic, not one of msunas"),
        ("- {name: a, first: {method: nat, size: 3}, second: {method: nat}}", "size is not one of method"),
        ("- {name: a, first: {method: nat}, second: {method: nat}, split: train}", "split is train"),
        ("- {name: a, first: {method: nat}, second: {method: nat}, alike: [seed]}", "alike is"),
        ("- {name: a, first: {method: nat}, second: {method: nat}, p: 1}", "p is not one of"),
        ("3", "an entry is wrong"),
        ("[", "no YAML file"),
    ],
)
def test_files_that_say_something_else_are_refused(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        read_hypotheses(str(file))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="use papers, none, or a file"):
        read_hypotheses(str(tmp_path / "nowhere.yaml"))
