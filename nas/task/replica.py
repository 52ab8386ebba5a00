"""A run's data set, supernet and evaluator, built anew in another process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from nas.dataset.base import Dataset
from nas.evaluator.base import Evaluator
from nas.objective.base import Objective
from nas.objective.cost import expected
from nas.objective.latency import tabulated
from nas.parts import build
from nas.supernet.base import Supernet


@dataclass(frozen=True)
class Replica:
    """Settings that can be sent to other processes.

    Attributes:
        dataset, supernet: constructors that wait for their runtime arguments.
        cache: folder of downloaded files and decoded images.
    """

    dataset: Callable[..., Dataset]
    supernet: Callable[..., Supernet]
    cache: Path

    def __call__(self, device: str) -> tuple[Dataset, Supernet]:
        """Build both for a device."""
        dataset = build(self.dataset, {"cache": self.cache, "device": device})
        offers = {"cache": self.cache, "device": device, "dataset": dataset, "n_classes": dataset.n_classes}
        return dataset, build(self.supernet, offers)


@dataclass(frozen=True)
class EvaluatorReplica:
    """Settings of an evaluator that can be sent to other processes.

    Attributes:
        replica: of data set and supernet.
        threads: of torch and of linear algebra: as many as in the run, because last digits depend on them.
        space, evaluator: constructors that wait for their runtime arguments.
        sec_obj: the same of objectives, by name.
    """

    replica: Replica
    threads: int
    space: Callable[..., Any]
    sec_obj: Mapping[str, Callable[..., Objective]]
    evaluator: Callable[..., Evaluator]

    def __call__(self, device: str) -> Evaluator:
        """Build the evaluator for a device, with the weights that the supernet comes with.

        Numbers of threads are the process's: it should do nothing else.
        """
        torch.set_num_threads(self.threads)
        threadpool_limits(self.threads)
        if device.startswith("cuda"):
            torch.cuda.set_device(device)
        dataset, supernet = self.replica(device)
        offers: dict[str, Any] = {"cache": self.replica.cache, "device": device, "dataset": dataset}
        offers |= {"n_classes": dataset.n_classes, "supernet": supernet, "pool": None}
        offers |= with_space(self.space, offers)
        offers["objectives"] = objectives_of(self.sec_obj, offers)
        return build(self.evaluator, offers)


def with_space(space: Callable[..., Any], offers: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the space comes from, the whole space, and the tables of its costs."""
    source = build(space, offers)
    return {"source": source, "space": source.space, "tables": source.costs()}


def objectives_of(parts: Mapping[str, Callable[..., Objective]], offers: Mapping[str, Any]) -> list[Objective]:
    """Return the objectives beside the error."""
    return [expected(tabulated(build(part, offers), offers["tables"])) for part in parts.values()]
