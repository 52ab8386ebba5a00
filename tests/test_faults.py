"""Ten seeds on SLURM, whatever dies in between; ``benchmarks/faults.py`` does the same with the demo's budget."""

import pytest

from tests import cluster
from tests.faults import DisturbedSweep

SMALL = (
    "training=none",
    "algorithm.n_doe=26",
    "algorithm.n_iter=2",
    "algorithm.iterations=14",
    "evaluator.recalibration_images=64",
    "dataset.resolutions=[8]",
)


@pytest.mark.slow
@pytest.mark.skipif(cluster.missing() is not None, reason=str(cluster.missing()))
@pytest.mark.long
def test_ten_seeds_finish_as_if_nothing_had_happened(tmp_path):
    sweep = DisturbedSweep(tmp_path, SMALL, seeds=10)
    with cluster.alone():
        sweep.disturb()
        done = sweep.finish()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 runs: 10 finished" in done.stdout
    expected = sweep.undisturbed()
    assert len(expected) == 10
    assert sweep.archives() == expected
    assert all(len(ids) == 1 for ids in sweep.wandb_ids().values())
    assert len(sweep.strikes) == 11
    print(sweep.table())
