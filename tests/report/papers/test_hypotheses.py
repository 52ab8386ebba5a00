from itertools import product

import numpy as np
import pytest

from nas.errors import UserError
from nas.report.data.comparison import compare_runs
from nas.report.data.runs import find_runs, read_run
from nas.report.papers.hypotheses import TOGETHER, examine, read_hypotheses
from nas.report.papers.papers import Papers, hypotheses_table
from nas.report.statistics.tests import a12
from tests.report.made import RANDOM, SETTINGS, made_run
from tests.report.made_papers import searched, write_papers

SEEDS = 6


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory):
    folder = write_papers(tmp_path_factory.mktemp("papers"), seeds=SEEDS)
    return compare_runs([read_run(str(path), path) for path in find_runs([str(folder)])], None, None)


def test_all_of_the_papers_hypotheses_are_tested(comparisons):
    rows, _ = examine(read_hypotheses("papers"), comparisons)
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
    sizes = {row.family: row.family_size for row in rows}
    assert sizes == {"ENCAS, digits (FLOPs)": 24, "NAT, digits (FLOPs)": 2}
    assert sure.p_holm == pytest.approx(24 * 0.5**SEEDS) and sure.verdict == "not shown"
    same = by["MO-GOMEA > random search", "highest accuracy, test"]
    assert same.p > 0.05


def test_one_sided_p_values_over_pairs_of_seeds(comparisons):
    """By hand: every assignment of signs to the differences' ranks."""
    rows, _ = examine(read_hypotheses("papers"), comparisons)
    row = next(row for row in rows if row.hypothesis.startswith("MO-GOMEA") and row.outcome == "hypervolume, test")
    from nas.report.data.outcomes import paper_outcomes

    values = paper_outcomes(comparisons[0], "test")[0].values
    first, second = (np.array([values[name][seed] for seed in range(SEEDS)]) for name in (row.first, row.second))
    ranks = np.argsort(np.argsort(np.abs(first - second))) + 1
    found = ranks[first > second].sum()
    sums = [np.dot(signs, ranks) for signs in product((0, 1), repeat=SEEDS)]
    assert row.p == pytest.approx(np.mean(np.array(sums) >= found))
    assert row.effect == a12(first, second)
    assert row.difference == pytest.approx(np.median(first - second), abs=1e-9)


def test_the_best_supernet_is_the_one_with_the_best_median(comparisons):
    rows, _ = examine(read_hypotheses("papers"), comparisons)
    row = next(row for row in rows if row.hypothesis == "ENCAS (5 supernets) > NAT (best)")
    group = next(group for group in comparisons[0].groups if group.label == row.second)
    assert group.runs[0].folder.parent.name == "alphanet" and row.best


def test_pairs_of_all_images_are_tested_together(tmp_path):
    runs = []
    for data in ("digits", "cifar10"):
        place = {"dataset": {"_target_": f"nas.dataset.{data}.X"}}
        for i in range(5):
            runs.append(made_run(tmp_path / data / f"m{i}", seed=i, settings=SETTINGS | place, noise=i))
            runs.append(made_run(tmp_path / data / f"r{i}", seed=i, settings=RANDOM | place, shift=3, noise=i))
        for path in (tmp_path / data).rglob("run.json"):
            path.write_text(path.read_text().replace('"d"', f'"{data}"'))
    runs = [read_run(run.name, run.folder) for run in runs]
    rows, untested = examine(read_hypotheses("papers"), compare_runs(runs, None, None))
    families = dict.fromkeys((row.family, row.family_size) for row in rows)
    assert list(families) == [
        ("NSGANetV2, digits (FLOPs)", 4),
        ("NSGANetV2, cifar10 (FLOPs)", 4),
        (f"NSGANetV2, {TOGETHER}", 4),
    ]
    together = [row for row in rows if row.data == TOGETHER]
    assert len(together) == 4 and {(row.pairs, row.p) for row in together} == {(10, 0.5**10)} and untested == []
    assert {row.p_holm for row in together} == {4 * 0.5**10}
    better = next(row for row in rows if row.outcome == "highest accuracy, test")
    assert better.difference == pytest.approx(3, abs=1e-9)


def test_what_is_not_there_is_left_out_and_none_is_none(tmp_path):
    alone = compare_runs([made_run(tmp_path / "m")], None, None)
    assert examine(read_hypotheses("papers"), alone) == ([], [])
    assert read_hypotheses("none") == []


def test_a_claim_that_is_the_other_way_round_is_said_to_be(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("- {name: random is better, first: {method: random}, second: {method: msunas}, split: validation}")
    runs = [made_run(tmp_path / f"m{i}", seed=i, noise=i) for i in range(5)]
    runs += [made_run(tmp_path / f"r{i}", seed=i, settings=RANDOM, shift=4, noise=i) for i in range(5)]
    rows, _ = examine(read_hypotheses(str(file)), compare_runs(runs, None, None))
    assert [row.verdict for row in rows] == ["not shown, the other way round"] * 2
    assert rows[1].difference == pytest.approx(-4)


def test_a_family_is_one_experiment_whatever_else_is_in_the_report(tmp_path):
    """Other budgets, supernets, objectives and methods change neither the p values nor their correction."""
    own = [made_run(tmp_path / f"m{i}", seed=i, noise=i) for i in range(9)]
    own += [made_run(tmp_path / f"r{i}", seed=i, settings=RANDOM, shift=0.2, noise=50 + i) for i in range(9)]
    wide = {"supernet": {"_target_": "nas.supernet.tiny_wide.Class"}}
    longer = {"algorithm": SETTINGS["algorithm"] | {"n_iter": 9}}
    others = [
        made_run(tmp_path / f"{name}{i}", seed=i, shift=60, settings=settings, objectives=objectives)
        for i in range(5)
        for name, settings, objectives in (
            ("wide", SETTINGS | wide, 2),
            ("wide_random", RANDOM | wide, 2),
            ("longer", SETTINGS | longer, 2),
            ("three", SETTINGS, 3),
            ("nat", searched("nat", "alphanet"), 2),
        )
    ]
    alone, _ = examine(read_hypotheses("papers"), compare_runs(own, None, None))
    among, _ = examine(read_hypotheses("papers"), compare_runs(own + others, None, None))
    found = {(r.hypothesis, r.outcome): r for r in among if r.pairs == 9}
    assert len(alone) == len(found) == 4
    for row in alone:
        same = found[row.hypothesis, row.outcome]
        assert (same.p, same.p_holm, same.family_size, same.median_first) == (
            row.p, row.p_holm, row.family_size, row.median_first
        )  # fmt: skip
    assert len({row.family for row in among}) == 2
    together, _ = examine(read_hypotheses("papers"), compare_runs(own + others, None, None), together=True)
    assert {row.family_size for row in together} == {len(together)} and len(together) > len(among)


def test_with_few_seeds_nothing_is_tested_and_what_is_missing_is_said(tmp_path):
    runs = [made_run(tmp_path / "m"), made_run(tmp_path / "r", settings=RANDOM)]
    comparisons = compare_runs(runs, None, None)
    tested, untested = examine(read_hypotheses("papers"), comparisons)
    assert tested == [] and {(one.family, one.pairs) for one in untested} == {("NSGANetV2, digits (FLOPs)", 1)}
    assert hypotheses_table(Papers(tested, untested, ()))["notes"] == [
        "NSGANetV2, digits (FLOPs): no tests: at least 5 seeds that both groups have are needed for p < 0.05, there is "
        "1: MSuNAS > random search; MSuNAS > random search, validation."
    ]


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
