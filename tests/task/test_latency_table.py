import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.objective.latency_table import LatencyTable
from tests.small import tiny

TINY: dict[str, Any] = {
    "stage_widths": (8, 12),
    "strides": (1, 2),
    "squeeze_excite": (False, True),
    "hard_swish": (False, True),
    "depths": (1, 2),
    "kernel_sizes": (3, 5),
    "expand_ratios": (1, 4),
    "widths": (1.0,),
    "resolutions": (8, 16),
    "n_classes": 10,
}
ARGUMENTS = (
    "task=latency_table",
    "device=cpu",
    "path=tables/own.json",
    "task.coverage=2",
    "task.rounds=2",
    "task.repeats=2",
    "task.warmup=1",
    "task.calibration_networks=4",
    "task.held_out_networks=5",
    *(f"supernet.{key}={list(value)}" for key, value in TINY.items() if isinstance(value, tuple)),
    "supernet.stem_width=8",
    "supernet.stem_stride=1",
    "supernet.feature_width=24",
)


def test_it_measures_a_table_that_says_what_it_is(launch: Any, tmp_path: Path) -> None:
    code, out, err = launch(*ARGUMENTS, "task.batch_size=2")
    assert code == 0, err
    path = tmp_path / "tables" / "own.json"
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    written = json.loads(path.read_text())
    assert (written["format"], written["version"], written["supernet"]) == ("nas latency table", 1, "tiny")
    assert (written["n_classes"], written["resolutions"]) == (10, [8, 16])
    about = {key: written["measured"][key] for key in ("device", "clock", "threads", "batch_size", "rounds")}
    assert about == {"device": "cpu", "clock": "processor", "threads": 1, "batch_size": 2, "rounds": 2}
    assert written["measured"]["torch"]
    assert written["measured"]["hardware"]
    assert f"error on 5 other networks, {min(m['measured'] for m in written['held_out']):.2f}" in out
    supernet = tiny(**TINY)
    table = LatencyTable(path=path, space=supernet.space, tables=supernet.costs(), n_classes=10)
    for member in written["held_out"]:
        genome = supernet.space.encode(member["arch"])
        assert table(genome[None])[0] == pytest.approx(member["predicted"], abs=1e-4)
    relative = [abs(m["predicted"] - m["measured"]) / m["measured"] for m in written["held_out"]]
    assert written["error"]["mean_error"] == pytest.approx(100 * np.mean(relative), rel=1e-2)
    assert written["error"]["mean_error"] < 100


def test_an_existing_file_stays_unless_told(launch: Any, tmp_path: Path) -> None:
    path = tmp_path / "tables" / "own.json"
    path.parent.mkdir()
    path.write_text("mine")
    code, _, err = launch(*ARGUMENTS)
    assert (code, path.read_text()) == (2, "mine")
    assert "path=tables/own.json exists; add overwrite=true to replace it" in err
    code, _, err = launch(*ARGUMENTS, "overwrite=true")
    assert code == 0, err
    assert json.loads(path.read_text())["version"] == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("path=.", "path=. is a folder; give a file"),
        ("path=???", "path must be given: add path=VALUE"),
        ("task.held_out_networks=1", "must be 2 or more"),
        ("task.calibration_networks=800", "the search space has"),
        ("task.quantile=1.5", "task.quantile=1.5 is wrong"),
        ("device=cuda:99", "is not there"),
    ],
)
def test_wrong_settings_are_one_line_before_any_work(launch: Any, tmp_path: Path, override: str, message: str) -> None:
    key = override.partition("=")[0]
    code, _, err = launch(*(a for a in ARGUMENTS if not a.startswith(f"{key}=")), override)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_networks_that_are_judged_on_are_not_measured_from(launch: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from nas.task.latency_table import LatencyTableTask

    seen = []
    real = LatencyTableTask._networks

    def spy(self: LatencyTableTask, *arguments: Any) -> Any:
        seen.append(real(self, *arguments))
        return seen[-1]

    monkeypatch.setattr(LatencyTableTask, "_networks", spy)
    code, _, err = launch(*ARGUMENTS)
    assert code == 0, err
    for found in seen:
        held_out = {tuple(genome) for genome in found.held_out.tolist()}
        assert len(held_out) == 5
        for others in (found.parts, found.calibration):
            assert not held_out & {tuple(genome) for genome in others.tolist()}
