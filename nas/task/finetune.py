"""``task=finetune``: further training of one model; the result is a model folder."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, Unpack, final

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from nas.dataset.base import Dataset
from nas.dataset.batches import Batches
from nas.errors import typed
from nas.evaluator.accuracy import Metrics, measure
from nas.experiment import Experiment
from nas.finetuning.course import Best, Course, Row
from nas.finetuning.teacher import Teacher
from nas.finetuning.trainer import Trainer, TrainerReplica, as_bytes
from nas.model.base import MODEL_FILE, ModelSource, preparation
from nas.model.find import ModelKeys, ModelOptions
from nas.model.folder import FolderSource, launch_command, write_into
from nas.model.further import teacher_of, trained
from nas.model.given import data_of, given_by
from nas.run.folder import RunFolder, revision
from nas.targets import own_packages
from nas.task.base import Task
from nas.task.finetune_parts import FinetuneParts, Pupil, images_of, parts_of, pupil_of
from nas.task.progress import shown
from nas.team import ALONE
from nas.tracker.base import RunInfo, Tracker, told_end
from nas.tracker.csv import CsvTracker
from nas.tracker.together import Together, log_tracker
from nas.training.members import Members
from nas.types import Progress

log = logging.getLogger(__name__)

CACHE_BYTES = 2**28
"""Largest memory for the resized images of a split, in bytes."""


@final
class FinetuneTask(Task):
    """Task that trains a model further from its weights and keeps the best weights.

    Example:
        >>> from nas.cli.compose import experiment_of
        >>> words = ["task=finetune", "run=outputs/demo", "arch=3", "paths.run=outputs/tuned"]
        >>> type(experiment_of(words).part("task")).__name__
        'FinetuneTask'
    """

    def __init__(
        self,
        *,
        experiment: Experiment,
        **keys: Unpack[ModelOptions],
    ) -> None:
        """Set the model; see :class:`nas.model.find.ModelKeys`.

        Args:
            experiment: Experiment of the command line.
            keys: Settings that name the model, see :class:`nas.model.find.ModelOptions`.
        """
        self._experiment = experiment
        self._folder = RunFolder(experiment.paths.run)
        self._keys = ModelKeys(**keys)

    def check(self) -> None:
        """Find the model, its images and its teacher, and check the run folder. Nothing is trained or written.

        Raises:
            UserError: If one of them is missing or does not fit, or the run folder belongs to another run.
        """
        self._folder.check_settings(self._experiment.resolved)
        if self._is_done():
            self._check_finished()
        else:
            self._folder.check_free()
            parts_of(self._keys, self._experiment)

    def _check_finished(self) -> None:
        """Check that the images are still those that the model was trained on."""
        given = given_by(self._experiment)
        dataset = given.dataset
        if dataset is None:  # the run used the model's own data set
            model = FolderSource(self._folder.path, device="cpu", cache=given.cache, allowed=given.allowed)
            dataset = model.dataset()
        if dataset is not None:
            self._folder.check_data({"dataset": dataset.fingerprint}, dataset.sizes)

    def _is_done(self) -> bool:
        """Whether the status is ``finished`` and the model file, which is written last, exists."""
        finished = self._folder.status.read().get("state") == "finished"
        return finished and (self._folder.path / MODEL_FILE).exists()

    def run(self) -> str:
        """Start or resume the training, unless it is finished; return the results as text."""
        if self._is_done():
            return f"This fine-tuning is finished: see {os.path.relpath(self._folder.path / 'summary.csv')}"
        torch.set_num_threads(self._experiment.settings.threads)
        threads = threadpool_limits(self._experiment.settings.threads)
        with threads, self._folder.lease(), self._folder.status.kept():
            self._folder.check_settings(self._experiment.resolved)
            parts = parts_of(self._keys, self._experiment)
            for note in parts.notes:
                log.warning(note)
            with shown() as progress:
                pupil = pupil_of(parts, self._experiment, progress)
                teacher = None if parts.teacher is None else _teacher(parts.teacher, pupil.dataset, progress)
            fingerprints = {"dataset": pupil.dataset.fingerprint, "model": str(pupil.before.described["weights"])}
            self._folder.check_data(fingerprints, pupil.dataset.sizes)
            with self._trainer(parts, pupil, teacher) as (trainer, members):
                course = Course(
                    trainer=trainer,
                    members=members,
                    measure=_measured(pupil, "validation", parts, trainer),
                    recipe=parts.recipe,
                    folder=self._folder.path,
                )
                with self._tracked(parts, pupil, fingerprints) as told:
                    best = self._train(course, told)
                    return self._conclude(course, best, parts, pupil, trainer)

    @contextmanager
    def _trainer(
        self, parts: FinetuneParts, pupil: Pupil, teacher: Teacher | None
    ) -> Iterator[tuple[Trainer, Members | None]]:
        """Start the worker processes, yield the trainer, and end the processes."""
        resolution, seed = int(pupil.described["resolution"]), self._experiment.settings.seed
        members, team, device = None, ALONE, torch.device(parts.device)
        if parts.recipe.processes > 1:
            place = self._folder.path / "config.yaml"
            places: dict[str, Any] = {"cache": self._experiment.paths.cache, "allowed": self._experiment.allowed}
            replica = TrainerReplica(
                network=as_bytes(pupil.network),
                teacher=None if teacher is None else as_bytes(teacher),
                dataset=partial(images_of, pupil.node, pupil.described, place, **places),
                resolution=resolution,
                recipe=parts.recipe,
                seed=seed,
            )
            members = Members(size=parts.recipe.processes, device=device, replica=replica)
            team = members.team
        try:
            yield (
                Trainer(
                    network=pupil.network,
                    teacher=teacher,
                    dataset=pupil.dataset,
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
        """Train all remaining epochs and return the best epoch."""

        def told(row: Row) -> None:
            self._status(int(row["epoch"] or 0))
            tracker.epoch(row, True)

        rows = course.begin()
        for row in rows:
            tracker.epoch(row, len(rows) == 1)
        return course.epochs(told, lambda done, total: tracker.progress("training", done, total))

    def _conclude(self, course: Course, best: Best, parts: FinetuneParts, pupil: Pupil, trainer: Trainer) -> str:
        """Measure the best weights on the test images, write the model, and return the results as text."""
        weights = course.best_weights()
        # Call torch's method directly: classes of the package ``ofa`` override it and accept missing keys.
        nn.Module.load_state_dict(trainer.network, weights)
        measured = _measured(pupil, "test", parts, trainer)
        test = measured(trainer.network)
        source = {"run": str(self._folder.path.resolve()), "epoch": best.epoch, "epochs": parts.recipe.epochs}
        model = trained(
            pupil.described,
            weights,
            metrics={"validation": best.accuracy, "test": asdict(test)},
            dataset=pupil.node,
            data=data_of(pupil.dataset),
            source=source,
            allowed=self._experiment.allowed,
        )
        write_into(self._folder.path, model)
        kind = "the average of the weights" if best.averaged else "the weights"
        when = f"{kind} after epoch {best.epoch}" if best.epoch else "the weights before the first epoch"
        folder = os.path.relpath(self._folder.path)
        first = pupil.before.network
        packages = own_packages(model.described)
        allow = f" 'allow=[{','.join(packages)}]'" if packages else ""
        tested = f" ({measured(first).top1:.2f} % before)" if first is not None and parts.keeps_classifier else ""
        return (
            f"Best on the validation images: {when}, top-1 {best.top1:.2f} % ({course.rows[0]['top1']:.2f} % before)\n"
            f"On the test images: top-1 {test.top1:.2f} %{tested}\n"
            f"Model: {folder}, for example {launch_command()} task=validate {typed('model', folder)}{allow}"
        )

    def _status(self, epoch: int) -> None:
        epochs = self._experiment.resolved["finetuning"]["epochs"]
        self._folder.write_status("running", epoch=epoch, epochs=epochs)

    @contextmanager
    def _tracked(self, parts: FinetuneParts, pupil: Pupil, fingerprints: Mapping[str, str]) -> Iterator[Tracker]:
        """Start the run's tracker, yield it, and finish it with the error, if any."""
        experiment = self._experiment
        run = RunInfo(
            folder=self._folder.path,
            id=self._folder.begin(experiment.resolved, fingerprints, facts={"sizes": pupil.dataset.sizes()}),
            group=experiment.group,
            name=f"{experiment.group}-seed{experiment.settings.seed}",
            task=experiment.choices["task"],
            tags=(pupil.before.name, experiment.choices["finetuning"]),
            config=experiment.resolved,
            objectives=(),
            steps=parts.recipe.epochs + 1,
            evaluations=0,
            revision=revision(self._folder.identity()),
        )
        chosen = experiment.tracker
        on_screen = [] if isinstance(chosen, CsvTracker) else [chosen]  # the course writes summary.csv itself
        tracker = Together([log_tracker(), *on_screen])
        tracker.start(run, [])
        with told_end(tracker):
            yield tracker


def _teacher(source: ModelSource, dataset: Dataset, progress: Progress) -> Teacher:
    return teacher_of(source.load(progress), source.class_names, dataset)


def _measured(pupil: Pupil, split: str, parts: FinetuneParts, trainer: Trainer) -> Callable[[nn.Module], Metrics]:
    """Return a function that measures a network on a split, with the model's preprocessing and no augmentation."""
    images, described, device = pupil.dataset.split(split), pupil.described, parts.device
    moments = {"mean": pupil.dataset.mean, "std": pupil.dataset.std}
    side, crop, own = int(described["resolution"]), described["crop"], isinstance(described["crop"], Mapping)
    if own:  # timm's preprocessing, which also resizes and normalizes the images
        moments, side, crop = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}, images.pixels.shape[-1], 1.0
    batches = Batches(images=images, device=device, crop=crop, cache_bytes=CACHE_BYTES, **moments)

    def measured(network: nn.Module) -> Metrics:
        network.to(device)
        ready = preparation(network, described).to(device).eval() if own else network
        return measure(ready, batches, side, parts.recipe.validation_batch_size, trainer.precision)

    return measured
