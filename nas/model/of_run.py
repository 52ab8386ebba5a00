"""Architectures of finished runs, with the weights that their run left."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np

from nas.dataset.base import Dataset
from nas.errors import UserError, unknown
from nas.model.base import ARCHITECTURE, MILLION, Model, ModelSource, Progress, preparation
from nas.model.front import Front, Member
from nas.model.given import Given, data_of
from nas.model.of_cascade import JointCascade, PoolCascade, measured_metrics
from nas.objective.base import TOP1_ERROR
from nas.run.finished import FinishedRun
from nas.space.joint import OWN
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import weights_digest
from nas.supernet.joint import SUPERNET, Several, of_supernet
from nas.types import Architecture, Genomes

log = logging.getLogger(__name__)


@final
class RunFront(Front):
    """The front of a run of this project."""

    def __init__(self, folder: Path, *, recalibrate: bool, given: Given) -> None:
        """Read the run.

        Args:
            folder: of the run.
            recalibrate: whether networks get batch-norm statistics of their own, as the run computed them.
            given: where networks will be and files are kept, and which data the command line names.

        Raises:
            UserError: if the folder holds no finished run, or its front is empty.
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
        """Return where the model of a member comes from."""
        member = self.members[index]
        if "networks" in member.architecture:
            return PoolCascade(self.run, index, member, self.measures, given=self.given)
        return self.source_of(member.architecture, f"{'cascade' if member.is_cascade else 'net'}-{index}")

    def source_of(self, config: Mapping[str, Any], name: str) -> ModelSource:
        """Return where the model of any architecture comes from.

        Args:
            config: of the run's supernet; where there are several a cascade, or a network that names its supernet as
                pools name it (``supernet``).
            name: of the model.

        Raises:
            UserError: if there is no such architecture, or the run evaluated no networks.
        """
        self._check_networks()
        supernet = self.run.supernet
        if isinstance(supernet, Several) and SUPERNET in config:
            return self._network_of_several(supernet, config, name)
        architecture = _decoded(supernet, config)
        known = next(
            (i for i, each in enumerate(self.run.members) if tuple(each["genome"]) == architecture.genome), None
        )
        if isinstance(supernet, Several):
            return JointCascade(self, self.run, architecture, name=name, index=known, given=self.given)
        return RunArchitecture(self, architecture, None if known is None else self.members[known], name, known)

    def _network_of_several(self, several: Several, config: Mapping[str, Any], name: str) -> "RunArchitecture":
        """Return where one supernet's network comes from."""
        own = dict(config)
        which = str(own.pop(SUPERNET))
        if which not in several.members:
            raise unknown(SUPERNET, which, several.members)
        architecture = of_supernet(which, _decoded(several.members[which], own))
        return RunArchitecture(self, architecture, None, name, None)

    def alone(self, architecture: Architecture) -> dict[str, Mapping[str, float]]:
        """Return the top-1 accuracy of a network of several supernets by split, where a cascade of the front has it."""
        config = dict(architecture.config)
        which = config.pop(SUPERNET)
        for member in self.members:
            if {key: value for key, value in member.architecture[which].items() if key not in OWN} == config:
                found = measured_metrics(member.facts)
                return {split: {"top1": 100 - metrics[f"{which}_error"]} for split, metrics in found.items()}
        return {}

    def train(self, progress: Progress) -> None:
        """Give the supernet the weights that the run left, once."""
        if not self._trained:
            self.run.train(progress)
            self._trained = True
            self._compare()

    def _compare(self) -> None:
        """Warn where the weights are not the ones that the run measured its front with; those that moved are final."""
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


def _decoded(supernet: Supernet, config: Mapping[str, Any]) -> Architecture:
    return supernet.space.decode(supernet.space.encode(config))


@final
class RunArchitecture(ModelSource):
    """A subnet of a run's supernet."""

    def __init__(
        self, front: RunFront, architecture: Architecture, member: Member | None, name: str, index: int | None
    ) -> None:
        """Describe it.

        Args:
            front: of the run.
            architecture: of the run's supernet; of one of several, its configuration says which (``supernet``).
            member: what the run knows about it; ``None`` where it is not on the front.
            name: of the model.
            index: in ``front.json``, if it is there.
        """
        self.name = name
        self.home = front.folder
        self.n_classes, self.class_names = front.run.dataset.n_classes, front.run.dataset.class_names
        self._front = front
        self._architecture = architecture
        self._member = member
        self._index = index
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
        facts = {} if self._member is None else self._member.facts
        supernet = run.supernet if self._which is None else run.supernet.members[self._which]  # type: ignore[attr-defined]
        costs = {name: int(table(_row(architecture))[0]) / MILLION for name, table in supernet.costs().items()}
        names = [measure.name for measure in self._front.measures]
        config = {key: value for key, value in architecture.config.items() if key != SUPERNET}
        return {
            "kind": ARCHITECTURE,
            "name": self.name,
            "n_classes": run.dataset.n_classes,
            "class_names": list(run.dataset.class_names),
            "supernet": dict(self.supernet_settings),
            "architecture": config,
            "genome": list(architecture.genome),
            "resolution": architecture.config["r"],
            "mean": list(run.dataset.mean),
            "std": list(run.dataset.std),
            "crop": run.measuring["crop"],
            "recalibrated": self._front.recalibrate,
            "costs": {"flops": costs["macs"], "params": costs["params"]},
            "objectives": {} if self._member is None else dict(zip(names, self._member.objectives, strict=True)),
            "units": {measure.name: measure.unit for measure in self._front.measures},
            "metrics": measured_metrics(facts) if self._which is None else self._front.alone(architecture),
            "dataset": run.settings["dataset"],
            "data": data_of(run.dataset),
            "evaluator": dict(run.measuring),
            "source": {
                "run": str(run.folder.resolve()),
                "index": self._index,
                "step": facts.get("step"),
                "supernet": self._which,
            },
        }


def _row(architecture: Architecture) -> Genomes:
    return np.array([architecture.genome], dtype=np.int64)
