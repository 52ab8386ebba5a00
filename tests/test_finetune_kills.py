"""Fine-tuning killed by SIGKILL wherever it can be: what a second process ends with equals what one process does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nas.training import checkpoint
from tests.task.test_search import SMALL
from tests.test_nat_kills import KILL_AT

ROOT = Path(__file__).parent.parent
SEARCH = [*SMALL, "device=cpu", "paths.cache=cache"]
WORDS = [
    *("task=finetune", "tracker=csv", "device=cpu", "run=../run", "paths.cache=../cache", "paths.run=tuned"),
    *("finetuning.epochs=2", "finetuning.lr=0.02", "finetuning.erasing=0.1", "finetuning.teacher=supernet"),
    *("finetuning.distillation=0.5", "finetuning.dropout=0.1"),
]
MOMENTS = {
    "before the first step": ("nas.finetuning.trainer:Trainer", "_step", 1),
    "in the first epoch": ("nas.finetuning.trainer:Trainer", "_step", 6),
    "in the second epoch": ("nas.finetuning.trainer:Trainer", "_step", 20),
    "in writing the first weights": ("torch", "save", 1),
    "in writing what an epoch left": ("torch", "save", 4),
    "between the two epochs": ("nas.finetuning.trainer:Trainer", "train_epoch", 2),
    "before the summary of an epoch": ("nas.finetuning.course:Course", "_write_summary", 2),
    "in writing the model": ("nas.model.folder", "write_bytes", 1),
}


def command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "launch.py"), *words]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished search, and an undisturbed fine-tuning in ``whole``."""
    folder = tmp_path_factory.mktemp("finetune")
    subprocess.run(command(*SEARCH), cwd=folder, check=True, capture_output=True)
    (folder / "whole").mkdir()
    subprocess.run(command(*WORDS), cwd=folder / "whole", check=True, capture_output=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.long
def test_killed_it_ends_with_the_same_weights(moment: str, place: Path) -> None:
    where, name, call = MOMENTS[moment]
    script = KILL_AT.replace("CONF", str(ROOT / "conf"))
    folder = place / moment.replace(" ", "_")
    folder.mkdir()
    killed = subprocess.run(
        [sys.executable, "-c", script, where, name, str(call), *WORDS],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    subprocess.run(command(*WORDS), cwd=folder, check=True, capture_output=True)
    found, expected = folder / "tuned", place / "whole" / "tuned"
    for file in ("summary.csv", "model.safetensors", "net.subnet", "net.config"):
        assert (found / file).read_bytes() == (expected / file).read_bytes(), file
    for file in ("last.pt", "best.pt"):
        contents = [checkpoint.load(each / "checkpoints" / file) for each in (found, expected)]
        assert contents[0] is not None
        assert checkpoint._digest(contents[0]) == checkpoint._digest(contents[1]), file
