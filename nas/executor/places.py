"""Which workers there are, and what each of them evaluates at a time."""

import math
import os
from collections.abc import Sequence

from nas.errors import UserError


def devices(device: str, gpus: Sequence[int] | None, workers_per_gpu: int, cpu_workers: int | None) -> tuple[str, ...]:
    """Return the device of each worker.

    Raises:
        UserError: if a GPU is not there.
    """
    import torch

    if device == "cpu":
        if gpus is not None:
            raise UserError("executor.gpus needs device=cuda; this run computes on the CPU")
        return ("cpu",) * (cpu_workers or max(1, cores() // torch.get_num_threads()))
    found = torch.cuda.device_count()
    if gpus is None:
        gpus = [int(device.partition(":")[2])] if ":" in device else range(found)
    if not gpus:
        raise UserError("executor.gpus is empty: give the numbers of GPUs, or null for those of the run")
    for index in gpus:
        if index >= found:
            raise UserError(f"executor.gpus={list(gpus)}: there is no GPU {index}; {found} found, numbered from 0")
    return tuple(f"cuda:{index}" for _ in range(workers_per_gpu) for index in gpus)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split_up(groups: Sequence[Sequence[int]], n: int) -> list[list[int]]:
    """Return groups in at least ``n`` parts, as far as they have members; the last groups come first.

    Evaluators group by resolution, and what takes longest should not be what is begun last.
    """
    most = max(1, math.ceil(sum(map(len, groups)) / n))
    parts = [list(group[at : at + most]) for group in groups for at in range(0, len(group), most)]
    return parts[::-1]
