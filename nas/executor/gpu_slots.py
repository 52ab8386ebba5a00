"""Slots of a GPU that several runs share.

A slot is a file lock. The operating system releases it when the process ends, for whatever reason.
"""

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from nas.threads import computing

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.2  # between two attempts to take a slot


@contextmanager
def computing_slot(device: str, slots: int | None) -> Iterator[None]:
    """Hold one of the slots of a GPU while this thread alone computes in its process; it waits where all are taken.

    Args:
        device: Torch device; slots are those of ``"cuda"`` and ``"cuda:<n>"`` alone.
        slots: Number of slots of the GPU, the same for all its runs; None for no limit.
    """
    with computing(), gpu_slot(device, slots):
        yield


def gpu_slot(device: str, slots: int | None) -> AbstractContextManager[None]:
    """Return a context that holds one of the slots of a GPU and waits while all are taken.

    Args:
        device: Torch device, ``"cuda"`` or ``"cuda:<n>"``; other devices have no slots and are not held.
        slots: Number of slots of the GPU, the same for all runs that share it; ``None`` for no limit.

    Example:
        >>> from nas.executor.gpu_slots import gpu_slot
        >>> with gpu_slot("cpu", slots=1), gpu_slot("cpu", slots=1):
        ...     print("the CPU is not held")
        the CPU is not held
    """
    if slots is None or not device.startswith("cuda"):
        return nullcontext()
    return slot(Path(tempfile.gettempdir()) / f"nas-gpus-{os.getuid()}", _name(device), slots)


@contextmanager
def slot(folder: Path, name: str, slots: int) -> Iterator[None]:
    """Hold one of the slots of a resource while the context lasts.

    Args:
        folder: Folder of this machine for the slots' lock files; created if it does not exist.
        name: Name of the resource.
        slots: Number of slots.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.executor.gpu_slots import slot
        >>> with tempfile.TemporaryDirectory() as folder, slot(Path(folder), "gpu", slots=2):
        ...     print(sorted(path.name for path in Path(folder).iterdir()))
        ['gpu.0', 'gpu.1']
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [(folder / f"{name}.{index}").open("a") for index in range(slots)]
    try:
        told = False
        while not any(_taken(file.fileno()) for file in files):
            if not told:
                log.info("waiting for one of the %d slots of %s", slots, name)
                told = True
            time.sleep(WAIT_SECONDS)
        yield
    finally:
        for file in files:
            fcntl.flock(file, fcntl.LOCK_UN)  # closing alone does not unlock while a child has the file open
            file.close()


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _name(device: str) -> str:
    """Return a name of the GPU that does not depend on which devices a process sees."""
    import torch

    return f"gpu-{torch.cuda.get_device_properties(device).uuid}"
