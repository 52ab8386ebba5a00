import json
import logging
import shutil
from pathlib import Path

import pytest

from nas.cascade.searched_pool import pool_of
from nas.errors import UserError
from tests.pool.pools import silent
from tests.sealing import change

N_IMAGES = 450


@pytest.fixture(params=["encas", "greedy"])
def other_pool(request, runs, tmp_path, monkeypatch) -> Path:
    """A run whose pool has another fingerprint now, as with another version of torch."""
    shutil.copytree(runs, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / request.param / "run.json"
    change(path, fingerprints=json.loads(path.read_text())["fingerprints"] | {"space": "0" * 64})
    return tmp_path / request.param


def fewer_right(folder: Path, images: int) -> None:
    """Let the run say that its first cascade was right about that many images less."""
    front = json.loads((folder / "front.json").read_text())["front"]
    front[0]["metrics"]["top1"] -= 100 * images / N_IMAGES
    change(folder / "front.json", front=front)


def found(folder: Path) -> None:
    pool_of(folder, device="cpu", cache=folder.parent / "cache", progress=silent)


def test_a_pool_whose_cascades_measure_the_same_is_used(other_pool, caplog):
    with caplog.at_level(logging.WARNING):
        found(other_pool)
    assert caplog.text == ""


def test_rounding_is_warned_about(other_pool, caplog):
    fewer_right(other_pool, 2)
    with caplog.at_level(logging.WARNING):
        found(other_pool)
    assert "is not exactly what it was: of a cascade, its accuracy is" in caplog.text
    assert "(2 of 450 images, as rounding on another processor or device may change)" in caplog.text


def test_a_pool_whose_cascades_measure_something_else_is_refused(other_pool):
    fewer_right(other_pool, 60)
    said = (
        r"is not what it was: its accuracy is .* \(60 of 450 images, rounding explains up to 5\): weights, data or code"
    )
    with pytest.raises(UserError, match=said):
        found(other_pool)


def test_what_holds_no_run_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no run, or is damaged"):
        found(tmp_path / "nowhere")
