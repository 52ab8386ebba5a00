"""Run of Weights & Biases in one process, and the folders of earlier processes. Every call may block."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import wandb

from nas.files import can_be_written
from nas.run.results import StepSummary
from nas.tracker.base import RunInfo

HEADER_BYTES = 7
"""Bytes of the header of a log. Each chunk also has a header of this size: checksum, length, kind."""

BLOCK_BYTES = 2**15
"""Bytes of a block. No chunk crosses the boundary of two blocks."""

WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4
"""Kinds of chunks: a whole record, or its first, middle or last part."""


class EarlierFolders:
    """Folders with logs of a run that existed when this object was created.

    Steps count as uploaded in the folders of online runs and in offline folders that ``wandb sync`` has marked. A new
    folder with all steps supersedes the other offline folders.

    Attributes:
        uploaded_steps: Numbers of the uploaded steps.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        """Find the folders.

        Args:
            folder: Run folder.
            run_id: Identifier of the run.
        """
        logs = sorted((folder / "wandb").glob(f"*run-*-{run_id}/run-{run_id}.wandb"))
        uploaded = [log for log in logs if not log.parent.name.startswith("offline-") or _is_synced(log)]
        self.uploaded_steps = {step for log in uploaded for step in logged_steps(log)}
        self._superseded = [log.parent for log in logs if log not in uploaded]

    def pictures(self) -> dict[int, Path]:
        """Return the pictures of the front in folders that :meth:`remove_superseded` removes, by step."""
        found: dict[int, Path] = {}
        for folder in self._superseded:
            for path in folder.glob("files/media/images/front_picture_*.png"):
                if match := re.match(r"front_picture_(\d+)_", path.name):
                    found[int(match[1])] = path
        return found

    def remove_superseded(self) -> None:
        """Remove the folders whose steps the current folder contains. Their upload would log the steps twice."""
        for folder in self._superseded:
            shutil.rmtree(folder, ignore_errors=True)
        self._superseded = []


def logged_steps(log: Path) -> set[int]:
    """Return the steps with complete records in a log; for a damaged log, those before the damage."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from wandb.proto import wandb_internal_pb2

    record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]  # created at import
    steps: set[int] = set()
    try:
        for data in _records(log.read_bytes()):
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "history":
                steps |= {
                    int(item.value_json) for item in record.history.item if "step" in (item.key, *item.nested_key)
                }
    except (OSError, DecodeError, ValueError):
        pass
    return steps


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a log in LevelDB's format up to the first incomplete one."""
    position, begun = HEADER_BYTES, b""
    while position + HEADER_BYTES <= len(data):
        in_block = BLOCK_BYTES - position % BLOCK_BYTES
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        if in_block < HEADER_BYTES or kind not in (WHOLE, FIRST, MIDDLE, LAST):
            position += in_block  # the rest of the block is padding
            continue
        position += HEADER_BYTES
        part = data[position : position + length]
        if len(part) < length:
            return
        position += length
        begun = part if kind in (WHOLE, FIRST) else begun + part
        if kind in (WHOLE, LAST):
            yield begun


def _is_synced(log: Path) -> bool:
    return log.with_name(f"{log.name}.synced").exists()


Mode = Literal["offline", "online"]

LONGEST_TAG = 64
"""Largest number of characters of a tag that the service accepts."""

FLUSH_SECONDS = 1.0
"""Seconds after which logged data are on disk, even if the process is killed."""


@dataclass(frozen=True)
class Place:
    """Destination of a run's log.

    Attributes:
        mode: Mode of logging: ``"offline"`` writes to the run folder, ``"online"`` also uploads.
        project: Name of the project.
        entity: User or team; ``None`` for the account's default.
        tags: Tags in addition to the names of the run's parts.
        timeout: Time limit in seconds for connecting, and for the upload at the end.
    """

    mode: Mode
    project: str
    entity: str | None
    tags: Sequence[str]
    timeout: float


@final
class WandbRun:
    """Open run of Weights & Biases. It skips steps that were already uploaded."""

    def __init__(self, place: Place, run: RunInfo) -> None:
        """Open the run, or resume it if the server knows its id.

        Args:
            place: Destination of the log.
            run: Facts about the run.

        Raises:
            Exception: Any exception of wandb if the run cannot be opened.
        """
        self._earlier = EarlierFolders(run.folder, run.id)
        self._pictures = self._earlier.pictures()
        self._objectives = [objective.name for objective in run.objectives]
        self._run = _opened(place, run)
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        uploaded = self._earlier.uploaded_steps if place.mode == "offline" else set()
        self._first = max([self._run.starting_step, *(step + 1 for step in uploaded)])
        self._boxed = False

    def log(self, summary: StepSummary, picture: bytes | None) -> None:
        """Log a step's numbers, its front and a PNG of it, unless the step was uploaded before."""
        if not self._boxed:  # the box may depend on the first step
            self._boxed = True
            self._run.config.update({"box": summary.box.record()}, allow_val_change=True)  # type: ignore[no-untyped-call]
        if summary.step < self._first:
            return
        columns: list[str | int] = ["step", *self._objectives, "architecture"]
        data = self._numbers(summary)
        data["front"] = wandb.Table(columns=columns, data=[self._row(entry) for entry in summary.front])
        with tempfile.TemporaryDirectory() as folder:
            path = self._pictures.get(summary.step)
            if picture is not None:
                path = Path(folder) / "front.png"
                path.write_bytes(picture)
            if path is not None:
                data["front_picture"] = wandb.Image(str(path))
            # Without `commit`, wandb holds a step back until the next one; a killed process would lose it.
            self._run.log(data, step=summary.step, commit=True)

    def log_epoch(self, row: Mapping[str, float | None]) -> None:
        """Log the numbers of an epoch of a fine-tuning, unless it was uploaded before."""
        number = int(row["epoch"] or 0)
        if number >= self._first:
            known = {name: value for name, value in row.items() if value is not None}
            self._run.log({"step": number} | known, step=number, commit=True)

    def log_outcome(self, values: Mapping[str, float]) -> None:
        """Add values, by split and name, to the run's summary."""
        self._run.summary.update(dict(values))

    def remove_superseded(self) -> None:
        """Remove the folders of earlier processes that the current folder supersedes; its steps must be on disk."""
        self._earlier.remove_superseded()

    def close(self, error: str | None) -> None:
        """Close the run, marked as failed after an error.

        Raises:
            TimeoutError: If the upload takes longer than the time limit.
        """
        self._run.finish(exit_code=0 if error is None else 1)

    def abandon(self) -> None:
        """Forget a run whose service process died. The next run starts a new service."""
        wandb.teardown()

    def _row(self, entry: Mapping[str, Any]) -> list[Any]:
        values = (entry["objectives"][name] for name in self._objectives)
        return [entry["step"], *values, json.dumps(entry["architecture"])]

    def _numbers(self, summary: StepSummary) -> dict[str, Any]:
        surrogate: Mapping[str, float | None] = {
            "rmse": summary.rmse,
            "rho": summary.rho,
            "tau": summary.tau,
            "rmse_archive": summary.rmse_archive,
            "rho_archive": summary.rho_archive,
            "tau_archive": summary.tau_archive,
            **{f"rho/{name}": value for name, value in summary.parts.items()},
        }
        return {
            "step": summary.step,
            "evaluations": summary.evaluations,
            "failed": summary.failed,
            "hypervolume": summary.hypervolume,
            "front_size": summary.front_size,
            **{f"best/{name}": value for name, value in zip(self._objectives, summary.best, strict=True)},
            **{name: value for name, value in surrogate.items() if value is not None},
            **{f"seconds/{name}": value for name, value in summary.seconds.items()},
        }


def _opened(place: Place, run: RunInfo) -> wandb.Run:
    use_own_folders(run.folder / "wandb" / "home")
    wandb.setup(wandb.Settings(silent=True))  # otherwise wandb prompts for an API key
    try:
        return wandb.init(
            mode=place.mode,
            dir=run.folder,
            project=place.project,
            entity=place.entity,
            id=run.id,
            resume="allow",
            group=run.group,
            job_type=run.task,
            name=run.name,
            tags=[tag[:LONGEST_TAG] for tag in dict.fromkeys((*run.tags, *place.tags))],
            config={**run.config, "about": dict(run.about), "git": run.revision},
            settings=_settings(place.timeout),
        )
    except Exception:
        wandb.teardown()  # otherwise the service keeps the run open and refuses to open it again
        raise


def use_own_folders(place: Path) -> None:
    """Let wandb store its files in ``place`` if the home folder is missing or read-only.

    Environment variables that already name folders are not changed.

    Args:
        place: Folder in place of the home folder.
    """
    try:
        home = Path.home()
    except RuntimeError:  # wandb looks up these folders in addition to those of its own variables
        folders = {"XDG_CACHE_HOME": place, "XDG_DATA_HOME": place}
        folders |= {"WANDB_CONFIG_DIR": place, "NETRC": place / "netrc"}
    else:
        defaults = {
            "WANDB_CACHE_DIR": Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache"),
            "WANDB_DATA_DIR": Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"),
        }
        folders = {name: place for name, folder in defaults.items() if not can_be_written(folder / "wandb")}
    for name, folder in folders.items():
        os.environ.setdefault(name, str(folder))


def _settings(timeout: float) -> wandb.Settings:
    return wandb.Settings(
        reinit="create_new",
        console="off",
        silent=True,
        init_timeout=timeout,
        login_timeout=timeout,
        finish_timeout=timeout,
        finish_timeout_raises=True,
        x_transaction_log_flush_interval=FLUSH_SECONDS,
        # The run folder already records versions and revision. Without wandb's own records a start takes 10 ms, not 65.
        disable_code=True,
        disable_git=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
