"""Architectures and cascades of finished runs, with the weights that their run left."""

import logging
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from nas.cascade.searched_pool import pool_of
from nas.dataset.base import Dataset
from nas.errors import UserError, unknown
from nas.files import expanded
from nas.model.base import (
    ARCHITECTURE,
    AVERAGE,
    CASCADE,
    GAP,
    Front,
    Member,
    Model,
    ModelSource,
    cascade_of,
    preparation,
)
from nas.model.given import Given, data_of
from nas.objective.base import TOP1_ERROR
from nas.run.finished import FinishedRun
from nas.run.folder import short_names
from nas.space.joint import OWN
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import weights_digest
from nas.supernet.joint import SUPERNET, JointSupernet, of_supernet
from nas.types import MILLION, Architecture, Genomes, Progress

log = logging.getLogger(__name__)


@final
class RunFront(Front):
    """The front of a run of this project."""

    def __init__(self, folder: Path, *, recalibrate: bool, given: Given) -> None:
        """Read the run.

        Args:
            folder: Run folder.
            recalibrate: Whether networks get batch-norm statistics of their own, as the run computed them.
            given: Device, cache and data that the command line names.

        Raises:
            UserError: If the folder holds no finished run, or its front is empty.
        """
        self.folder = folder
        self.run = FinishedRun(folder, key="run", **given.for_runs())
        self.recalibrate = recalibrate
        self.given = given
        self.measures = self.run.archive.measures
        if not self.run.members:
            raise UserError(f"run: the front of '{folder}' is empty")
        self.members = [self._member(described) for described in self.run.members]
        self._trained = False

    def source(self, index: int) -> ModelSource:
        """Return the source of a member's model."""
        member = self.members[index]
        if "networks" in member.architecture:
            return PoolCascade(self, index)
        return self.source_of(member.architecture, f"{'cascade' if member.is_cascade else 'net'}-{index}")

    def source_of(self, config: Mapping[str, Any], name: str) -> ModelSource:
        """Return the source of the model of any architecture.

        Args:
            config: Configuration of an architecture of the run's supernet; with several supernets a cascade, or a
                network that names its supernet (``supernet``).
            name: Name of the model.

        Raises:
            UserError: If there is no such architecture, or the run evaluated no networks.
        """
        self._check_networks()
        supernet = self.run.supernet
        if isinstance(supernet, JointSupernet) and SUPERNET in config:
            return RunArchitecture(self, _of_member(supernet, config), name, None)
        architecture = _decoded(supernet, config)
        known = next(
            (i for i, each in enumerate(self.run.members) if tuple(each["genome"]) == architecture.genome), None
        )
        if isinstance(supernet, JointSupernet):
            return JointCascade(self, architecture, name, known)
        return RunArchitecture(self, architecture, name, known)

    def described(self, index: int | None) -> dict[str, Any]:
        """Return objectives, units and metrics of a member as ``model.json`` holds them; without an index, the units.

        The metrics are what the run measured by split, with the final weights where they adapted.
        """
        member = None if index is None else self.members[index]
        names = [measure.name for measure in self.measures]
        return {
            "objectives": {} if member is None else dict(zip(names, member.objectives, strict=True)),
            "units": {measure.name: measure.unit for measure in self.measures},
            "metrics": {} if member is None else _metrics(member.facts),
        }

    def alone(self, architecture: Architecture) -> dict[str, Mapping[str, float]]:
        """Return the top-1 accuracy by split of a network in a cascade of the front, if known."""
        config = dict(architecture.config)
        which = config.pop(SUPERNET)
        for member in self.members:
            if {key: value for key, value in member.architecture[which].items() if key not in OWN} == config:
                found = _metrics(member.facts)
                return {split: {"top1": 100 - metrics[f"{which}_error"]} for split, metrics in found.items()}
        return {}

    def train(self, progress: Progress) -> None:
        """Give the supernet the weights that the run left, once."""
        if not self._trained:
            self.run.train(progress)
            self._trained = True
            self._compare()

    def _compare(self) -> None:
        """Warn if the weights differ from those that the run measured its front with."""
        known = {member.facts.get("weights") for member in self.members if "final" not in member.facts} - {None}
        if known and self.run.weights not in known:
            log.warning(
                "the weights are not those that '%s' measured, but others of the same training (another machine or "
                "version): accuracies may differ",
                self.run.folder,
            )

    def _check_networks(self) -> None:
        if not self.run.runs_networks:
            name = (self.run.settings.get("evaluator") or {}).get("_target_", "nothing")
            raise UserError(
                f"run: '{self.folder}' evaluated no networks (evaluator {str(name).rpartition('.')[2]}), so that there "
                f"are no weights; name net.config files or a supernet instead"
            )

    def _member(self, described: Mapping[str, Any]) -> Member:
        names = [measure.name for measure in self.measures]
        objectives = {name: float(described["objectives"][name]) for name in names}
        if "final" in described:
            final = described["final"]
            objectives[TOP1_ERROR.name] = 100 - float(final["top1"])
            if "flops" in objectives:  # a cascade's average depends on what its networks answer
                objectives["flops"] = float(final["flops"])
        return Member(described["architecture"], tuple(objectives.values()), described)


class RunSource(ModelSource):
    """An architecture or a cascade of a run."""

    def __init__(self, front: RunFront, name: str, index: int | None) -> None:
        """Describe it.

        Args:
            front: Front of the run.
            name: Name of the model.
            index: In ``front.json``, if it is there.
        """
        self.name, self.home = name, front.folder
        self._front, self._index = front, index
        self._facts: Mapping[str, Any] = {} if index is None else front.members[index].facts

    def _origin(self) -> dict[str, Any]:
        """Return what ``model.json`` says under ``source``."""
        run = str(self._front.folder.resolve())
        return {"run": run, "index": self._index, "step": self._facts.get("step")}


@final
class RunArchitecture(RunSource):
    """A subnet of a run's supernet."""

    def __init__(self, front: RunFront, architecture: Architecture, name: str, index: int | None) -> None:
        """Describe it.

        Args:
            front: Front of the run.
            architecture: Architecture of the run's supernet; with several supernets its configuration names one
                (``supernet``).
            name: Name of the model.
            index: In ``front.json``, if it is there.
        """
        super().__init__(front, name, index)
        self.n_classes, self.class_names = front.run.dataset.n_classes, front.run.dataset.class_names
        self._architecture = architecture
        self._which: str | None = architecture.config.get(SUPERNET)

    @property
    def supernet_settings(self) -> Mapping[str, Any]:
        """The settings of the supernet that it is cut out of."""
        settings: Mapping[str, Any] = self._front.run.settings["supernet"]
        return settings if self._which is None else settings["members"][self._which]

    def dataset(self) -> Dataset:
        """Return the run's images."""
        return self._front.run.dataset

    def load(self, progress: Progress) -> Model:
        """Return the network as the run measured it, or with the supernet's batch-norm statistics."""
        front, run = self._front, self._front.run
        front.train(progress)
        with run.as_it_ran():
            if front.recalibrate:
                network = run.evaluator().network(self._architecture)
            else:
                network = run.supernet.extract(self._architecture).to(front.given.device)
        described = self._described() | {"weights": weights_digest(network.state_dict())}
        return Model(self.name, network, preparation(network, described).to(front.given.device).eval(), described)

    def _described(self) -> dict[str, Any]:
        run, architecture = self._front.run, self._architecture
        supernet = run.supernet if self._which is None else run.supernet.members[self._which]  # type: ignore[attr-defined]
        row: Genomes = np.array([architecture.genome], dtype=np.int64)
        costs = {name: int(table(row)[0]) / MILLION for name, table in supernet.costs().items()}
        measured = self._front.described(self._index)
        if self._which is not None:
            measured["metrics"] = self._front.alone(architecture)
        return {
            "kind": ARCHITECTURE,
            "name": self.name,
            "n_classes": run.dataset.n_classes,
            "class_names": list(run.dataset.class_names),
            "supernet": dict(self.supernet_settings),
            "architecture": {key: value for key, value in architecture.config.items() if key != SUPERNET},
            "genome": list(architecture.genome),
            "resolution": architecture.config["r"],
            "mean": list(run.dataset.mean),
            "std": list(run.dataset.std),
            "crop": run.measuring["crop"],
            "recalibrated": self._front.recalibrate,
            "costs": {"flops": costs["macs"], "params": costs["params"]},
            **measured,
            "dataset": run.settings["dataset"],
            "data": data_of(run.dataset),
            "evaluator": dict(run.measuring),
            "source": {**self._origin(), "supernet": self._which},
        }


@dataclass(frozen=True)
class Routing:
    """Networks of a cascade in their order, with thresholds and costs.

    Attributes:
        names: Names of the networks.
        sources: Sources of the networks.
        costs: Cost of each network for one image, millions of multiply-adds.
        rule: ``"average"`` or ``"gap"``.
        limits: Between each two networks; ``None`` for infinity.
    """

    names: Sequence[str]
    sources: Sequence[ModelSource]
    costs: Sequence[float]
    rule: str
    limits: Sequence[float | None]


class RunCascade(RunSource):
    """A cascade that a run searched."""

    is_cascade = True

    @property
    @abstractmethod
    def measured(self) -> FinishedRun:
        """The run whose settings name the images."""

    @abstractmethod
    def routing(self, progress: Progress) -> Routing:
        """Return the networks and how images go from one to the next."""

    @abstractmethod
    def costs(self) -> Mapping[str, float]:
        """Return ``flops``, the average of an image, and ``params``, as far as they are known; in millions."""

    def dataset(self) -> Dataset:
        """Return the images that the cascade was searched on."""
        return self.measured.dataset

    def load(self, progress: Progress) -> Model:
        """Return the cascade and its networks with their run's weights and batch norm statistics."""
        routing = self.routing(progress)
        members = [source.load(progress) for source in routing.sources]
        whole = self._described(members, routing)
        ready = cascade_of([member.ready for member in members], whole)
        return Model(self.name, None, ready.to(self._front.given.device).eval(), whole, tuple(members))

    def _described(self, members: Sequence[Model], routing: Routing) -> dict[str, Any]:
        return {
            "kind": CASCADE,
            "name": self.name,
            "n_classes": members[0].described["n_classes"],
            "class_names": members[0].described["class_names"],
            "rule": routing.rule,
            "limits": [None if limit is None or math.isinf(limit) else float(limit) for limit in routing.limits],
            "network_costs": list(routing.costs),
            "networks": list(routing.names),
            "costs": dict(self.costs()),
            **self._front.described(self._index),
            "dataset": self.measured.settings["dataset"],
            "data": data_of(self.dataset()),
            "evaluator": members[0].described["evaluator"],
            "source": self._origin(),
        }


@final
class PoolCascade(RunCascade):
    """A member of the front of a run that searched cascades of a pool."""

    def __init__(self, front: RunFront, index: int) -> None:
        """Look at the pool's settings.

        Args:
            front: Front of the run.
            index: In ``front.json``.

        Raises:
            UserError: If nothing but outputs is known of the pool's networks.
        """
        super().__init__(front, f"cascade-{index}", index)
        self._pool: Mapping[str, Any] = front.run.settings.get("pool") or {}
        if not str(self._pool.get("_target_")).startswith(("nas.pool.runs.", "nas.pool.timm.")):
            raise UserError(
                f"run: '{front.folder}' searched cascades of outputs that somebody else made (pool=files), whose "
                f"networks are unknown"
            )
        self._folders: dict[str, Path] = {}
        if "runs" in self._pool:
            folders = [expanded(folder, "pool.runs").resolve() for folder in self._pool["runs"]]
            self._folders = dict(zip(short_names(folders, "pool.runs"), folders, strict=True))
        self._fronts: dict[str, RunFront] = {}
        self.n_classes, self.class_names = self.dataset().n_classes, self.dataset().class_names

    @cached_property
    def measured(self) -> FinishedRun:
        """The run whose settings name the images: the first one of the pool, where it is made of runs."""
        if not self._folders:
            return self._front.run
        first = next(iter(self._folders.values()))
        return FinishedRun(first, key="pool.runs", **self._front.given.for_runs())

    def costs(self) -> Mapping[str, float]:
        """Return what the run measured on the validation images."""
        metrics = self._facts["metrics"]
        return {name: metrics[name] for name in ("flops", "params") if name in metrics}

    def routing(self, progress: Progress) -> Routing:
        """Return the networks of the run; missing outputs of the pool are computed."""
        pool = pool_of(self._front.folder, progress=progress, **self._front.given.for_runs())
        described = self._facts["architecture"]
        places = [pool.names.index(name) for name in described["networks"]]
        sources = [
            self._network(dict(pool.architectures[place]), f"network_{stage}")
            for stage, place in enumerate(places, start=1)
        ]
        costs = [float(pool.costs["flops"][place]) for place in places]
        if "gaps" in described:
            return Routing(described["networks"], sources, costs, GAP, described["gaps"])
        limits = described.get("thresholds", [None] * (len(costs) - 1))
        return Routing(described["networks"], sources, costs, AVERAGE, limits)

    def _network(self, architecture: dict[str, Any], name: str) -> ModelSource:
        run, given = self._front.run, self._front.given
        if "timm" in architecture:
            from nas.model.timm import TimmSource

            return TimmSource(
                architecture["timm"],
                weights=self._pool["weights"],
                seed=self._pool["seed"],
                resolution=architecture["r"],
                dataset=run.dataset,
                settings=run.settings,
                name=name,
                device=given.device,
            )
        of = architecture.pop("run")
        if SUPERNET in architecture:  # a run over several supernets has a group of networks for each
            of = of.removesuffix(f"/{architecture[SUPERNET]}")
        if of not in self._fronts:
            self._fronts[of] = RunFront(self._folders[of], recalibrate=True, given=given)
        return self._fronts[of].source_of(architecture, name)


@final
class JointCascade(RunCascade):
    """A cascade of networks of several supernets that a run searched together."""

    def __init__(self, front: RunFront, architecture: Architecture, name: str, index: int | None) -> None:
        """Describe it.

        Args:
            front: Front of a run over several supernets.
            architecture: Architecture of the run's space.
            name: Name of the model.
            index: In ``front.json``, if it is there.
        """
        super().__init__(front, name, index)
        self._architecture = architecture
        self._genome: Genomes = np.array([architecture.genome], dtype=np.int64)
        self.n_classes, self.class_names = front.run.dataset.n_classes, front.run.dataset.class_names

    @property
    def measured(self) -> FinishedRun:
        """The run itself."""
        return self._front.run

    def costs(self) -> Mapping[str, float]:
        """Return the run's costs with its final weights; for a cascade off the front only parameters."""
        params = int(self._front.run.supernet.costs()["params"](self._genome)[0]) / MILLION
        known = {"flops": _metrics(self._facts)["validation"]["flops"]} if self._facts else {}
        return known | {"params": params}

    def routing(self, progress: Progress) -> Routing:
        """Return the networks by descending position."""
        joint = self._front.run.supernet
        assert isinstance(joint, JointSupernet)
        (order,), (limits,) = joint.space.order(self._genome), joint.space.limits(self._genome)
        genes = joint.space.split(self._genome)
        names, sources, costs = [], [], []
        for stage, place in enumerate(order, start=1):
            name = list(joint.members)[place]
            own = {key: value for key, value in self._architecture.config[name].items() if key not in OWN}
            names.append(name)
            sources.append(self._front.source_of({**own, SUPERNET: name}, f"network_{stage}"))
            costs.append(int(joint.members[name].costs()["macs"](genes[place])[0]) / MILLION)
        return Routing(names, sources, costs, AVERAGE, limits.tolist())


def _metrics(facts: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """Return a run's metrics of a member of its front by split, with the final weights if they adapted."""
    found = {split: facts[key] for split, key in (("validation", "metrics"), ("test", "test")) if key in facts}
    return found | ({"validation": facts["final"]} if "final" in facts else {})


def _decoded(supernet: Supernet, config: Mapping[str, Any]) -> Architecture:
    return supernet.space.decode(supernet.space.encode(config))


def _of_member(joint: JointSupernet, config: Mapping[str, Any]) -> Architecture:
    """Return the architecture of the supernet that a network names."""
    own = dict(config)
    which = str(own.pop(SUPERNET))
    if which not in joint.members:
        raise unknown(SUPERNET, which, joint.members)
    return of_supernet(which, _decoded(joint.members[which], own))
