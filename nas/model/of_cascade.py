"""Cascades of finished runs."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, final

from torch import nn

from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.evaluator.cascade_module import Cascade, GapCascade
from nas.files import expanded
from nas.model.base import CASCADE, Model, ModelSource, Progress
from nas.model.front import Member
from nas.pool.cascades import pool_of
from nas.pool.finished_run import FinishedRun
from nas.pool.naming import short_names
from nas.types import Measure

AVERAGE, GAP = "average", "gap"
"""How a cascade answers: by averages over the networks that were asked, or by the last one."""


@final
class RunCascade(ModelSource):
    """A member of the front of a run that searched cascades."""

    def __init__(
        self,
        run: FinishedRun,
        index: int,
        member: Member,
        measures: Sequence[Measure],
        *,
        device: str,
        cache: Path,
    ) -> None:
        """Look at the pool's settings.

        Args:
            run: that searched cascades.
            index: in ``front.json``.
            member: of the front.
            measures: the objectives' names and units.
            device: where networks will be.
            cache: folder of stored outputs, trained supernets and decoded images.

        Raises:
            UserError: if nothing but outputs is known of the pool's networks.
        """
        self.name = f"cascade-{index}"
        self.home = run.folder
        self._run, self._index, self._member, self._measures = run, index, member, measures
        self._device, self._cache = device, cache
        self._pool: Mapping[str, Any] = run.settings.get("pool") or {}
        if not str(self._pool.get("_target_")).startswith(("nas.pool.runs.", "nas.pool.timm.")):
            raise UserError(
                f"run: '{run.folder}' searched cascades of outputs that somebody else made (pool=files), whose "
                f"networks are unknown"
            )
        self._folders: dict[str, Path] = {}
        if "runs" in self._pool:
            folders = [expanded(folder, "pool.runs").resolve() for folder in self._pool["runs"]]
            self._folders = dict(zip(short_names(folders, "pool.runs"), folders, strict=True))
        self.n_classes = self.dataset().n_classes

    def dataset(self) -> Dataset:
        """Return the images that the cascade was searched on: those of the pool's runs, where it is made of such."""
        return self._measured.dataset

    @cached_property
    def _measured(self) -> FinishedRun:
        """The run whose settings name the images."""
        if not self._folders:
            return self._run
        first = next(iter(self._folders.values()))
        return FinishedRun(first, key="pool.runs", device=self._device, cache=self._cache)

    def load(self, progress: Progress) -> Model:
        """Return the cascade and its networks, each with the weights and statistics that its run measured it with."""
        folder = self._run.folder
        pool = pool_of(folder, device=self._device, cache=self._cache, progress=progress)
        described = self._member.architecture
        members = []
        for place, name in enumerate(described["networks"], start=1):
            index = pool.names.index(name)
            source = self._network(dict(pool.architectures[index]), f"network_{place}")
            members.append(source.load(progress))
        costs = [float(pool.costs["flops"][pool.names.index(name)]) for name in described["networks"]]
        whole = self._described(members, costs)
        ready = cascade_of_networks([member.ready for member in members], whole).to(self._device).eval()
        return Model(self.name, None, ready, whole, tuple(members))

    def _network(self, architecture: dict[str, Any], name: str) -> ModelSource:
        if "timm" in architecture:
            from nas.model.of_timm import TimmSource

            return TimmSource(
                architecture["timm"],
                weights=self._pool["weights"],
                seed=self._pool["seed"],
                resolution=architecture["r"],
                dataset=self._run.dataset,
                settings=self._run.settings,
                name=name,
                device=self._device,
            )
        from nas.model.of_run import RunFront

        folder = self._folders[architecture.pop("run")]
        front = RunFront(folder, recalibrate=True, device=self._device, cache=self._cache)
        return front.source_of(architecture, name)

    def _described(self, members: Sequence[Model], costs: Sequence[float]) -> dict[str, Any]:
        described, facts = self._member.architecture, self._member.facts
        gaps = "gaps" in described
        none = [None] * (len(costs) - 1)
        limits = described["gaps"] if gaps else described.get("thresholds", none)
        names = [measure.name for measure in self._measures]
        metrics = {split: facts[key] for split, key in (("validation", "metrics"), ("test", "test")) if key in facts}
        return {
            "kind": CASCADE,
            "name": self.name,
            "n_classes": members[0].described["n_classes"],
            "class_names": members[0].described["class_names"],
            "rule": GAP if gaps else AVERAGE,
            "limits": [None if limit is None or math.isinf(limit) else float(limit) for limit in limits],
            "network_costs": list(costs),
            "networks": list(described["networks"]),
            "costs": {name: facts["metrics"][name] for name in ("flops", "params") if name in facts["metrics"]},
            "objectives": dict(zip(names, self._member.objectives, strict=True)),
            "units": {measure.name: measure.unit for measure in self._measures},
            "metrics": metrics,
            "dataset": self._measured.settings["dataset"],
            "evaluator": members[0].described["evaluator"],
            "source": {"run": str(self._run.folder.resolve()), "index": self._index, "step": facts.get("step")},
        }


def cascade_of_networks(networks: Sequence[nn.Module], described: Mapping[str, Any]) -> Cascade | GapCascade:
    """Put networks together as ``model.json`` says."""
    limits = [math.inf if limit is None else float(limit) for limit in described["limits"]]
    kind = GapCascade if described["rule"] == GAP else Cascade
    return kind(list(networks), limits, described["network_costs"])
