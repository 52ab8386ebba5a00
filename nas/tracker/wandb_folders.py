"""What earlier processes of a run left below its folder ``wandb``."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

HEADER_BYTES = 7
"""At the beginning of a log, and of each of its chunks: checksum, length, kind."""

BLOCK_BYTES = 2**15
"""A chunk never crosses from one block into the next."""

WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4
"""Kinds of chunks: the parts of a record."""


class EarlierFolders:
    """The folders with logs of a run, as they were when this was made.

    What was uploaded counts as logged: offline folders that ``wandb sync`` has marked, and those of online runs. Other
    offline folders are superseded by a new one that holds all their steps.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        """Look for them.

        Args:
            folder: of the run.
            run_id: identity of the run.
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
        """Remove the folders whose steps the present one holds: a second upload would log them twice."""
        for folder in self._superseded:
            shutil.rmtree(folder, ignore_errors=True)
        self._superseded = []


def logged_steps(log: Path) -> set[int]:
    """Return the steps whose records in a log are whole; of a damaged log, those before the damage."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from wandb.proto import wandb_internal_pb2

    record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]  # made as it is imported
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
    """Yield the records of a log in LevelDB's format up to the first one that is not whole."""
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
