import numpy as np
import pytest

from nas.pareto import hypervolume
from nas.report.data.comparison import compare_runs
from nas.report.data.runs import find_runs, read_run
from nas.report.papers.exhibits import (
    figures_of,
    front_on,
    highest_accuracies,
    impact_of_supernets,
    middle_run,
    split_of,
)
from nas.report.papers.published import published_methods
from tests.report.made import made_run
from tests.report.made_papers import write_papers
from tests.report.papers.test_published import on


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = write_papers(tmp_path_factory.mktemp("papers"), seeds=3)
    return compare_runs([read_run(str(path), path) for path in find_runs([str(folder)])], None, None)[0]


def test_each_figure_shows_the_groups_that_it_is_about(comparison):
    shown = {f.exhibit.name: [one.label for one in f.shown] for f in figures_of(comparison, published_methods())}
    assert shown == {
        "papers_supernets": [
            f"NAT, {name}" for name in ("AlphaNet", "AttentiveNAS", "OFA-w1.0", "OFA-w1.2", "ProxylessNAS")
        ],
        "papers_cascades": ["NAT (best)", "GreedyCascade", "ENCAS (1 supernet)", "ENCAS (5 supernets)"],
        "papers_joint": ["NAT (best)", "ENCAS (5 supernets)", "ENCAS (2 supernets)", "ENCAS-joint (2 supernets)",
                         "ENCAS-joint (5 supernets)", "ENCAS-joint+ (2 supernets)", "ENCAS-joint+ (5 supernets)"],
        "papers_clones": ["ENCAS (5 supernets)", "ENCAS (5 clones)"],
        "papers_ensembles": ["ENCAS (5 supernets)", "ENCAS-ensemble"],
        "papers_random": ["ENCAS (5 supernets)", "random search for cascades"],
        "papers_frozen": ["NAT", "NAT with frozen weights"],
    }  # fmt: skip
    best = next(f.shown[0].group for f in figures_of(comparison, ()) if f.exhibit.name == "papers_cascades")
    assert best.runs[0].folder.parent.name == "alphanet"


def test_published_networks_beside_runs_on_their_images(tmp_path):
    comparison = compare_runs([made_run(tmp_path / "m", settings=on("imagenet"))], None, None)[0]
    found = list(figures_of(comparison, published_methods()))
    assert [f.exhibit.name for f in found] == ["papers_published"]
    assert len(found[0].published) == 5 and [one.label for one in found[0].shown] == ["MSuNAS"]
    assert list(figures_of(comparison, ())) == []


def test_hypervolumes_over_the_number_of_supernets(comparison):
    lines = {line.label: line for line in impact_of_supernets(comparison)}
    numbers = {label: list(line.supernets) for label, line in lines.items()}
    assert numbers == {"ENCAS": [1, 2, 5], "ENCAS, clones": [2, 5], "ENCAS-joint": [2, 5], "ENCAS-joint+": [2, 5]}
    medians = [np.median(values) for values in lines["ENCAS"].values]
    assert all(len(values) == 3 for values in lines["ENCAS"].values) and medians == sorted(medians)
    box = comparison.box
    group = next(g for g in comparison.groups if g.runs[0].folder.parent.name == "encas_5")
    each = [hypervolume(front_on(comparison, run, "test"), box.reference, box.ideal) for run in group.runs]
    assert sorted(lines["ENCAS"].values[-1]) == pytest.approx(sorted(each))
    middle = middle_run(comparison, group, "test")
    assert each[group.runs.index(middle)] == pytest.approx(np.median(each))


def test_highest_accuracies(comparison):
    rows = highest_accuracies(comparison)
    assert split_of(comparison) == "test" and len(rows) == len(comparison.groups)
    assert rows[0].role == "ENCAS-joint+ (5 supernets)"
    row = next(row for row in rows if row.role == "NAT with frozen weights")
    runs = next(g for g in comparison.groups if g.label == row.group).runs
    for run, accuracy in zip(runs, row.accuracy, strict=True):
        front = run.record.front()
        best = front[run.record.objectives[front, 0].argmin()]
        assert accuracy == pytest.approx(run.test[tuple(run.record.genomes[best])]["top1"])


def test_without_test_images_it_is_the_validation_split(tmp_path):
    runs = [made_run(tmp_path / "m", state="running")]
    comparison = compare_runs(runs, None, None)[0]
    assert split_of(comparison) == "validation"
    assert front_on(comparison, runs[0], "validation")[:, 1].tolist() == sorted(comparison.front(runs[0])[:, 1])
    assert impact_of_supernets(comparison) == []
