from nas.report.data.groups import group_runs, short_labels
from nas.report.data.runs import ABSENT, differing, flat_settings, read_run, supernets_of
from tests.report.made import RANDOM, SETTINGS, made_run
from tests.report.made_papers import cascades, joined, searched, write_choice


def test_runs_that_differ_by_seed_and_free_settings_are_one_group(tmp_path):
    moved = SETTINGS | {"tracker": {"_target_": "nas.tracker.console.ConsoleTracker"}, "paths": {"run": "b"}}
    runs = [
        made_run(tmp_path / "a", seed=1, steps=1),
        made_run(tmp_path / "b", seed=0, settings=moved, steps=1),
        made_run(tmp_path / "c", seed=0, settings=RANDOM, steps=1),
    ]
    groups = group_runs(runs)
    assert [(group.label, [run.folder.name for run in group.runs]) for group in groups] == [
        ("MSuNAS", ["b", "a"]),
        ("random search", ["c"]),
    ]


def test_numbers_in_labels_are_in_their_order(tmp_path):
    runs = [made_run(tmp_path / str(n), settings=SETTINGS | {"threads": n}, steps=1) for n in (10, 9, 1)]
    labels = [group.label for group in group_runs(runs)]
    assert labels == ["MSuNAS, threads=1", "MSuNAS, threads=9", "MSuNAS, threads=10"]


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
    gp = {"_target_": "nas.surrogate.gp.GP"}
    assert short_labels(["A", "B"], [flat(), flat(surrogate=gp)]) == ["A", "B"]
    assert short_labels(["A", "A"], [flat(), flat(surrogate=gp)]) == ["A, rbf", "A, gp"]
    assert short_labels(["A", "A"], [flat(), flat(threads=2)]) == ["A, threads=1", "A, threads=2"]
    assert short_labels(["A", "A", "B"], [flat(), flat(surrogate=gp), flat(threads=2)]) == ["A, rbf", "A, gp", "B"]
    fewer = {"_target_": "nas.algorithm.msunas.MSuNAS", "n_iter": 4}
    assert short_labels(["A", "A"], [flat(), flat(algorithm=fewer)]) == ["A, n_iter=8", "A, n_iter=4"]
    assert short_labels(["A", "A"], [flat(), flat()]) == ["A", "A (2)"]
    seeded = [flat(supernet={"seed": seed}) for seed in range(2)]
    assert short_labels(["A", "A"], seeded) == ["A, supernet.seed=0", "A, supernet.seed=1"]


def test_a_supernet_that_is_called_like_the_method_is_said_to_be_one():
    supernets = [{"_target_": f"nas.supernet.{name}.Supernet"} for name in ("nat", "ofa_w12")]
    labels = short_labels(["NAT", "NAT"], [flat(supernet=supernet) for supernet in supernets])
    assert labels == ["NAT, supernet nat", "NAT, OFA-w1.2"]


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
    assert found == {f"ENCAS ({kind})": [0, 1] for kind in ("1 supernet", "2 supernets", "3 supernets", "2 clones")}
    other = [run(0, *names) for names in (["ofa_w10"], ["ofa_w12"])]
    for one in other:
        one.settings["pool"]["runs"] = [path.removesuffix("/seed_0") for path in one.settings["pool"]["runs"]]
    assert [group.label for group in group_runs(other)] == [
        "ENCAS (1 supernet), OFA-w1.0",
        "ENCAS (1 supernet), OFA-w1.2",
    ]
    assert supernets_of(["x/alphanet/seed_*", "joint*", "/"]) == ["alphanet", "joint*", "/"]


def test_supernets_go_by_their_names_on_the_command_line(tmp_path):
    runs = []
    for name in ("alphanet", "ofa_w12"):
        folder = made_run(tmp_path / name, settings=searched("nat", name), steps=1).folder
        write_choice(folder, name)
        runs.append(read_run(name, folder))
    assert runs[0].choices == {"supernet": "alphanet"}
    runs.append(made_run(tmp_path / "j", settings=joined("alphanet", "ofa_w12"), steps=1))
    assert [group.label for group in group_runs(runs)] == [
        "ENCAS-joint (2 supernets)",
        "NAT, AlphaNet",
        "NAT, OFA-w1.2",
    ]
