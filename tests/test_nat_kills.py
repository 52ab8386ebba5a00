"""NAT and ENCAS-joint killed by SIGKILL wherever they can be: a second process ends with what one process ends with."""

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
JOINT = [
    *("algorithm=encas_joint", "supernet=[tiny,tiny_wide]", "tracker=csv", "device=cpu", "paths.run=run"),
    *("dataset.resolutions=[8]", "algorithm.n_doe=10", "algorithm.n_iter=8", "algorithm.iterations=2"),
    *("training.member.epochs=4", "training.member.averaged_iterations=2", "training.member.initial.epochs=1"),
    *("training.member.initial.warmup_epochs=0", "evaluator.networks.recalibration_images=64"),
    *("surrogate.member.members=20", "surrogate.combining.members=20", "surrogate.cost.members=20"),
    *("optimizer.evaluations=200", "evaluator.cascades_at_once=3"),
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
    "before a step is archived": ("nas.run.archive:Archive", "extend", 2),
    "after a step is archived": ("nas.run.results:Results", "record_seconds", 2),
    "in writing the final weights": ("nas.training.snapshots:Snapshots", "save_final", 1),
    "in measuring the final front": ("nas.run.results:Results", "write_front", 4),
}
JOINT_MOMENTS = {
    "in the first supernet's training": ("nas.training.adaptation:Adaptation", "_step", 5),
    "in the second supernet's later training": ("nas.training.adaptation:Adaptation", "_step", 47),
    "in evaluation": ("nas.cascade.joint_evaluator:JointEvaluator", "_metrics", 6),
    "in search": ("nas.cascade.joint_surrogate:JointSurrogate", "predict", 9),
    "in writing one supernet's weights": ("torch", "save", 4),
    "before a step is archived": ("nas.run.archive:Archive", "extend", 2),
    "in writing the second supernet's final weights": ("nas.training.snapshots:Snapshots", "save_final", 2),
}


def command(words: list[str]) -> list[str]:
    return [sys.executable, str(ROOT / "launch.py"), *words, "paths.cache=../cache"]


def whole(words: list[str], folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(command(words), cwd=folder, check=True, capture_output=True)
    return folder / "run"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole(WORDS, tmp_path_factory.mktemp("nat") / "whole")


@pytest.fixture(scope="module")
def undisturbed_joint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole(JOINT, tmp_path_factory.mktemp("joint") / "whole")


def weights(run: Path) -> dict[str, torch.Tensor]:
    found = {}
    for folder in sorted(run.rglob("weights")):
        for file in ("iter_1.pt", "iter_2.pt", "final.pt"):
            content = checkpoint.load(folder / file)
            assert content is not None, file
            tensors = content["weights"] if file == "final.pt" else content["content"]["state"]["weights"]
            found |= {f"{folder.relative_to(run)} {file} {name}": tensor for name, tensor in tensors.items()}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_it_ends_with_the_same_archive_and_weights(moment: str, undisturbed: Path, tmp_path: Path) -> None:
    kill_and_resume(WORDS, MOMENTS[moment], undisturbed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("moment", JOINT_MOMENTS)
@pytest.mark.long
def test_several_supernets_end_with_the_same_archive_and_weights(
    moment: str, undisturbed_joint: Path, tmp_path: Path
) -> None:
    kill_and_resume(JOINT, JOINT_MOMENTS[moment], undisturbed_joint, tmp_path)


def kill_and_resume(words: list[str], moment: tuple[str, str, int], undisturbed: Path, tmp_path: Path) -> None:
    place, name, call = moment
    script = KILL_AT.replace("CONF", str(ROOT / "conf"))
    (tmp_path / "killed").mkdir()
    words = [*words, f"paths.cache={undisturbed.parents[1] / 'cache'}"]
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
