from nas.report.groups import ABSENT, differing, flat_settings, group_runs, short_labels
from tests.report.made import RANDOM, SETTINGS, made_run


def test_runs_that_differ_by_seed_and_free_settings_are_one_group(tmp_path):
    moved = SETTINGS | {"tracker": {"_target_": "nas.tracker.console.ConsoleTracker"}, "paths": {"run": "b"}}
    runs = [
        made_run(tmp_path / "a", seed=1, steps=1),
        made_run(tmp_path / "b", seed=0, settings=moved, steps=1),
        made_run(tmp_path / "c", seed=0, settings=RANDOM, steps=1),
    ]
    groups = group_runs(runs)
    assert [(group.label, [run.folder.name for run in group.runs]) for group in groups] == [
        ("msunas", ["b", "a"]),
        ("random", ["c"]),
    ]


def test_finished_runs_count_as_long_as_there_are_any(tmp_path):
    runs = [
        made_run(tmp_path / str(i), seed=i, state=state, steps=1) for i, state in enumerate(["running", "finished"])
    ]
    assert [run.seed for run in group_runs(runs)[0].counted] == [1]
    assert [run.seed for run in group_runs(runs[:1])[0].counted] == [0]


def flat(**changes):
    algorithm = {"_target_": "nas.algorithm.msunas.MSuNAS", "_partial_": True, "n_iter": 8}
    surrogate = {"_target_": "nas.surrogate.rbf.RBF"}
    settings = {"algorithm": algorithm, "surrogate": surrogate, "sec_obj": {"flops": {"cost": "flops"}}, "threads": 1}
    return flat_settings(settings | changes)


def test_labels_are_the_few_words_that_tell_groups_apart():
    nat = {"_target_": "nas.algorithm.nat.NAT", "n_iter": 300, "reevaluate": True}
    assert short_labels([flat(), flat(algorithm=nat)]) == ["msunas", "nat"]
    gp = {"_target_": "nas.surrogate.gp.GP"}
    assert short_labels([flat(), flat(surrogate=gp)]) == ["rbf", "gp"]
    assert short_labels([flat(), flat(threads=2)]) == ["threads=1", "threads=2"]
    assert short_labels([flat(), flat(surrogate=gp), flat(algorithm=nat)]) == ["msunas, rbf", "msunas, gp", "nat"]
    fewer = {"_target_": "nas.algorithm.msunas.MSuNAS", "n_iter": 4}
    assert short_labels([flat(), flat(algorithm=fewer)]) == ["n_iter=8", "n_iter=4"]
    assert short_labels([flat()]) == ["msunas"]
    assert short_labels([flat(), flat()]) == ["msunas", "msunas (2)"]


def test_differing_settings_name_what_is_absent():
    nat = {"_target_": "nas.algorithm.nat.NAT"}
    found = differing([flat(), flat(algorithm=nat)])
    assert found == {
        "algorithm._target_": ["nas.algorithm.msunas.MSuNAS", "nas.algorithm.nat.NAT"],
        "algorithm.n_iter": ["8", ABSENT],
    }
