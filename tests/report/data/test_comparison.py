from dataclasses import replace

import numpy as np
import pytest

from nas.errors import UserError
from nas.files import write_json
from nas.report.data.comparison import compare_runs, experiments
from nas.report.data.runs import find_runs, read_run
from tests.report.made import RANDOM, SETTINGS, made_run, whole_archive, write_run
from tests.report.made_papers import write_papers


def test_other_objectives_and_other_images_are_apart(tmp_path):
    other = write_run(tmp_path / "other", seed=2)
    write_json(other / "run.json", {"fingerprints": {"dataset": "another"}})
    runs = [
        made_run(tmp_path / "two"),
        made_run(tmp_path / "random", settings=RANDOM),
        made_run(tmp_path / "three", objectives=3),
        read_run("other", other),
    ]
    found = compare_runs(runs, None, None)
    assert [(len(c.measures), [g.label for g in c.groups]) for c in found] == [
        (2, ["MSuNAS", "random search"]),
        (3, ["MSuNAS"]),
        (2, ["MSuNAS"]),
    ]
    assert found[0].data == "digits"


def test_cascades_are_measured_on_the_images_of_their_pool(tmp_path):
    network = write_run(tmp_path / "network")
    pools = [{"_target_": "nas.pool.runs.RunsPool", "runs": [str(network)]}, {"_target_": "nas.pool.files.FilesPool"}]
    runs = [read_run("network", network)]
    for i, pool in enumerate(pools):
        folder = write_run(tmp_path / str(i), settings=SETTINGS | {"pool": pool})
        write_json(folder / "run.json", {"fingerprints": {"dataset": "none"}})
        runs.append(read_run(str(i), folder))
    assert [len(c.groups) for c in compare_runs(runs, None, None)] == [3]


def test_hypervolumes_share_one_box_which_says_where_it_is_from(tmp_path):
    runs = [made_run(tmp_path / str(i), seed=i, shift=3.0 * i) for i in range(2)]
    box = compare_runs(runs, None, None)[0].box
    assert box.reference == pytest.approx(np.max([whole_archive(r.folder).reference_point() for r in runs], axis=0))
    assert box.ideal.tolist() == [0.0, 0.0] and "worst of their initial designs" in box.origin
    said = SETTINGS | {"reference_point": [50.0, 99.0], "ideal_point": [1.0, 0.5]}
    agreed = [made_run(tmp_path / f"said{i}", seed=i, settings=said) for i in range(2)]
    box = compare_runs(agreed, None, None)[0].box
    assert (box.reference.tolist(), box.ideal.tolist()) == ([50.0, 99.0], [1.0, 0.5]) and "settings" in box.origin
    mixed = compare_runs([*agreed, runs[0]], None, None)[0].box
    assert mixed.reference[0] < 50 and mixed.ideal.tolist() == [0.0, 0.0]
    typed = compare_runs(runs, [40.0, 80.0], [0.0, 1.0])[0]
    assert typed.box.reference.tolist() == [40.0, 80.0] and "command line" in typed.box.origin
    for run in runs:
        assert 0 < typed.hypervolumes[run.name][-1] < 1


@pytest.mark.parametrize(
    ("reference", "ideal", "message"),
    [
        ([1.0], None, "reference_point has 1 values; these runs have 2 objectives: top1_error, flops"),
        (None, [1.0, 2.0, 3.0], "ideal_point has 3 values"),
        ([1.0, 1.0], [2.0, 0.0], "must be below"),
    ],
)
def test_corners_that_do_not_fit_are_refused(tmp_path, reference, ideal, message):
    with pytest.raises(UserError, match=message):
        compare_runs([made_run(tmp_path / "a")], reference, ideal)


def test_curves_of_unfinished_runs_end(tmp_path):
    runs = [made_run(tmp_path / "a", steps=6), made_run(tmp_path / "b", seed=1, steps=3, state="running")]
    comparison = compare_runs(runs, None, None)[0]
    curves = comparison.curves(comparison.groups[0])
    assert not np.isnan(curves[0]).any()
    assert np.isnan(curves[1]).tolist() == (comparison.grid > len(runs[1].record.step)).tolist()
    assert comparison.median_run(comparison.groups[0]).seed == 0


def test_the_front_as_measured_elsewhere(tmp_path):
    run = made_run(tmp_path / "a")
    comparison = compare_runs([run], None, None)[0]
    tested = comparison.measured(run, "test")
    steps = run.record.step[comparison.courses[run.name].fronts[-1]]
    assert tested[:, 0].tolist() == [10.0 + step for step in steps]
    assert tested[:, 1].tolist() == comparison.front(run)[:, 1].tolist()
    assert np.isnan(comparison.measured(run, "final")[:, 0]).all()


def test_genes_of_a_group_are_those_of_the_runs_that_have_the_first_ones(tmp_path):
    runs = [made_run(tmp_path / str(i), seed=i, steps=1) for i in range(3)]
    other = replace(runs[1].record, genes=("one",), genomes=runs[1].record.genomes[:, :1])
    comparison = compare_runs([runs[0], replace(runs[1], record=other), runs[2]], None, None)[0]
    alone = compare_runs([runs[0], runs[2]], None, None)[0]
    for mixed, same in zip(comparison.genes[0].shares, alone.genes[0].shares, strict=True):
        assert np.array_equal(mixed, same)


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
