"""``task=finetune``: one model is trained further, and becomes the folder of a model."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from nas.dataset.base import Dataset
from nas.dataset.batches import Batches
from nas.dataset.renormalised import Renormalised
from nas.finetuning.accuracy import Accuracy, measure
from nas.finetuning.checkpoints import Best, Row
from nas.finetuning.copies import Copies, as_bytes
from nas.finetuning.course import Course
from nas.finetuning.descent import Descent
from nas.finetuning.teacher import Teacher
from nas.model.base import Model, preparation
from nas.model.folder import write_into
from nas.model.further import to_train, trained
from nas.model.given import dataset_of
from nas.model.teachers import teacher_of
from nas.run_folder import RunFolder
from nas.task.base import Setup, Task, build
from nas.task.finetune_parts import Parts, dataset_node, parts_of
from nas.task.model import Arch, ModelKeys
from nas.team import ALONE
from nas.tracker.base import RunInfo, Tracker
from nas.tracker.csv import CsvTracker
from nas.tracker.together import Together
from nas.training.members import Members
from nas.types import PositiveInt

log = logging.getLogger(__name__)

_ZEROS, _ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
"""Of images that are scaled to 0..1 and no more."""


@dataclass(frozen=True)
class _Subject:
    """What is trained: the network that learns, the one that it was, and what describes them."""

    network: nn.Module
    before: Model
    described: dict[str, Any]
    dataset: Dataset
    node: Mapping[str, Any]


@final
class FinetuneTask(Task):
    """Trains a model from the weights that it has, and leaves the best ones."""

    def __init__(
        self,
        *,
        setup: Setup,
        run: Path | None,
        arch: Arch,
        model: str | None,
        weights: str | None,
        r: PositiveInt | None,
    ) -> None:
        """Take what is trained; see :class:`nas.task.model.ModelKeys`.

        Args:
            setup: what the command line says.
            run: folder of a finished run.
            arch: of it: an index of ``front.json``, ``"best"``, or an architecture as JSON or a file.
            model: instead: a folder, a ``net.config`` or ``.subnet`` file, or ``timm:NAME``.
            weights: of a file or timm's model: a path, or ``"random"``.
            r: side of the square input in pixels, where the model does not say it.
        """
        self._setup = setup
        self._folder = RunFolder(setup.paths.run)
        self._keys = ModelKeys(run=run, arch=arch, model=model, weights=weights, r=r)

    def check(self) -> None:
        """Find the model, its images and its teacher, and look at the run folder; nothing is trained or written."""
        self._folder.check_settings(self._setup.resolved)
        if not self._folder.is_finished():
            self._folder.check_free()
            parts_of(self._keys, self._setup)

    def run(self) -> str:
        """Train, or go on with it, or say that it is finished; return what to tell the user."""
        if self._folder.is_finished():
            return f"This fine-tuning is finished: see {os.path.relpath(self._folder.path / 'summary.csv')}"
        torch.set_num_threads(self._setup.settings.threads)
        with threadpool_limits(self._setup.settings.threads), self._folder.lease():
            self._folder.check_settings(self._setup.resolved)
            parts = parts_of(self._keys, self._setup)
            subject = self._subject(parts)
            teacher = None if parts.teacher is None else teacher_of(parts.teacher.load(_told), subject.dataset)
            fingerprints = {"dataset": subject.dataset.fingerprint, "model": str(subject.before.described["weights"])}
            self._folder.check_data(fingerprints)
            with self._descent(parts, subject, teacher) as (descent, members):
                course = Course(
                    descent=descent,
                    members=members,
                    measure=partial(_measured, subject, "validation", parts, descent),
                    recipe=parts.recipe,
                    folder=self._folder.path,
                )
                with self._tracked(parts, subject, fingerprints) as told:
                    best = self._train(course, told)
                    return self._conclude(course, best, parts, subject, descent)

    def _subject(self, parts: Parts) -> _Subject:
        model = parts.source.load(_told)
        dataset = parts.dataset
        network, described = to_train(
            model,
            class_names=dataset.class_names,
            mean=dataset.mean,
            std=dataset.std,
            dropout=parts.recipe.dropout,
            drop_path=parts.recipe.drop_path,
            seed=self._setup.settings.seed,
        )
        seen = Renormalised(dataset, mean=tuple(described["mean"]), std=tuple(described["std"]))
        return _Subject(network, model, described, seen, dataset_node(self._setup, described))

    @contextmanager
    def _descent(
        self, parts: Parts, subject: _Subject, teacher: Teacher | None
    ) -> Iterator[tuple[Descent, Members | None]]:
        """Start the other processes, and end them."""
        resolution, seed = int(subject.described["resolution"]), self._setup.settings.seed
        members, team, device = None, ALONE, torch.device(parts.device)
        if parts.recipe.processes > 1:
            place = self._folder.path / "config.yaml"
            copies = Copies(
                network=as_bytes(subject.network),
                teacher=None if teacher is None else as_bytes(teacher),
                dataset=partial(_images, subject.node, subject.described, self._setup.paths.cache, place),
                resolution=resolution,
                recipe=parts.recipe,
                seed=seed,
            )
            members = Members(size=parts.recipe.processes, device=device, replica=copies)
            team = members.team
        try:
            yield (
                Descent(
                    network=subject.network,
                    teacher=teacher,
                    dataset=subject.dataset,
                    resolution=resolution,
                    recipe=parts.recipe,
                    seed=seed,
                    device=device,
                    team=team,
                ),
                members,
            )
        finally:
            if members is not None:
                members.close()

    def _train(self, course: Course, tracker: Tracker) -> Best:
        """Train all epochs that are left."""

        def told(row: Row) -> None:
            self._status(int(row["epoch"] or 0))
            tracker.epoch(row, True)

        rows = course.begin()
        for row in rows:
            tracker.epoch(row, len(rows) == 1)
        return course.epochs(told, lambda done, total: tracker.progress("training", done, total))

    def _conclude(self, course: Course, best: Best, parts: Parts, subject: _Subject, descent: Descent) -> str:
        """Measure the best weights on the test images, write the model, and say what was achieved."""
        weights = course.best_weights()
        # A class of the package ``ofa`` has a method of its own, which accepts too much.
        nn.Module.load_state_dict(descent.network, weights)
        test = _measured(subject, "test", parts, descent, descent.network)
        source = {"run": str(self._folder.path.resolve()), "epoch": best.epoch, "epochs": parts.recipe.epochs}
        model = trained(
            subject.described,
            weights,
            metrics={"validation": best.accuracy, "test": asdict(test)},
            dataset=subject.node,
            source=source,
        )
        write_into(self._folder.path, model)
        kind = "the average of the weights" if best.averaged else "the weights"
        when = f"{kind} after epoch {best.epoch}" if best.epoch else "the weights before the first epoch"
        folder = os.path.relpath(self._folder.path)
        return (
            f"Best on the validation images: {when}, top-1 {best.top1:.2f} % ({course.rows[0]['top1']:.2f} % before)\n"
            f"On the test images: top-1 {test.top1:.2f} %{self._test_before(parts, subject, descent)}\n"
            f"Model: {folder}, for example task=validate model={folder}"
        )

    def _test_before(self, parts: Parts, subject: _Subject, descent: Descent) -> str:
        """Return what the model achieved before, where it had the same classes."""
        network = subject.before.network
        if network is None or subject.before.described["n_classes"] != subject.described["n_classes"]:
            return ""
        return f" ({_measured(subject, 'test', parts, descent, network).top1:.2f} % before)"

    def _status(self, epoch: int) -> None:
        epochs = self._setup.resolved["finetuning"]["epochs"]
        self._folder.write_status("running", epoch=epoch, epochs=epochs)

    @contextmanager
    def _tracked(self, parts: Parts, subject: _Subject, fingerprints: Mapping[str, str]) -> Iterator[Tracker]:
        """Keep the run's status and its tracker true, whatever happens inside."""
        setup = self._setup
        run = RunInfo(
            folder=self._folder.path,
            id=self._folder.begin(setup.resolved, fingerprints),
            group=setup.group,
            name=f"{setup.group}-seed{setup.settings.seed}",
            task=setup.choices["task"],
            tags=(subject.before.name, setup.choices["finetuning"]),
            config=setup.resolved,
            objectives=(),
            steps=parts.recipe.epochs + 1,
            evaluations=0,
        )
        chosen = build(setup.parts["tracker"], {})
        tracker = Together([]) if isinstance(chosen, CsvTracker) else chosen  # summary.csv is written anyway
        error: str | None = "killed"
        self._folder.write_status("running")
        tracker.start(run, [])
        try:
            yield tracker
            error = None
        except BaseException as exception:
            error = f"{type(exception).__name__}: {exception}".strip()
            raise
        finally:
            self._folder.write_status("finished" if error is None else "failed", error=error)
            tracker.finish(error)


def _images(node: Mapping[str, Any], described: Mapping[str, Any], cache: Path, source: Path, device: str) -> Dataset:
    """Build the images anew, in another process."""
    dataset = dataset_of({"dataset": node}, device, cache, source)
    assert dataset is not None
    return Renormalised(dataset, mean=tuple(described["mean"]), std=tuple(described["std"]))


@torch.no_grad()
def _measured(subject: _Subject, split: str, parts: Parts, descent: Descent, network: nn.Module) -> Accuracy:
    """Return what a network achieves on a split, behind the changes that its images go through outside of training."""
    images = subject.dataset.split(split)
    whole = Batches(images=images, mean=_ZEROS, std=_ONES, device=parts.device, crop=1.0, cache_bytes=0)
    ready = preparation(network.to(parts.device), subject.described).to(parts.device).eval()
    size = parts.recipe.validation_batch_size
    return measure(ready, whole, images.pixels.shape[-1], size, descent.precision)


def _told(done: int, total: int, activity: str) -> None:
    log.info("%s: %d of %d", activity, done, total)
