"""The wheel, without the repository: settings, the installed command, restarts of sweeps, missing packages."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
QUICK = (
    *("tracker=csv", "paths.cache=cache", "algorithm=random", "algorithm.n_doe=4", "algorithm.iterations=0"),
    *("training.epochs=1", "training.warmup_epochs=0"),
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, place: Path, *words: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    code = f"{before}; import sys; sys.argv[0] = 'nas'; from nas.__main__ import start; start()"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def test_a_search_in_an_empty_folder(installed, tmp_path):
    found = run(installed, tmp_path, *QUICK, "experiment=demo")
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "outputs/demo/front.json").is_file()
    assert "Front: " in found.stdout


def test_sweeps_start_the_installed_program(installed, tmp_path):
    found = run(installed, tmp_path, "-m", "seed=0,1", *QUICK, "paths.run=outputs/${seed}")
    assert found.returncode == 0, found.stderr + found.stdout
    assert sorted(path.parent.name for path in tmp_path.glob("outputs/*/front.json")) == ["0", "1"]


def test_named_sweeps_are_there(installed, tmp_path):
    found = run(installed, tmp_path, "task=estimate", "sweep=digits_msunas_random")
    assert found.returncode == 0, found.stderr


def test_messages_name_the_command(installed, tmp_path):
    assert "nas task=" in run(installed, tmp_path, "--help").stdout
    assert "write nas -m seed=0,1" in run(installed, tmp_path, "seed=0,1").stderr


@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [
        ("ofa", ("supernet=ofa_w10",), "supernets"),
        ("numba", ("algorithm=greedy", "pool=timm", "dataset=none"), "cascades"),
        ("onnx", ("task=export", "run=outputs/demo"), "export"),
        ("submitit", ("-m", "seed=0,1", "hydra/launcher=slurm"), "slurm"),
    ],
)
def test_missing_packages_are_named_with_their_extra(installed, tmp_path, package, words, extra):
    found = run(installed, tmp_path, *words, before=f"import sys; sys.modules['{package}'] = None")
    assert found.returncode == 2
    assert f"package '{package}' is not installed: pip install 'nas[{extra}]'" in found.stderr
    assert found.stderr.count("\n") == 1
