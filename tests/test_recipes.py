"""Every recipe composes and runs one tiny step."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TINY = (
    "training=none",
    "tracker=csv",
    "algorithm.n_doe=26",
    "algorithm.n_iter=1",
    "algorithm.iterations=1",
    "evaluator.recalibration_images=64",
)


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "conf" / "experiment").glob("*.yaml"))])
def test_experiment(name, launch, tmp_path):
    code, out, err = launch(f"experiment={name}", *TINY)
    assert code == 0, err
    assert "Front: " in out
    assert len(list(tmp_path.rglob("front.json"))) == 1


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "sweeps").glob("*.yaml"))])
def test_sweep(name, launch, tmp_path):
    """One seed of each; all else as the file says."""
    code, _, err = launch("-cd", str(ROOT / "sweeps"), "-cn", name, "-m", "seed=0", *TINY)
    assert code == 0, err
    assert len(list(tmp_path.rglob("front.json"))) >= 1
