import json

import numpy as np
import pytest
import torch

from nas.errors import UserError
from nas.evaluator.nasbench201 import NasBench201Evaluator
from nas.objective.cost import TableCost
from nas.space import nasbench201
from nas.space.nasbench201 import NasBench201
from nas.supernet.none import NoSupernet
from tests.nasbench import accuracy, all_cells, costs, results, whole_file, written

SMALL = ("tracker=csv", "algorithm.n_doe=12", "algorithm.n_iter=4", "algorithm.iterations=2", "paths.run=run")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Results of all cells after 200 epochs on cifar100, in NAS-Bench-201's format."""
    path = tmp_path_factory.mktemp("tables") / "NAS-Bench-201.pth"
    infos = [(genome, results(genome, 200, ("cifar100",))) for genome in all_cells()]
    infos[7][1]["all_results"]["cifar100", 777]["flop"] = 999.0  # as some of the published: 888's counts
    torch.save(whole_file(infos), path)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def source(tables, cache):
    return NasBench201(cache=cache, path=tables, images="cifar100", epochs=200)


def test_results_are_means_over_seeds_after_the_last_epoch(source):
    genomes = source.space.sample(50, np.random.default_rng(0))
    evaluator = NasBench201Evaluator(source=source, supernet=NoSupernet())
    for split, part in (("validation", "x-valid"), ("test", "x-test")):
        found = evaluator.measure(genomes, split)
        for genome, metrics in zip(genomes, found, strict=True):
            values = [accuracy(genome, 200, "cifar100", part, seed) for seed in (777, 888)]
            assert metrics["top1"] == pytest.approx(np.mean(values))
            assert metrics["loss"] == pytest.approx((100 - np.mean(values)) / 30)
            flops, params, latency = costs(genome, "cifar100")
            assert (metrics["flops"], metrics["params"]) == pytest.approx((flops, params))
            assert metrics["latency"] == pytest.approx(1000 * latency)


def test_costs_are_exact_and_those_of_the_trusted_seed_where_seeds_differ(source):
    genomes = all_cells()
    flops = TableCost(cost="flops", tables=source.costs())(genomes)
    assert flops[7] == round(costs(genomes[7], "cifar100")[0], 5)
    assert flops.tolist() == [round(costs(genome, "cifar100")[0], 5) for genome in genomes]


def test_pairs_of_what_was_trained_on_and_evaluated():
    """As NATS-Bench's reader understands a data set's validation and test accuracy."""
    genome = (4, 0, 1, 2, 3, 1)
    found = nasbench201._accuracies({"12": results(genome, 12), "200": results(genome, 200)})
    for i, epochs in enumerate((12, 200)):
        for j, (data, split) in enumerate(nasbench201._MEASURED):
            seeds = [111, 777][: 2 if data == "cifar10-valid" else 1] if epochs == 12 else [777, 888]
            expected = np.mean([accuracy(genome, epochs, data, split, seed) for seed in seeds])
            assert found[i, j, 0] == pytest.approx(expected)
    assert nasbench201.PARTS["cifar10"] == {
        "validation": ("cifar10-valid", "x-valid"),
        "test": ("cifar10", "ori-test"),
    }


def test_the_file_is_read_once(source, tables, cache, monkeypatch):
    monkeypatch.setattr(nasbench201, "read_cells", None)
    again = NasBench201(cache=cache, path=tables, images="cifar100", epochs=200)
    assert again.fingerprint == source.fingerprint
    assert len(list((cache / "nasbench201").iterdir())) == 1


def test_incomplete_and_foreign_tables_are_refused(source, tables, cache, tmp_path):
    for images, epochs in (("cifar10", 200), ("cifar100", 12)):
        with pytest.raises(UserError, match=rf"lacks results of 15,625 of 15,625 cells for space\.images={images}"):
            NasBench201(cache=cache, path=tables, images=images, epochs=epochs)
    with pytest.raises(UserError, match=r"space\.path=.*absent does not exist; give a file or folder"):
        NasBench201(cache=cache, path=tmp_path / "absent", images="cifar100", epochs=200)
    for content, message in [
        ({"meta_archs": []}, "'arch2infos' is missing"),
        ({"meta_archs": [written((0,) * 6)], "arch2infos": {0: {"full": {"all_results": {}}}}}, "is not laid out as"),
        ({"meta_archs": ["|odd|"], "arch2infos": {0: {"full": {}}}}, "is not laid out as NAS-Bench-201: arch_str is"),
        (
            {"meta_archs": ["8:8:16:64:8"], "arch2infos": {0: {"full": {}}}},
            r"other.pth is NATS-Bench's size search space, whose architectures are channels such as 8:8:16:64:8; space",
        ),
    ]:
        torch.save(content, tmp_path / "other.pth")
        with pytest.raises(UserError, match=message):
            NasBench201(cache=cache, path=tmp_path / "other.pth", images="cifar100", epochs=200)


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def shared_cache(self, cache, source, monkeypatch):
        """The tables are in the cache."""
        self.paths = (f"paths.cache={cache}",)

    @pytest.mark.parametrize("objective", ["flops", "params", "latency"])
    def test_search(self, launch, tables, tmp_path, objective):
        code, out, err = launch(
            "space=nasbench201", f"space.path={tables}", "space.images=cifar100", f"sec_obj={objective}",
            *SMALL, *self.paths,
        )  # fmt: skip
        assert code == 0, err
        assert "Front: " in out
        front = json.loads((tmp_path / "run" / "front.json").read_text())
        assert front["evaluations"] == 20
        place = {"flops": 0, "params": 1, "latency": 2}[objective]
        for member in front["front"]:
            genome = member["genome"]
            value = float(costs(genome, "cifar100")[place]) * (1000 if objective == "latency" else 1)
            assert member["objectives"][objective] == pytest.approx(value)
            assert member["architecture"] == {"arch_str": written(genome)}
            assert member["test"]["top1"] == pytest.approx(member["metrics"]["top1"] + 0.1)

    def test_run_folders_are_named_after_the_space_and_bounds_are_kept(self, launch, tables, tmp_path):
        settings = [word for word in SMALL if not word.startswith("paths")]
        code, _, err = launch(
            "space=nasbench201", f"space.path={tables}", "space.images=cifar100", "constraints.flops.max=30",
            "algorithm=random", *settings, *self.paths,
        )  # fmt: skip
        assert code == 0, err
        (front,) = tmp_path.glob("outputs/nasbench201-random-flops-*/seed_0/front.json")
        assert all(member["objectives"]["flops"] <= 30 for member in json.loads(front.read_text())["front"])

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ((), "space.path must be given"),
            (("space.path=absent",), "space.path=absent does not exist"),
            (("space.path=here", "space.epochs=90"), "space.epochs=90 is wrong: it should be 12 or 200"),
            (("space.path=here", "evaluator=subnet"), "supernet=none has no networks"),
            (("space.path=here", "supernet=tiny"), "has results without networks: leave out supernet="),
            (("space.path=here", "training=supernet"), "supernet=none has no networks"),
            (("space.path=here", "space.images=svhn"), "space.images='svhn' is wrong: it should be 'cifar10-valid', "),
            (("space.path=here", "sec_obj=latency_table", "sec_obj.latency_table.path=x"), "latency_table"),
            (("space.path=here", "evaluator.path=x"), "unknown key 'evaluator.path'"),
        ],
    )
    def test_wrong_settings_are_refused_in_one_line(self, launch, tables, words, message):
        words = [f"space.path={tables}" if word == "space.path=here" else word for word in words]
        code, _, err = launch("space=nasbench201", "space.images=cifar100", *SMALL, *self.paths, *words)
        assert code == 2
        assert message in err
        assert len(err.splitlines()) == 1
