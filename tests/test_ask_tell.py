"""Candidates without training: those of a search, whatever the order and number of answers."""

import numpy as np
import pytest

import nas
from nas.algorithm.msunas import MSuNAS
from nas.optimizer.nsga2 import NSGA2
from nas.selector.subset import Subset
from nas.surrogate.rbf import RBF
from nas.types import Architecture
from tests.tabular import Tabular

SPACE = nas.IntegerSpace([0, 0, 0, 1], [3, 4, 5, 6], names=["depth", "kernel", "width", "r"])
SIZE = nas.KnownCost("size", lambda genomes: 1.0 + genomes.sum(axis=1), unit="M")


def error_of(genomes: np.ndarray) -> np.ndarray:
    return 90 - 4 * np.sqrt(genomes.sum(axis=1)) - genomes[:, 0]


def asker(seed: int = 0, objectives=(SIZE,), **settings: int) -> nas.AskTell:
    algorithm = nas.MSuNAS(**{"n_doe": 12, "n_iter": 4, **settings})
    optimizer = nas.NSGA2(population=12, generations=4)
    return nas.AskTell(SPACE, objectives, algorithm=algorithm, surrogate=nas.RBF(), optimizer=optimizer, seed=seed)


def test_candidates_are_those_of_a_search(space, tables, make_search, tmp_path):
    search, archive = make_search(tmp_path, "msunas", seed=3)
    search.run()
    costs = nas.KnownCost("flops", lambda genomes: tables["macs"](genomes) / 1e6)
    algorithm = MSuNAS(
        space=space,
        objectives=[costs],
        surrogate=RBF(),
        optimizer=NSGA2(population=12, generations=5, crossover_probability=0.9, mutation_eta=1.0),
        selector=Subset(),
        n_doe=16,
        n_iter=4,
        iterations=3,
    )
    asked, problem = nas.AskTell(space, [costs], algorithm=algorithm, seed=3), Tabular(space)
    for step in range(4):
        candidates = asked.ask()
        assert [tuple(genome) for genome in candidates.tolist()] == [e.architecture.genome for e in archive.batch(step)]
        backwards = candidates[::-1]
        chosen = [Architecture(tuple(genome), {}) for genome in backwards.tolist()]
        errors = [100 - problem.metrics(architecture, "validation")["top1"] for architecture in chosen]
        for genome, error in zip(backwards, errors, strict=True):  # one at a time, in another order
            asked.tell(genome, error)
    front = [entry.objectives for entry in archive.front()]
    np.testing.assert_array_equal(asked.front[["top1_error", "flops"]].to_numpy(), np.array(front))


def test_candidates_by_number_are_all_different():
    search = asker()
    numbers = [3, 20, 1, 7]
    found = [search.ask(n) for n in numbers]
    assert [len(each) for each in found] == numbers
    whole = np.concatenate(found)
    assert len(np.unique(whole, axis=0)) == sum(numbers)
    search.tell(whole[::2], error_of(whole[::2]))  # half of them, and on
    more = search.ask(8)
    assert len(np.unique(np.concatenate([whole, more]), axis=0)) == sum(numbers) + 8
    assert len(search.archive) == len(whole[::2])


def test_architectures_of_the_users_own_are_learnt_from():
    known = SPACE.sample_unseen(40, np.zeros((0, 4), dtype=np.int64), np.random.default_rng(0))
    plain, informed = asker(), asker()
    informed.tell(known, error_of(known))
    design = informed.ask()
    np.testing.assert_array_equal(design, plain.ask()[: len(design)] if len(design) == 12 else design)
    informed.tell(design, error_of(design))
    batch = informed.ask()
    everything = np.concatenate([known, design, batch])
    assert len(np.unique(everything, axis=0)) == len(everything)
    assert informed.archive["predicted"].isna().all()


def test_measured_objectives_are_told_and_failures_are_nan():
    search = asker(objectives=(nas.ToldCost("latency", "ms"), SIZE))
    for _ in range(3):
        candidates = search.ask()
        values = np.column_stack([error_of(candidates), candidates.sum(axis=1) / 7])
        values[0] = np.nan
        search.tell(candidates, values)
    archive = search.archive
    assert list(archive.columns) == ["step", "top1_error", "latency", "size", "predicted", *SPACE.names]
    assert archive["latency"].isna().sum() == 3
    told = archive.dropna(subset="latency")
    np.testing.assert_allclose(told["size"], 1.0 + told[list(SPACE.names)].sum(axis=1))
    assert not search.front.isna()["latency"].any()


def test_the_state_is_saved_and_restored(tmp_path):
    search = asker(seed=5)
    search.tell(search.ask(), error_of(asker(seed=5).ask()))
    pending = search.ask(2)
    search.save(tmp_path / "state.json")
    again = asker(seed=5)
    again.restore(tmp_path / "state.json")
    for each in (search, again):
        each.tell(pending, error_of(pending))
    np.testing.assert_array_equal(search.ask(), again.ask())
    np.testing.assert_array_equal(search.ask(), again.ask())
    assert search.archive.equals(again.archive)
    (tmp_path / "damaged.json").write_text((tmp_path / "state.json").read_text().replace("true", "false", 1))
    for other, name, message in (
        (asker(seed=6), "state.json", "another space, other objectives or another seed"),
        (asker(seed=5), "damaged.json", "holds no state of a search"),
        (asker(seed=5), "missing.json", "holds no state of a search"),
    ):
        before = len(other.archive)
        with pytest.raises(nas.UserError, match=message):
            other.restore(tmp_path / name)
        assert len(other.archive) == before


def test_a_space_that_is_used_up_gives_nothing_more():
    space = nas.IntegerSpace([0, 0], [1, 2])
    search = nas.AskTell(space, [SIZE], algorithm=nas.RandomSearch(n_doe=4, n_iter=4))
    found = search.ask(100)
    assert len(np.unique(found, axis=0)) == 6
    search.tell(found, found.sum(axis=1))
    assert search.ask().shape == (0, 2)


@pytest.mark.parametrize(
    ("candidates", "values", "message"),
    [
        ([[0, 0, 0, 9]], [1.0], "gene 3 (r) is 9, allowed are 1 to 6"),
        ([[0, 0, 0]], [1.0], "have 4 genes"),
        ([[0, 0, 0, 1]], [1.0, 2.0], "values have shape (2,); 1 candidates need (1, 1)"),
    ],
)
def test_wrong_values_are_refused_whole(candidates, values, message):
    search = asker()
    with pytest.raises(nas.UserError) as caught:
        search.tell(candidates, values)
    assert message in str(caught.value)
    assert len(search.archive) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": (SIZE, SIZE)}, "objectives have different names"),
        ({"algorithm": nas.NAT()}, "algorithms that adapt weights need a supernet"),
        ({"algorithm": nas.ENCAS()}, "cascades need a pool of networks"),
        ({"algorithm": nas.MSuNAS(n_doe=2), "surrogate": nas.RBF()}, "algorithm.n_doe=2 is too small"),
    ],
)
def test_wrong_parts_are_refused(options, message):
    with pytest.raises(nas.UserError) as caught:
        nas.AskTell(SPACE, **{"objectives": (SIZE,), **options})
    assert message in str(caught.value)
