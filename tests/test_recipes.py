"""Every recipe composes and runs one tiny step."""

from pathlib import Path

import pytest

from tests.cascades import write_pool

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
    code, out, err = launch(f"experiment={name}", *(in_a_small_pool(name, tmp_path) or TINY))
    assert code == 0, err
    assert "Front: " in out
    assert len(list(tmp_path.rglob("front.json"))) == 1


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "sweeps").glob("*.yaml"))])
def test_sweep(name, launch, tmp_path):
    """One seed of each; all else as the file says."""
    code, _, err = launch("-cd", str(ROOT / "sweeps"), "-cn", name, "-m", "seed=0", *TINY)
    assert code == 0, err
    assert len(list(tmp_path.rglob("front.json"))) >= 1


def in_a_small_pool(name, tmp_path):
    """Return what a recipe for stored outputs needs instead of its runs or models; nothing for others."""
    if not name.startswith("encas_"):
        return ()
    write_pool(tmp_path / "outputs_of_models")
    own = "~pool.models" if name == "encas_timm" else "~pool.runs"
    budget = () if name.endswith("greedy") else ("optimizer.evaluations=300",)
    data = ("dataset=none", "~dataset.vld_size") if name == "encas_timm" else ()
    return ("tracker=csv", "paths.cache=cache", "pool=files", own, "pool.folders=[outputs_of_models]", *budget, *data)
