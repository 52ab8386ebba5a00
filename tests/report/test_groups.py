from nas.report.groups import ABSENT, differing, flat_settings, group_runs, short_labels, supernets_of
from nas.report.runs import read_run
from tests.report.made import RANDOM, SETTINGS, made_run
from tests.report.made_papers import cascades, joined, searched


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


def test_searches_for_cascades_are_named_by_the_supernets_of_their_networks(tmp_path):
    def run(i, *names, first=0):
        paths = [tmp_path / name / f"seed_{i + first + k}" for k, name in enumerate(names)]
        return made_run(tmp_path / "-".join(names) / str(i), seed=i, settings=cascades(*paths), steps=1)

    runs = [run(i, *names) for i in range(2) for names in (["a"], ["a", "b"], ["a", "b", "c"], ["a", "a"])]
    found = {group.label: [run.seed for run in group.runs] for group in group_runs(runs)}
    assert found == {"a": [0, 1], "a + b": [0, 1], "3 supernets": [0, 1], "2 clones of a": [0, 1]}
    other = [run(0, *names) for names in (["ofa_w10"], ["ofa_w12"])]
    for one in other:
        one.settings["pool"]["runs"] = [path.removesuffix("/seed_0") for path in one.settings["pool"]["runs"]]
    assert [group.label for group in group_runs(other)] == ["ofa_w10", "ofa_w12"]
    assert supernets_of(["x/alphanet/seed_*", "joint*", "/"]) == ["alphanet", "joint*", "/"]


def test_supernets_go_by_their_names_on_the_command_line(tmp_path):
    runs = []
    for name in ("alphanet", "ofa_w12"):
        folder = made_run(tmp_path / name, settings=searched("nat", name), steps=1).folder
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "hydra.yaml").write_text(
            f"hydra: {{runtime: {{choices: {{supernet: {name}, scale: null}}}}}}"
        )
        runs.append(read_run(name, folder))
    assert runs[0].choices == {"supernet": "alphanet"}
    runs.append(made_run(tmp_path / "j", settings=joined("alphanet", "ofa_w12"), steps=1))
    assert [group.label for group in group_runs(runs)] == ["encas_joint", "nat, alphanet", "nat, ofa_w12"]
