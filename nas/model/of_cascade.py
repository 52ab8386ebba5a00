"""Cascades of finished runs."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from torch import nn

from nas.cascade.module import Cascade, GapCascade
from nas.cascade.searched_pool import pool_of
from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.files import expanded
from nas.model.base import CASCADE, MILLION, Model, ModelSource, Progress
from nas.model.front import Front, Member
from nas.model.given import Given, data_of
from nas.run.finished import FinishedRun
from nas.run.folder import short_names
from nas.space.joint import OWN
from nas.supernet.joint import SUPERNET, Several
from nas.types import Architecture, Measure

AVERAGE, GAP = "average", "gap"
"""How a cascade answers: by averages over the networks that were asked, or by the last one."""


@dataclass(frozen=True)
class Stages:
    """The networks of a cascade in their order.

    Attributes:
        names: of the networks.
        sources: where they come from.
        costs: of each for one image, millions of multiply-adds.
        rule: ``"average"`` or ``"gap"``.
        limits: between each two networks; ``None`` for infinity.
    """

    names: Sequence[str]
    sources: Sequence[ModelSource]
    costs: Sequence[float]
    rule: str
    limits: Sequence[float | None]


class RunCascade(ModelSource):
    """A cascade that a run searched."""

    is_cascade = True

    def __init__(
        self,
        run: FinishedRun,
        name: str,
        *,
        index: int | None,
        member: Member | None,
        measures: Sequence[Measure],
        given: Given,
    ) -> None:
        """Describe it.

        Args:
            run: that searched it.
            name: of the model.
            index: in ``front.json``, if it is there.
            member: of the front; ``None`` where it is none.
            measures: the objectives' names and units.
            given: where networks will be and files are kept, and which data the command line names.
        """
        self.name = name
        self.home = run.folder
        self._run, self._index, self._member, self._measures = run, index, member, measures
        self._given = given

    @property
    @abstractmethod
    def measured(self) -> FinishedRun:
        """The run whose settings name the images."""

    @abstractmethod
    def stages(self, progress: Progress) -> Stages:
        """Return the networks and how images go from one to the next."""

    @abstractmethod
    def costs(self) -> Mapping[str, float]:
        """Return ``flops``, the average of an image, and ``params``, as far as they are known; in millions."""

    def dataset(self) -> Dataset:
        """Return the images that the cascade was searched on."""
        return self.measured.dataset

    def load(self, progress: Progress) -> Model:
        """Return the cascade and its networks, each with the weights and statistics that its run measured it with."""
        stages = self.stages(progress)
        members = [source.load(progress) for source in stages.sources]
        whole = self._described(members, stages)
        ready = cascade_of_networks([member.ready for member in members], whole)
        return Model(self.name, None, ready.to(self._given.device).eval(), whole, tuple(members))

    def _described(self, members: Sequence[Model], stages: Stages) -> dict[str, Any]:
        facts: Mapping[str, Any] = {} if self._member is None else self._member.facts
        objectives = () if self._member is None else self._member.objectives
        names = [measure.name for measure in self._measures][: len(objectives)]
        return {
            "kind": CASCADE,
            "name": self.name,
            "n_classes": members[0].described["n_classes"],
            "class_names": members[0].described["class_names"],
            "rule": stages.rule,
            "limits": [None if limit is None or math.isinf(limit) else float(limit) for limit in stages.limits],
            "network_costs": list(stages.costs),
            "networks": list(stages.names),
            "costs": dict(self.costs()),
            "objectives": dict(zip(names, objectives, strict=True)),
            "units": {measure.name: measure.unit for measure in self._measures},
            "metrics": measured_metrics(facts),
            "dataset": self.measured.settings["dataset"],
            "data": data_of(self.dataset()),
            "evaluator": members[0].described["evaluator"],
            "source": {"run": str(self._run.folder.resolve()), "index": self._index, "step": facts.get("step")},
        }


@final
class PoolCascade(RunCascade):
    """A member of the front of a run that searched cascades of a pool."""

    def __init__(
        self, run: FinishedRun, index: int, member: Member, measures: Sequence[Measure], *, given: Given
    ) -> None:
        """Look at the pool's settings.

        Args:
            run: that searched cascades.
            index: in ``front.json``.
            member: of the front.
            measures: the objectives' names and units.
            given: where networks will be and files are kept, and which data the command line names.

        Raises:
            UserError: if nothing but outputs is known of the pool's networks.
        """
        super().__init__(run, f"cascade-{index}", index=index, member=member, measures=measures, given=given)
        self._chosen = member
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
        self._fronts: dict[str, Front] = {}
        self.n_classes, self.class_names = self.dataset().n_classes, self.dataset().class_names

    @cached_property
    def measured(self) -> FinishedRun:
        """The run whose settings name the images: the first one of the pool, where it is made of runs."""
        if not self._folders:
            return self._run
        first = next(iter(self._folders.values()))
        return FinishedRun(first, key="pool.runs", **self._given.for_runs())

    def costs(self) -> Mapping[str, float]:
        """Return what the run measured on the validation images."""
        metrics = self._chosen.facts["metrics"]
        return {name: metrics[name] for name in ("flops", "params") if name in metrics}

    def stages(self, progress: Progress) -> Stages:
        """Return the networks that the run names; the pool's outputs are computed where they are not stored."""
        pool = pool_of(self._run.folder, progress=progress, **self._given.for_runs())
        described = self._chosen.architecture
        places = [pool.names.index(name) for name in described["networks"]]
        sources = [
            self._network(dict(pool.architectures[place]), f"network_{stage}")
            for stage, place in enumerate(places, start=1)
        ]
        costs = [float(pool.costs["flops"][place]) for place in places]
        if "gaps" in described:
            return Stages(described["networks"], sources, costs, GAP, described["gaps"])
        limits = described.get("thresholds", [None] * (len(costs) - 1))
        return Stages(described["networks"], sources, costs, AVERAGE, limits)

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
                device=self._given.device,
            )
        from nas.model.of_run import RunFront

        run = architecture.pop("run")
        if SUPERNET in architecture:  # a run over several supernets has a group of networks for each
            run = run.removesuffix(f"/{architecture[SUPERNET]}")
        if run not in self._fronts:
            folder = self._folders[run]
            self._fronts[run] = RunFront(folder, recalibrate=True, given=self._given)
        return self._fronts[run].source_of(architecture, name)


@final
class JointCascade(RunCascade):
    """A cascade of networks of several supernets that a run searched together."""

    def __init__(
        self,
        front: Front,
        run: FinishedRun,
        architecture: Architecture,
        *,
        name: str,
        index: int | None,
        given: Given,
    ) -> None:
        """Describe it.

        Args:
            front: of the run.
            run: over several supernets.
            architecture: of the run's space.
            name: of the model.
            index: in ``front.json``, if it is there.
            given: where networks will be and files are kept, and which data the command line names.
        """
        member = None if index is None else front.members[index]
        super().__init__(run, name, index=index, member=member, measures=front.measures, given=given)
        self._front, self._architecture = front, architecture
        self._genome = np.array([architecture.genome], dtype=np.int64)
        self.n_classes, self.class_names = run.dataset.n_classes, run.dataset.class_names

    @property
    def measured(self) -> FinishedRun:
        """The run itself."""
        return self._run

    def costs(self) -> Mapping[str, float]:
        """Return what the run measured with its final weights; of a cascade that is not on the front, parameters."""
        facts: Mapping[str, Any] = {} if self._member is None else self._member.facts
        params = int(self._run.supernet.costs()["params"](self._genome)[0]) / MILLION
        return {name: measured_metrics(facts)["validation"][name] for name in ("flops",) if facts} | {"params": params}

    def stages(self, progress: Progress) -> Stages:
        """Return the networks by descending position."""
        several = self._run.supernet
        assert isinstance(several, Several)
        (order,), (limits,) = several.space.order(self._genome), several.space.limits(self._genome)
        genes = several.space.split(self._genome)
        names, sources, costs = [], [], []
        for stage, place in enumerate(order, start=1):
            name = list(several.members)[place]
            own = {key: value for key, value in self._architecture.config[name].items() if key not in OWN}
            names.append(name)
            sources.append(self._front.source_of({**own, SUPERNET: name}, f"network_{stage}"))
            costs.append(int(several.members[name].costs()["macs"](genes[place])[0]) / MILLION)
        return Stages(names, sources, costs, AVERAGE, limits.tolist())


def measured_metrics(facts: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """Return what a run measured of a member of its front by split, with the final weights where they adapted."""
    found = {split: facts[key] for split, key in (("validation", "metrics"), ("test", "test")) if key in facts}
    return found | ({"validation": facts["final"]} if "final" in facts else {})


def cascade_of_networks(networks: Sequence[nn.Module], described: Mapping[str, Any]) -> Cascade | GapCascade:
    """Put networks together as ``model.json`` says."""
    limits = [math.inf if limit is None else float(limit) for limit in described["limits"]]
    kind = GapCascade if described["rule"] == GAP else Cascade
    return kind(list(networks), limits, described["network_costs"])
