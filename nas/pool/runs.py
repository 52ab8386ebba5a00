"""``pool=runs``: the fronts of finished searches."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
import yaml
from torch import nn

from nas.archive import Archive
from nas.dataset import batches
from nas.dataset.base import Dataset
from nas.errors import RunError, UserError
from nas.evaluator import recalibration, subnet
from nas.evaluator.joint import Networks
from nas.evaluator.subnet import SubnetEvaluator
from nas.files import read_json
from nas.pool.agreement import check_agreement
from nas.pool.base import SPLITS, Progress, Split
from nas.pool.model import Computed, Model, SplitOutputs, from_logits
from nas.pool.naming import short_names
from nas.pool.prepared import Prepared
from nas.pool.run_fronts import RunNetwork, networks_of
from nas.pool.stored_parts import part_from
from nas.pool.stored_pool import StoredPool
from nas.pool.weights import source_digest
from nas.run_folder import RunFolder
from nas.supernet.base import Supernet
from nas.supernet.several import Several
from nas.supernet.weights import weights_digest
from nas.training.base import Training
from nas.types import Measure, PositiveInt

SAME_IMAGES = ("augmentation", "mean", "resolutions", "size", "std", "storage")
"""Settings of a data set that change neither which images are in a split nor their order."""

TOLERANCE = 0.003
"""Share of the images that a network may answer otherwise than in its run: on another device sums round otherwise."""


@final
class RunsPool(StoredPool):
    """The networks on the cumulative fronts of finished searches, each with the weights that its run left.

    A run over several supernets has a front for each of them: by what its cascades' networks do alone, as it was
    measured with each cascade.

    Data, supernet, weights and evaluator are rebuilt from the settings in the run folder, and the accuracy on the
    validation split is compared with the run's.
    """

    def __init__(self, *, runs: tuple[Path, ...], workers: PositiveInt, device: str, cache: Path) -> None:
        """Read the fronts.

        Args:
            runs: folders of finished runs.
            workers: networks that are evaluated at once.
            device: where.
            cache: folder of trained supernets, decoded images and outputs.

        Raises:
            UserError: if a folder holds no finished run.
        """
        super().__init__(cache=cache, workers=workers, skip_failed=False)
        folders = [Path(folder).expanduser().resolve() for folder in runs]
        names = short_names(folders, "pool.runs")
        self._runs = [_Run(name, folder, device, cache) for name, folder in zip(names, folders, strict=True)]

    def _models(self, progress: Progress) -> tuple[Sequence[Model], Mapping[str, str]]:
        same = len({run.data_fingerprint for run in self._runs}) == 1
        data: list[Mapping[str, Any]] = [{} if same else run.data for run in self._runs]
        check_agreement([run.models(part, {})[0] for run, part in zip(self._runs, data, strict=True)])
        identities = [run.identity(progress) for run in self._runs]
        whole = zip(self._runs, data, identities, strict=True)
        return [model for run, part, identity in whole for model in run.models(part, identity)], {}


class _Run:
    """One run folder, and what it was made of."""

    def __init__(self, name: str, folder: Path, device: str, cache: Path) -> None:
        """Read settings and archive."""
        self._name = name
        self._config = folder / "config.yaml"
        self._offers: dict[str, Any] = {"device": device, "cache": cache, "objectives": ()}
        if not RunFolder(folder).is_finished():
            raise UserError(f"pool.runs: '{folder}' holds no finished run")
        try:
            self._settings: Mapping[str, Any] = yaml.safe_load(self._config.read_text())
            with (folder / "archive.jsonl").open() as file:
                header = json.loads(file.readline())
            measures = [Measure(*pair) for pair in header["objectives"]]
            self._archive = Archive.open(folder / "archive.jsonl", measures, header["genes"])
            self._threads = int(self._settings["threads"])
            self._front = read_json(folder / "front.json")["front"]
            self._measuring: Mapping[str, Any] = dict(self._settings["evaluator"])
            self._measuring = self._measuring.get("networks", self._measuring)
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise UserError(f"pool.runs: the run in '{folder}' is damaged ({error})") from error
        self._local = threading.local()

    @cached_property
    def _dataset(self) -> Dataset:
        return part_from(self._settings, "dataset", Dataset, self._offers, self._config)  # type: ignore[type-abstract]

    @cached_property
    def _supernet(self) -> Supernet:
        offers = self._offers | {"dataset": self._dataset, "n_classes": self._dataset.n_classes}
        supernet = part_from(self._settings, "supernet", Supernet, offers, self._config)  # type: ignore[type-abstract]
        if supernet.space.names != self._archive.gene_names:
            raise UserError(f"{self._config}: this version's search space has other genes than the run's")
        return supernet

    def _train(self, progress: Progress) -> None:
        """Give the supernet the weights that the run left, from its folder or the cache if they are there."""

        def told(activity: str, done: int, total: int) -> None:
            progress(done, total, f"{activity} of {self._name}")

        offers = self._offers | {"dataset": self._dataset, "supernet": self._supernet, "space": self._supernet.space}
        offers |= {"folder": self._config.parent, "run_seed": self._settings.get("seed"), "replica": None, "shares": 1}
        with _threads(self._threads):
            training = part_from(self._settings, "training", Training, offers, self._config)  # type: ignore[type-abstract]
            training.conclude(told)

    @property
    def _augmented(self) -> bool:
        """Whether outputs depend on the augmentation."""
        return bool(self._measuring.get("recalibration_augmented"))

    @property
    def data_fingerprint(self) -> str:
        """Of images and splits."""
        return self._dataset.fingerprint

    @property
    def data(self) -> dict[str, Any]:
        """The settings that decide which images are in which split."""
        return {f"dataset.{k}": v for k, v in self._settings["dataset"].items() if k not in SAME_IMAGES}

    def identity(self, progress: Progress) -> dict[str, Any]:
        """Return what decides the outputs of all networks; the supernet is built, and trained if it must be."""
        self._train(progress)
        return {
            "kind": "run",
            "weights": weights_digest(self._supernet.module.state_dict()),
            "supernet": self._supernet.fingerprint,
            "dataset": [self._dataset.fingerprint, self._dataset.mean, self._dataset.std],
            "evaluator": self._measuring,
            "code": source_digest(batches, recalibration, subnet),
            "augmentation": str(replace(self._dataset.augmentation, workers=0)) if self._augmented else None,
            "torch": [torch.__version__, str(self._offers["device"]).partition(":")[0], self._threads],
        }

    def models(self, data: Mapping[str, Any], identity: Mapping[str, Any]) -> list[Model]:
        """Return the networks on the front, ascending in error.

        Args:
            data: what the networks of other runs must agree with, see :class:`nas.pool.model.Model`.
            identity: of the run.
        """
        labels: dict[Split, Any] = {split: self._dataset.split(split).labels for split in SPLITS}
        return [
            Model(
                name=network.name,
                group=network.group,
                architecture={"run": network.group} | dict(network.architecture.config),
                identity={**identity, "architecture": dict(network.architecture.config)},
                data=data,
                class_names=self._dataset.class_names,
                labels=labels,
                costs=dict(network.costs),
                run=partial(self._computed, network),
                network=partial(self._network, network),
            )
            for network in networks_of(self._name, self._supernet, self._archive, self._front)
        ]

    def _computed(self, network: RunNetwork) -> Computed:
        """Evaluate one network on both splits."""
        with _threads(self._threads):
            found = {split: self._evaluated(network, split) for split in SPLITS}
        return Computed(splits=found, costs={}, facts={})

    def _network(self, network: RunNetwork) -> nn.Module:
        """Return one network with the statistics that it was evaluated with."""
        with _threads(self._threads):
            found = self._evaluator().network(network.architecture)
        return Prepared(
            found,
            mean=self._dataset.mean,
            std=self._dataset.std,
            resolution=network.architecture.config["r"],
            crop=self._measuring["crop"],
        )

    def _evaluator(self) -> SubnetEvaluator:
        supernet = Networks(self._supernet) if isinstance(self._supernet, Several) else self._supernet
        offers = self._offers | {"dataset": self._dataset, "supernet": supernet}
        return part_from({"evaluator": self._measuring}, "evaluator", SubnetEvaluator, offers, self._config)

    def _evaluated(self, network: RunNetwork, split: Split) -> SplitOutputs:
        """Return the outputs of a network on a split, exactly as the run's evaluator sees them."""
        if not hasattr(self._local, "evaluator"):  # its images at each resolution belong to one thread
            self._local.evaluator = self._evaluator()
        logits = self._local.evaluator.logits(network.architecture, split).numpy()
        labels = self._dataset.split(split).labels
        top1 = 100 * float(np.mean(logits.argmax(axis=1) == labels))
        before = top1 if network.top1 is None or split == "test" else network.top1
        if abs(top1 - before) > 100 * max(TOLERANCE, 2 / len(labels)):
            raise RunError(
                f"its accuracy is {top1:.2f} %, in its run it was {before:.2f} %: weights, "
                "data or code have changed since; make the run anew"
            )
        return from_logits(logits)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Use so many threads of torch, on which the cached weights and the last digits of results depend."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
