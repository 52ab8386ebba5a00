"""``pool=runs``: the fronts of finished searches."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from nas.evaluator import accuracy
from nas.files import expanded
from nas.pool.base import SPLITS, Split
from nas.pool.model import Computed, PoolModel, SplitOutputs, from_logits
from nas.pool.run_fronts import RunNetwork, networks_of
from nas.pool.stored_pool import StoredPool, check_agreement
from nas.run.finished import FinishedRun
from nas.run.folder import short_names
from nas.supernet.checkpoint import weights_digest
from nas.supernet.joint import JointSupernet
from nas.targets import NO_OTHERS, Allowed
from nas.types import MILLION, PositiveInt, Progress

SAME_IMAGES = ("augmentation", "mean", "resolutions", "size", "std", "storage")
"""Settings of a data set that change neither which images are in a split nor their order."""

log = logging.getLogger(__name__)


@final
class RunsPool(StoredPool):
    """The networks on the cumulative fronts of finished searches, each with the weights that its run left.

    A run over several supernets has a front for each of them: by what its cascades' networks do alone, as it was
    measured with each cascade.

    Data, supernet, weights and evaluator are rebuilt from the settings in the run folder, and the accuracy on the
    validation split is compared with the run's: a run is warned about where rounding explains the difference (see
    :mod:`nas.evaluator.accuracy`), and refused where it does not.
    """

    def __init__(
        self,
        *,
        runs: tuple[Path, ...],
        workers: PositiveInt = 1,
        device: str,
        cache: Path,
        allowed: Allowed = NO_OTHERS,
        named: Mapping[str, Any] | None = None,
    ) -> None:
        """Read the fronts.

        Args:
            runs: folders of finished runs.
            workers: networks that are evaluated at once.
            device: where.
            cache: folder of trained supernets, decoded images and outputs.
            allowed: classes from outside ``nas`` that the runs' settings may name.
            named: settings of data that the command line names, see :class:`FinishedRun`.

        Raises:
            UserError: if a folder holds no finished run.
        """
        super().__init__(cache=cache, workers=workers, skip_failed=False)
        folders = [expanded(folder, "pool.runs").resolve() for folder in runs]
        names = short_names(folders, "pool.runs")
        self._runs = [
            _Run(name, folder, device=device, cache=cache, allowed=allowed, named=named)
            for name, folder in zip(names, folders, strict=True)
        ]

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Least and largest cost of a network in the search spaces of the runs, whatever their seeds found there."""
        each = [run.limits() for run in self._runs]
        names = set.intersection(*(set(limits) for limits in each))
        ends = {name: [limits[name] for limits in each] for name in names & set(self.costs)}
        return {name: (min(low for low, _ in found), max(high for _, high in found)) for name, found in ends.items()}

    def _models(self, progress: Progress) -> tuple[Sequence[PoolModel], Mapping[str, str]]:
        same = len({run.data_fingerprint for run in self._runs}) == 1
        data: list[Mapping[str, Any]] = [{} if same else run.data for run in self._runs]
        check_agreement([run.models(part, {})[0] for run, part in zip(self._runs, data, strict=True)])
        identities = [run.identity(progress) for run in self._runs]
        whole = zip(self._runs, data, identities, strict=True)
        return [model for run, part, identity in whole for model in run.models(part, identity)], {}


class _Run:
    """One run, and the models on its front."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        device: str,
        cache: Path,
        allowed: Allowed,
        named: Mapping[str, Any] | None,
    ) -> None:
        """Read settings and archive; arguments as of :class:`FinishedRun`."""
        self._name = name
        self._device = device
        self._run = FinishedRun(folder, key="pool.runs", device=device, cache=cache, allowed=allowed, named=named)
        self._local = threading.local()
        self._warned = False

    @property
    def _augmented(self) -> bool:
        """Whether outputs depend on the augmentation."""
        return bool(self._run.measuring.get("recalibration_augmented"))

    @property
    def data_fingerprint(self) -> str:
        """Of images and splits."""
        return self._run.dataset.fingerprint

    @property
    def data(self) -> dict[str, Any]:
        """The settings that decide which images are in which split."""
        return {f"dataset.{k}": v for k, v in self._run.settings["dataset"].items() if k not in SAME_IMAGES}

    def limits(self) -> dict[str, tuple[float, float]]:
        """Return the least and the largest cost in the supernet's space, or in any of several, in millions."""
        supernet = self._run.supernet
        members = supernet.members.values() if isinstance(supernet, JointSupernet) else [supernet]
        found = {}
        for name, table in (("flops", "macs"), ("params", "params")):
            ends = [member.costs()[table].extremes() for member in members]
            found[name] = min(low for low, _ in ends) / MILLION, max(high for _, high in ends) / MILLION
        return found

    def identity(self, progress: Progress) -> dict[str, Any]:
        """Return what decides the outputs of all networks; the supernet is built, and trained if it must be."""

        def told(activity: str, done: int, total: int) -> None:
            progress(f"{activity} of {self._name}", done, total)

        self._run.train(told)
        dataset, supernet = self._run.dataset, self._run.supernet
        return {
            "kind": "run",
            "weights": weights_digest(supernet.module.state_dict()),
            "supernet": supernet.fingerprint,
            "dataset": [dataset.fingerprint, dataset.mean, dataset.std],
            "evaluator": self._run.measuring,
            "augmentation": str(replace(dataset.augmentation, workers=0)) if self._augmented else None,
            "torch": [torch.__version__, str(self._device).partition(":")[0], self._run.threads],
        }

    def models(self, data: Mapping[str, Any], identity: Mapping[str, Any]) -> list[PoolModel]:
        """Return the networks on the front, ascending in error.

        Args:
            data: what the networks of other runs must agree with, see :class:`nas.pool.model.PoolModel`.
            identity: of the run.
        """
        dataset = self._run.dataset
        labels: dict[Split, Any] = {split: dataset.split(split).labels for split in SPLITS}
        return [
            PoolModel(
                name=network.name,
                group=network.group,
                architecture={"run": network.group} | dict(network.architecture.config),
                identity={**identity, "architecture": dict(network.architecture.config)},
                data=data,
                class_names=dataset.class_names,
                labels=labels,
                costs=dict(network.costs),
                run=partial(self._computed, network),
            )
            for network in networks_of(self._name, self._run.supernet, self._run.archive, self._run.members)
        ]

    def _computed(self, network: RunNetwork) -> Computed:
        """Evaluate one network on both splits."""
        with self._run.as_it_ran():
            found = {split: self._evaluated(network, split) for split in SPLITS}
        return Computed(splits=found, costs={}, facts={})

    def _evaluated(self, network: RunNetwork, split: Split) -> SplitOutputs:
        """Return the outputs of a network on a split, exactly as the run's evaluator sees them."""
        if not hasattr(self._local, "evaluator"):  # its images at each resolution belong to one thread
            self._local.evaluator = self._run.evaluator()
        logits = self._local.evaluator.logits(network.architecture, split)
        if split == "validation" and network.top1 is not None:
            self._compare(network, logits)
        return from_logits(logits.numpy())

    def _compare(self, network: RunNetwork, logits: Tensor) -> None:
        """Raise RunError where a network is not the one that the run measured; warn once where rounding explains it."""
        assert network.top1 is not None
        labels = torch.from_numpy(np.array(self._run.dataset.split("validation").labels))
        top1, reason = accuracy.top1_of(logits, labels), "weights, data or code have changed since; make the run anew"
        difference = accuracy.compare(top1, network.top1, len(labels), reason)
        if difference and not self._warned:
            self._warned = True
            log.warning("%s is not exactly what it was: %s", network.name, difference)
