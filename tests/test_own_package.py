"""The package in ``examples/elastic_cnn``: searched from outside, in a sweep, killed and resumed, exported, used."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples/elastic_cnn"
QUICK = (
    *("tracker=csv", "device=cpu", "paths.cache=cache", "dataset=imagefolder", "dataset.path=photos"),
    *("dataset.size=16", "supernet=elastic_cnn", "training.epochs=2", "training.warmup_epochs=1"),
    *("algorithm=random", "algorithm.n_doe=6", "algorithm.n_iter=2", "algorithm.iterations=2"),
    "evaluator.recalibration_images=64",
)
PACKAGE = "hydra.searchpath=[pkg://mylab.conf]"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, outside of the repository, with a folder of photos."""
    folder = tmp_path_factory.mktemp("outside") / "elastic_cnn"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "outputs"))
    digits = load_digits()
    for number in range(200):
        file = folder / f"photos/{digits.target[number]}/{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = (digits.images[number] * 15).astype("uint8")
        Image.fromarray(pixels).resize((16, 16)).convert("RGB").save(file)
    return folder


def environment(place: Path, **others: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{place}{os.pathsep}{ROOT}"} | others


def run(place: Path, *words: str, **others: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas", *words]
    return subprocess.run(
        command, cwd=place, env=environment(place, **others), capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_readmes_commands(place):
    words = ("sec_obj=[flops,activation_memory]", "constraints.activation_memory.max=2.5", "paths.run=outputs/photos")
    found = run(place, PACKAGE, *QUICK, *words, "executor=process", "executor.cpu_workers=1")
    assert found.returncode == 0, found.stderr
    import nas

    archive = nas.load_run(place / "outputs/photos").archive
    assert len(archive) == 10
    assert archive["activation_memory"].max() <= 2.5
    exported = run(
        place, "task=export", "run=outputs/photos", "arch=best", "path=best.onnx", "allow=[mylab]", "paths.cache=cache"
    )
    assert exported.returncode == 0, exported.stderr
    picture = next((place / "photos/3").iterdir())
    command = [sys.executable, "classify.py", "best.onnx", str(picture)]
    used = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True)
    assert used.stdout.strip() in map(str, range(10))
    assert run(place, PACKAGE, "--help", "supernet=elastic_cnn").stdout.startswith("supernet=elastic_cnn: A small")


@pytest.mark.slow
def test_measured_latency_of_the_users_own(place):
    words = ("sec_obj=[camera_latency]", "algorithm.iterations=0", "paths.run=outputs/latency")
    found = run(place, *QUICK, *words, NAS_CONFIG_PATH="pkg://mylab.conf")
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
def test_a_sweep_beside_its_own_folder_killed_and_resumed(place):
    quick = [word for word in QUICK if not word.startswith(("algorithm=", "supernet=", "dataset="))]
    words = ("-m", "-cd", "sweeps", "-cn", "elastic_seeds", PACKAGE, *quick, "seed=0,1", "algorithm=random")
    command = [sys.executable, "-m", "nas", *words, "paths.run=outputs/sweep/${seed}"]
    process = subprocess.Popen(
        command,
        cwd=place,
        env=environment(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    archive = place / "outputs/sweep/0/archive.jsonl"
    for _ in range(1200):
        if archive.exists():
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    found = run(place, *words, "paths.run=outputs/sweep/${seed}")
    assert found.returncode == 0, found.stderr
    for seed in (0, 1):
        single = ("sec_obj=[flops,activation_memory]", f"seed={seed}", f"paths.run=outputs/alone/{seed}")
        alone = run(place, PACKAGE, *QUICK, *single)
        assert alone.returncode == 0, alone.stderr
        whole = place / f"outputs/alone/{seed}/archive.jsonl"
        assert (place / f"outputs/sweep/{seed}/archive.jsonl").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("hydra.searchpath=[pkg://mylab.config]",), "pkg://mylab.config is no package"),
        (("hydra.searchpath=[file://confs]",), "file://confs is no folder; it takes folders of settings"),
        ((PACKAGE, "supernet=elastic_cn"), "unknown choice for supernet: 'elastic_cn'; did you mean 'elastic_cnn'?"),
        ((PACKAGE, "supernet=elastic_cnn", "supernet.width=[8]"), "unknown key 'supernet.width'"),
        ((PACKAGE, "supernet=elastic_cnn", "supernet.widths=[x]"), "supernet.widths[0]='x' is wrong"),
        (
            (PACKAGE, "sec_obj=[activation_memory]", "constraints.activation_memory.maxx=3"),
            "did you mean 'constraints.activation_memory.max'?",
        ),
    ],
)
def test_what_is_wrong_is_one_line(place, words, message):
    found = run(place, *words, "tracker=csv")
    assert found.returncode == 2
    assert message in found.stderr
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1


def test_a_choice_that_would_be_hidden_is_refused(place, tmp_path):
    (tmp_path / "supernet").mkdir()
    (tmp_path / "supernet/tiny.yaml").write_text("_target_: mylab.nets.ElasticCNN\n")
    found = run(place, "-cd", str(tmp_path))
    assert found.returncode == 2
    assert "supernet=tiny exists already; choose another file name" in found.stderr
