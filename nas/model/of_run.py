"""Architectures of finished runs, with the weights that their run left."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.model.base import ARCHITECTURE, MILLION, Model, ModelSource, Progress, preparation
from nas.model.front import Front, Member
from nas.model.of_cascade import RunCascade
from nas.objective.base import TOP1_ERROR
from nas.pool.finished_run import FinishedRun
from nas.supernet.weights import weights_digest
from nas.types import Architecture

log = logging.getLogger(__name__)


@final
class RunFront(Front):
    """The front of a run of this project."""

    def __init__(self, folder: Path, *, recalibrate: bool, device: str, cache: Path) -> None:
        """Read the run.

        Args:
            folder: of the run.
            recalibrate: whether networks get batch-norm statistics of their own, as the run computed them.
            device: where networks will be.
            cache: folder of trained supernets, decoded images and stored outputs.

        Raises:
            UserError: if the folder holds no finished run, or its front is empty.
        """
        self.folder = folder
        self.run = FinishedRun(folder, key="run", device=device, cache=cache)
        self.recalibrate = recalibrate
        self.device, self.cache = device, cache
        self.measures = self.run.archive.measures
        if not self.run.members:
            raise UserError(f"run: the front of '{folder}' is empty")
        self.members = [self._member(described) for described in self.run.members]
        self._trained = False

    def source(self, index: int) -> ModelSource:
        """Return where the model of a member comes from."""
        member = self.members[index]
        if "networks" in member.architecture:
            return RunCascade(self.run, index, member, self.measures, device=self.device, cache=self.cache)
        return RunArchitecture(self, self._checked().decode(member.architecture), member, f"net-{index}", index)

    def source_of(self, config: Mapping[str, Any], name: str) -> ModelSource:
        """Return where the model of any architecture of the run's supernet comes from."""
        architecture = self._checked().decode(config)
        known = next(
            (i for i, each in enumerate(self.run.members) if tuple(each["genome"]) == architecture.genome), None
        )
        return RunArchitecture(self, architecture, None if known is None else self.members[known], name, known)

    def train(self, progress: Progress) -> None:
        """Give the supernet the weights that the run left, once."""
        if not self._trained:
            self.run.train(progress)
            self._trained = True

    def _checked(self) -> "_Space":
        if not self.run.runs_networks:
            name = (self.run.settings.get("evaluator") or {}).get("_target_", "nothing")
            raise UserError(
                f"run: '{self.folder}' evaluated no networks (evaluator {str(name).rpartition('.')[2]}), so that there "
                f"are no weights; name net.config files or a supernet instead"
            )
        return _Space(self.run)

    def _member(self, described: Mapping[str, Any]) -> Member:
        names = [measure.name for measure in self.measures]
        objectives = {name: float(described["objectives"][name]) for name in names}
        if "final" in described:
            objectives[TOP1_ERROR.name] = 100 - float(described["final"]["top1"])
        return Member(described["architecture"], tuple(objectives.values()), described)


class _Space:
    """Reads architectures of a run's supernet."""

    def __init__(self, run: FinishedRun) -> None:
        self._run = run

    def decode(self, config: Mapping[str, Any]) -> Architecture:
        space = self._run.supernet.space
        return space.decode(space.encode(config))


@final
class RunArchitecture(ModelSource):
    """A subnet of a run's supernet."""

    def __init__(
        self, front: RunFront, architecture: Architecture, member: Member | None, name: str, index: int | None
    ) -> None:
        """Describe it.

        Args:
            front: of the run.
            architecture: of the run's supernet.
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

    def dataset(self) -> Dataset:
        """Return the run's images."""
        return self._front.run.dataset

    def load(self, progress: Progress) -> Model:
        """Return the network as the run measured it, or with the supernet's batch-norm statistics."""
        front, run = self._front, self._front.run
        front.train(progress)
        self._compare()
        with run.as_it_ran():
            if front.recalibrate:
                network = run.evaluator().network(self._architecture)
            else:
                network = run.supernet.extract(self._architecture).to(front.device)
        described = self._described() | {"weights": weights_digest(network.state_dict())}
        return Model(self.name, network, preparation(network, described).to(front.device).eval(), described)

    def _described(self) -> dict[str, Any]:
        run, architecture = self._front.run, self._architecture
        facts = {} if self._member is None else self._member.facts
        costs = {name: int(table(_row(architecture))[0]) / MILLION for name, table in run.supernet.costs().items()}
        names = [measure.name for measure in self._front.measures]
        metrics = {split: facts[key] for split, key in (("validation", "metrics"), ("test", "test")) if key in facts}
        if "final" in facts:
            metrics["validation"] = facts["final"]
        return {
            "kind": ARCHITECTURE,
            "name": self.name,
            "n_classes": run.dataset.n_classes,
            "class_names": list(run.dataset.class_names),
            "supernet": dict(run.settings["supernet"]),
            "architecture": dict(architecture.config),
            "genome": list(architecture.genome),
            "resolution": architecture.config["r"],
            "mean": list(run.dataset.mean),
            "std": list(run.dataset.std),
            "crop": run.settings["evaluator"]["crop"],
            "recalibrated": self._front.recalibrate,
            "costs": {"flops": costs["macs"], "params": costs["params"]},
            "objectives": {} if self._member is None else dict(zip(names, self._member.objectives, strict=True)),
            "units": {measure.name: measure.unit for measure in self._front.measures},
            "metrics": metrics,
            "dataset": run.settings["dataset"],
            "evaluator": run.settings["evaluator"],
            "source": {"run": str(run.folder.resolve()), "index": self._index, "step": facts.get("step")},
        }

    def _compare(self) -> None:
        """Warn where the supernet's weights are not the ones that the run measured the architecture with."""
        run = self._front.run
        facts = {} if self._member is None else self._member.facts
        known = facts.get("weights")
        if known is None or "final" in facts or known == weights_digest(run.supernet.module.state_dict()):
            return
        log.warning(
            "the weights are not those that '%s' measured, but others of the same training (another machine or "
            "version): accuracies may differ",
            run.folder,
        )


def _row(architecture: Architecture) -> Any:
    import numpy as np

    return np.array([architecture.genome], dtype=np.int64)
