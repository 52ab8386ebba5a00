"""NAT killed by SIGKILL wherever it can be: what a second process ends with equals what one process ends with."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nas.training import checkpoint

ROOT = Path(__file__).parent.parent
WORDS = [
    *("algorithm=nat", "tracker=csv", "device=cpu", "paths.run=run", "dataset.resolutions=[8]"),
    *("algorithm.n_doe=10", "algorithm.n_iter=8", "algorithm.iterations=2", "supernet.depths=[1,2]"),
    *("training.epochs=2", "training.averaged_iterations=2", "training.initial.epochs=1"),
    *("training.initial.warmup_epochs=0", "surrogate.members=20", "optimizer.generations=3"),
    *("evaluator.recalibration_images=64", "evaluator.at_once=3"),
]
KILL_AT = """
import os, signal, sys
from functools import wraps
from importlib import import_module

place, name, deadly = sys.argv[1], sys.argv[2], int(sys.argv[3])
module, _, owner = place.partition(":")
owner = getattr(import_module(module), owner) if owner else import_module(module)
real, calls = getattr(owner, name), 0

@wraps(real)
def dies(*args, **kwargs):
    global calls
    calls += 1
    if calls == deadly and name == "save":
        import io
        whole = io.BytesIO()
        real(args[0], whole, **kwargs)
        args[1].write(whole.getvalue()[: len(whole.getvalue()) // 2])
        args[1].flush()
    if calls == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)

setattr(owner, name, dies)
from pathlib import Path
from nas.cli.main import main
sys.argv[1:] = sys.argv[4:]
main(Path("CONF"))
"""
MOMENTS = {
    "in the first step's training": ("nas.training.adaptation:Adaptation", "_step", 5),
    "in a later step's second epoch": ("nas.training.adaptation:Adaptation", "_step", 47),
    "in evaluation": ("nas.evaluator.subnet:SubnetEvaluator", "_together", 7),
    "in search": ("nas.surrogate.rbf_ensemble:RBFEnsemble", "predict", 9),
    "in writing a step's weights": ("torch", "save", 2),
    "in writing an epoch's weights": ("torch", "save", 5),
    "before a step is archived": ("nas.archive:Archive", "extend", 2),
    "after a step is archived": ("nas.results:Results", "record_seconds", 2),
    "in writing the final weights": ("nas.training.snapshots:Snapshots", "save_final", 1),
    "in measuring the final front": ("nas.results:Results", "write_front", 4),
}


def command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "launch.py"), *WORDS, "paths.cache=../cache", *words]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nat") / "whole"
    folder.mkdir()
    subprocess.run(command(), cwd=folder, check=True, capture_output=True)
    return folder / "run"


def weights(run: Path) -> dict[str, torch.Tensor]:
    files = ("iter_1.pt", "iter_2.pt", "final.pt")
    loaded = {file: checkpoint.load(run / "weights" / file) for file in files}
    found = {}
    for file, content in loaded.items():
        assert content is not None, file
        tensors = content["weights"] if file == "final.pt" else content["content"]["state"]["weights"]
        found |= {f"{file} {name}": tensor for name, tensor in tensors.items()}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_it_ends_with_the_same_archive_and_weights(moment: str, undisturbed: Path, tmp_path: Path) -> None:
    place, name, call = MOMENTS[moment]
    script = KILL_AT.replace("CONF", str(ROOT / "conf"))
    (tmp_path / "killed").mkdir()
    words = [*WORDS, f"paths.cache={undisturbed.parents[1] / 'cache'}"]
    killed = subprocess.run(
        [sys.executable, "-c", script, place, name, str(call), *words],
        cwd=tmp_path / "killed",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    again = [sys.executable, str(ROOT / "launch.py"), *words]
    subprocess.run(again, cwd=tmp_path / "killed", check=True, capture_output=True)
    run = tmp_path / "killed" / "run"
    for file in ("archive.jsonl", "front.json"):
        assert (run / file).read_bytes() == (undisturbed / file).read_bytes(), file
    found, expected = weights(run), weights(undisturbed)
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert torch.equal(found[key], tensor), key
