"""``pool=runs``: networks on the Pareto fronts of finished searches."""

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
"""Settings of a data set that do not affect which images are in a split, or their order."""

log = logging.getLogger(__name__)


@final
class RunsPool(StoredPool):
    """Pool of the networks on the cumulative Pareto fronts of finished searches, with their runs' final weights.

    A run over several supernets has one front per supernet. It compares the networks by their own errors, as measured
    with each cascade.

    Data, supernet, weights and evaluator are rebuilt from the settings in the run folder. The accuracy on the
    validation split is then compared with the run's. A difference that rounding explains causes a warning (see
    :mod:`nas.evaluator.accuracy`); a larger difference raises an error.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.errors import UserError
        >>> from nas.pool.runs import RunsPool
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     try:
        ...         RunsPool(runs=(Path(folder),), device="cpu", cache=Path(folder, "cache"))
        ...     except UserError:
        ...         print("the folder holds no finished run")
        the folder holds no finished run
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
        """Read the Pareto fronts of the runs.

        Args:
            runs: Run folders of finished runs.
            workers: Number of networks that are evaluated in parallel.
            device: Torch device of the networks.
            cache: Cache folder of trained supernets, decoded images and outputs.
            allowed: Classes from outside ``nas`` that the runs' settings may name.
            named: Data set settings given on the command line, see :class:`FinishedRun`; ``None`` for none.

        Raises:
            UserError: If a folder holds no finished run.
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
        """Lowest and highest cost of a network in the search spaces of the runs.

        They do not depend on the networks that the runs found.
        """
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
    """One run and the models on its Pareto front."""

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
        """Read settings and archive; the arguments are those of :class:`FinishedRun`."""
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
        """Fingerprint of images and splits."""
        return self._run.dataset.fingerprint

    @property
    def data(self) -> dict[str, Any]:
        """Settings that determine which images are in which split."""
        return {f"dataset.{k}": v for k, v in self._run.settings["dataset"].items() if k not in SAME_IMAGES}

    def limits(self) -> dict[str, tuple[float, float]]:
        """Return the lowest and highest cost in the supernet's search space, or in any of several, in millions."""
        supernet = self._run.supernet
        members = supernet.members.values() if isinstance(supernet, JointSupernet) else [supernet]
        found = {}
        for name, table in (("flops", "macs"), ("params", "params")):
            ends = [member.costs()[table].extremes() for member in members]
            found[name] = min(low for low, _ in ends) / MILLION, max(high for _, high in ends) / MILLION
        return found

    def identity(self, progress: Progress) -> dict[str, Any]:
        """Return the values that determine the outputs of all networks.

        The supernet is built, and trained if necessary.
        """

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
        """Return the networks on the Pareto front, by ascending error.

        Args:
            data: Values that must be equal for the networks of other runs, see :class:`nas.pool.model.PoolModel`.
            identity: Identity of the run, see :meth:`identity`.
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
        """Return the outputs of a network on a split, exactly as the run's evaluator computes them."""
        if not hasattr(self._local, "evaluator"):  # one per thread, because evaluators cache resized images
            self._local.evaluator = self._run.evaluator()
        logits = self._local.evaluator.logits(network.architecture, split)
        if split == "validation" and network.top1 is not None:
            self._compare(network, logits)
        return from_logits(logits.numpy())

    def _compare(self, network: RunNetwork, logits: Tensor) -> None:
        """Compare a network's accuracy with the run's measurement; warn once if rounding explains a difference.

        Raises:
            RunError: If the difference is larger.
        """
        assert network.top1 is not None
        labels = torch.from_numpy(np.array(self._run.dataset.split("validation").labels))
        top1, reason = accuracy.top1_of(logits, labels), "weights, data or code have changed since; make the run anew"
        difference = accuracy.compare(top1, network.top1, len(labels), reason)
        if difference and not self._warned:
            self._warned = True
            log.warning("%s is not exactly what it was: %s", network.name, difference)
