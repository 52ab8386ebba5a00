import numpy as np
import pytest

from nas.report.comparison import compare_runs
from nas.report.experiments import experiments
from nas.report.runs import find_runs, read_run
from tests.report.made import RANDOM, SETTINGS, made_run
from tests.report.made_papers import write_papers


def parts_of(comparison, together=False):
    labels = [group.label for group in comparison.groups]
    return experiments(comparison, labels, together)


def test_searches_of_one_problem_are_one_experiment(tmp_path):
    gp = SETTINGS | {"surrogate": {"_target_": "nas.surrogate.gp.GP"}}
    longer = SETTINGS | {"algorithm": SETTINGS["algorithm"] | {"iterations": 9}}
    wide = RANDOM | {"supernet": {"_target_": "nas.supernet.tiny_wide.Class"}}
    kinds = {"m": SETTINGS, "g": gp, "r": RANDOM, "l": longer, "w": wide}
    runs = [made_run(tmp_path / name, settings=settings, steps=2) for name, settings in kinds.items()]
    comparison = compare_runs(runs, None, None)[0]
    found = [sorted(run.folder.name for group in part.groups for run in group.runs) for part in parts_of(comparison)]
    assert sorted(found) == [["g", "m", "r"], ["l"], ["w"]]
    assert [len(part.groups) for part in parts_of(comparison, together=True)] == [5]


def test_a_part_is_in_the_box_that_its_runs_have_alone(tmp_path):
    runs = [made_run(tmp_path / "m"), made_run(tmp_path / "r", settings=RANDOM)]
    bad = made_run(tmp_path / "b", settings=SETTINGS | {"threads": 9}, shift=50)
    alone, among = (compare_runs(found, None, None)[0] for found in (runs, [*runs, bad]))
    part = next(part for part in parts_of(among) if len(part.groups) == 2)
    assert part.box.reference.tolist() == alone.box.reference.tolist() != among.box.reference.tolist()
    for run in runs:
        assert np.array_equal(part.hypervolumes[run.name], alone.hypervolumes[run.name])
    said = compare_runs([*runs, bad], (99.0, 99.0), None)[0]
    assert all(part.box.reference.tolist() == [99, 99] for part in parts_of(said))


@pytest.mark.parametrize("names", [["alphanet", "encas_1"], ["encas_5", "greedy"], ["joint_2nets", "plus_2"],
                                   ["alphanet", "frozen", "joint_2nets"], ["alphanet", "proxyless"]])  # fmt: skip
def test_cascades_belong_to_the_runs_that_they_are_made_of(names, tmp_path_factory, papers):
    places = [str(papers / name) for name in names]
    comparison = compare_runs([read_run(str(path), path) for path in find_runs(places)], None, None)[0]
    assert [len(part.groups) for part in parts_of(comparison)] == [len(names)]


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    return write_papers(tmp_path_factory.mktemp("papers"), seeds=1)
