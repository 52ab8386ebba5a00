import numpy as np
import pytest

from nas.pool.run_fronts import networks_of
from nas.run.archive import Archive, Commit, Entry
from nas.types import Measure
from tests.products import sampled, several
from tests.small import tiny

MEASURES = (Measure("top1_error", "%"), Measure("flops", "M multiply-adds"))


def archived(path, space, rows):
    """Return an archive with a step for each list of (genome, objectives, metrics)."""
    archive = Archive.open(path / "archive.jsonl", MEASURES, space.names)
    for step, batch in enumerate(rows):
        entries = [Entry(step, i, space.decode(genome), *found) for i, (genome, *found) in enumerate(batch)]
        archive.extend(Commit(step), entries)
    return archive


def test_each_supernet_has_a_front_of_what_its_networks_do_alone(tmp_path):
    supernet = several("thin", "wide")
    a, b, c, d = sampled(supernet, 4)
    thin = slice(0, supernet.members["thin"].space.n_genes)
    d[thin] = a[thin]  # one network in two cascades

    def found(thin, wide):
        metrics = {"thin_error": thin[0], "thin_flops": thin[1], "wide_error": wide[0], "wide_flops": wide[1]}
        return (50.0, 1.0), metrics

    batches = [
        [(a, *found((10.0, 5.0), (30.0, 2.0))), (b, *found((20.0, 4.0), (31.0, 2.5))), (c, None, {})],
        [(d, *found((25.0, 5.0), (15.0, 9.0)))],  # with other weights, a's thin network is worse than b's
    ]
    archive = archived(tmp_path, supernet.space, batches)
    final = {"thin_error": 21.0, "wide_error": 30.5}
    networks = networks_of("run", supernet, archive, [{"genome": supernet.space.canonical(b[None])[0], "final": final}])
    assert [network.name for network in networks] == [
        "run/thin/iter_0/net_1",
        "run/wide/iter_1/net_0",
        "run/wide/iter_0/net_0",
    ]
    assert [network.group for network in networks] == ["run/thin", "run/wide", "run/wide"]
    assert [network.top1 for network in networks] == [79.0, None, None]
    assert [network.costs["flops"] for network in networks] == [4.0, 9.0, 2.0]
    own = supernet.members["thin"].space.decode(supernet.space.split(b[None])[0][0])
    assert networks[0].architecture.genome == own.genome
    assert networks[0].architecture.config == {**own.config, "supernet": "thin"}
    params = supernet.members["thin"].costs()["params"](np.array([own.genome]))[0]
    assert networks[0].costs["params"] == pytest.approx(params / 1e6)


def test_one_supernet_has_the_runs_front(tmp_path):
    supernet = tiny()
    a, b = supernet.space.sample(2, np.random.default_rng(0))
    metrics = {"top1": 80.0, "flops": 1.0, "params": 0.5}
    archive = archived(tmp_path, supernet.space, [[(a, (20.0, 1.0), metrics), (b, (30.0, 2.0), metrics)]])
    (network,) = networks_of("run", supernet, archive, [{"genome": a, "metrics": {"top1": 80.0}}])
    assert (network.name, network.group, network.top1) == ("run/iter_0/net_0", "run", 80.0)
    assert network.costs == {"flops": 1.0, "params": 0.5}
