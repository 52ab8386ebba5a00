"""Supernets and search spaces of runs, rebuilt from their settings without weights and data."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from nas.cascade.space import CascadeSpace, GapCascadeSpace, Goal
from nas.dataset.classes import IMAGENET_CLASSES
from nas.experiment import Experiment
from nas.report.data.runs import Run
from nas.run.record import Record
from nas.space.base import SearchSpace
from nas.space.cells import CellSpace
from nas.supernet.base import Supernet
from nas.targets import NO_OTHERS, Allowed


class Spaces:
    """Builder of the supernets and search spaces of runs. It builds each supernet once."""

    def __init__(self, cache: Path, allowed: Allowed = NO_OTHERS) -> None:
        """Set the folders and the allowed classes.

        Args:
            cache: Folder of downloaded files.
            allowed: Classes from outside ``nas`` that the settings of runs may name.
        """
        self._cache, self._allowed = cache, allowed
        self._supernets: dict[str, Supernet] = {}

    def supernet(self, run: Run) -> Supernet:
        """Return the supernet of a run, with random weights and ImageNet's number of classes."""
        node = run.settings["supernet"]
        settings = {"supernet": node | {"checkpoint": "random"} if "checkpoint" in node else node}
        key = json.dumps(node, sort_keys=True, default=str)
        if key not in self._supernets:
            places: dict[str, Any] = {"device": "cpu", "cache": self._cache, "allowed": self._allowed}
            experiment = Experiment.of_folder(settings, run.folder, **places, parts={"n_classes": IMAGENET_CLASSES})
            self._supernets[key] = experiment.supernet
        return self._supernets[key]

    def space(self, run: Run) -> SearchSpace | None:
        """Return the search space of a run; ``None`` if it cannot be rebuilt or does not fit the run's genomes.

        Networks of a pool have their numbers as names.
        """
        record = run.record
        if record is None:
            return None
        try:
            space = self._space(run, record)
        except Exception:  # run of another version, user's own supernet, data set that is not on this machine, ...
            return None
        fits = space.names == record.genes and bool(np.all(record.genomes <= space.upper))
        return space if fits else None

    def _space(self, run: Run, record: Record) -> SearchSpace:
        node = run.settings.get("space")
        target = str(node.get("_target_", "")) if isinstance(node, dict) else ""
        networks = [gene for gene in record.genes if gene.startswith("network")]
        names = [str(i) for i in range(1, 1 + int(record.genomes[:, : max(len(networks), 1)].max()))]
        if target.endswith(".GapCascades"):
            return GapCascadeSpace(names=[str(i + 1) for i in range(len(networks))], costs=np.ones(len(networks)))
        if target.endswith(".PooledCascades"):
            goal: Goal = "cascade" if len(networks) < len(record.genes) else "ensemble"
            return CascadeSpace(names=names, costs=np.ones(len(names)), size=len(networks), goal=goal)
        if target.endswith(".NasBench201"):
            return CellSpace()
        return self.supernet(run).space
