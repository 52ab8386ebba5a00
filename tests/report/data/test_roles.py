import pytest

from nas.report.data.comparison import compare_runs
from nas.report.data.groups import group_runs
from nas.report.data.runs import find_runs, read_run
from tests.report.made import RANDOM, SETTINGS, made_run
from tests.report.made_papers import SUPERNETS, cascades, searched, write_papers


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    folder = write_papers(tmp_path_factory.mktemp("papers"), seeds=2)
    return group_runs([read_run(str(path), path) for path in find_runs([str(folder)])])


def roles(runs):
    return [group.role for group in group_runs(runs)]


def test_every_method_of_the_papers_is_known_by_its_settings(groups):
    found = {group.runs[0].folder.parent.name: group.role for group in groups}
    methods = {name: (role.method, role.supernets, role.clones) for name, role in found.items()}
    assert methods == {
        **dict.fromkeys(SUPERNETS, ("nat", 1, False)),
        "frozen": ("frozen", 1, False),
        "joint_2nets": ("joint", 2, False),
        "joint_5nets": ("joint", 5, False),
        "encas_1": ("encas", 1, False),
        "encas_2": ("encas", 2, False),
        "encas_5": ("encas", 5, False),
        "clones_2": ("encas", 2, True),
        "clones_5": ("encas", 5, True),
        "greedy": ("greedy", 5, False),
        "random": ("encas_random", 5, False),
        "ensembles": ("ensembles", 5, False),
        "plus_2": ("joint_plus", 2, False),
        "plus_5": ("joint_plus", 5, False),
    }
    assert found["encas_5"].networks == found["greedy"].networks == found["random"].networks
    assert found["encas_5"].networks != found["encas_2"].networks
    assert found["alphanet"].networks == found["frozen"].networks != found["proxyless"].networks


def test_cascades_of_all_seeds_are_one_group_on_the_images_of_their_networks(groups):
    assert all([run.seed for run in group.runs] == [0, 1] for group in groups)
    comparisons = compare_runs([run for group in groups for run in group.runs], None, None)
    assert [comparison.data for comparison in comparisons] == ["digits"]


def test_searches_and_roles_in_words(tmp_path):
    runs = [made_run(tmp_path / "m", settings=SETTINGS), made_run(tmp_path / "r", settings=RANDOM)]
    assert [str(role) for role in roles(runs)] == ["MSuNAS", "random search"]
    far = made_run(tmp_path / "c", settings=cascades(*[tmp_path / "gone" / "seed_0"] * 3))
    assert [str(role) for role in roles([far])] == ["ENCAS (3 clones)"]
    other = made_run(tmp_path / "o", settings=SETTINGS | {"algorithm": {"_target_": "mine.new.Algorithm"}})
    assert [role.method for role in roles([other])] == [""]


def test_frozen_weights_are_nat_where_nothing_adapts(tmp_path):
    run = made_run(tmp_path / "n", settings=searched("nat", "alphanet", "none"))
    assert [role.method for role in roles([run])] == ["nat"]
