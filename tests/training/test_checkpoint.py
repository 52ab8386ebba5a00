import logging
from pathlib import Path

import pytest
import torch

from nas.training import checkpoint

CONTENT = {
    "weights": {"a": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)},
    "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "groups": [{"lr": 0.1, "betas": (0.9, 0.99), "x": None}]},
}


def test_round_trip(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c.pt", CONTENT)
    loaded = checkpoint.load(tmp_path / "c.pt")
    assert loaded is not None
    assert loaded["optimizer"] == CONTENT["optimizer"]
    assert torch.equal(loaded["weights"]["a"], CONTENT["weights"]["a"])


def test_absent_file_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert checkpoint.load(tmp_path / "c.pt") is None
    assert not caplog.records


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "other file", "old values"])
def test_damaged_file_is_reported(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c.pt"
    checkpoint.save(path, CONTENT)
    data = path.read_bytes()
    value = torch.arange(6.0).numpy().tobytes()
    assert value in data
    if damage == "old values":
        stored = torch.load(path, weights_only=True)
        stored["content"]["weights"]["a"][0, 0] = 7.0
        torch.save(stored, path)
    else:
        path.write_bytes(
            {
                "empty": b"",
                "cut": data[: len(data) // 2],
                "changed": data.replace(value, value[:-1] + b"\0"),
                "other file": b"hello",
            }[damage]
        )
    with caplog.at_level(logging.WARNING):
        assert checkpoint.load(path) is None
    assert "c.pt is damaged" in caplog.text
