"""Parts of a fine-tuning. They are found and checked before anything is trained or written."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas.dataset.base import Dataset
from nas.dataset.classes import Matched, Renormalised, matched
from nas.dataset.training_batches import TrainingBatches
from nas.errors import UserError
from nas.experiment import Experiment
from nas.finetuning.recipe import Recipe
from nas.model.base import Model, ModelSource
from nas.model.find import ModelKeys, find_source, front_of
from nas.model.further import teacher_source, to_train
from nas.model.given import Given, dataset_of, given_by
from nas.model.run import RunArchitecture
from nas.targets import Allowed
from nas.types import Progress


@dataclass(frozen=True)
class FinetuneParts:
    """Model, data and recipe of a fine-tuning.

    Attributes:
        recipe: Recipe of the training.
        source: Source of the model.
        teacher: Source of the teacher; ``None`` for none.
        dataset: Data set; if the classifier is kept, its classes are in the order of the model's outputs.
        device: Torch device.
        keeps_classifier: Whether the classifier is kept, because the model has the classes of the images.
        notes: Messages about the classes.
    """

    recipe: Recipe
    source: ModelSource
    teacher: ModelSource | None
    dataset: Dataset
    device: str
    keeps_classifier: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Pupil:
    """Network that is trained, with its images.

    Attributes:
        network: Network with the model's weights, on the CPU.
        before: Model before the training.
        described: Description of the network, see :class:`nas.model.base.Model`.
        dataset: Data set, normalized with the network's mean and standard deviation.
        node: Settings of the data set.
    """

    network: nn.Module
    before: Model
    described: dict[str, Any]
    dataset: Dataset
    node: Mapping[str, Any]


def parts_of(keys: ModelKeys, experiment: Experiment) -> FinetuneParts:
    """Return the parts that the command line names.

    Raises:
        UserError: If a part is missing or the parts do not fit each other.
    """
    recipe: Recipe = experiment.part("finetuning")
    given = given_by(experiment)
    _check_processes(recipe, given.device)
    source = _source(keys, given, recipe)
    dataset = given.dataset or source.dataset()
    if dataset is None:
        raise UserError("what the model is to be trained on is unknown: add dataset=NAME")
    found = _matched(source, dataset, recipe)
    notes = [found.note if found else f"{source.name} has other classes: it gets a new classifier, random at first"]
    dataset = found.dataset if found else dataset
    TrainingBatches(dataset=dataset, batch_size=recipe.batch_size, seed=0, device="cpu")
    _check_rates(source, recipe)
    teacher = None
    if recipe.teacher is not None:
        front = None if keys.run is None else front_of(keys.run, recalibrate=True, given=given)
        teacher = teacher_source(recipe.teacher, recipe.teacher_weights, front=front, given=given, dataset=dataset)
        notes.append(matched(teacher.name, teacher.class_names, teacher.n_classes, dataset).note)
    told = tuple(filter(None, notes))
    return FinetuneParts(recipe, source, teacher, dataset, given.device, keeps_classifier=found is not None, notes=told)


def _matched(source: ModelSource, dataset: Dataset, recipe: Recipe) -> Matched | None:
    """Return the data set with its classes in the order of the model's outputs; ``None`` for a new classifier.

    Raises:
        UserError: If the model has other classes and the recipe has no new classifier.
    """
    try:
        if dataset.n_classes != source.n_classes:
            raise UserError(f"{source.name} has {source.n_classes:,} classes, the data set has {dataset.n_classes:,}")
        return matched(source.name, source.class_names, source.n_classes, dataset)
    except UserError as error:
        if recipe.new_classifier:
            return None
        text = str(error).partition(";")[0]
        raise UserError(f"{text}: name another data set, or add finetuning.new_classifier=true") from error


def pupil_of(parts: FinetuneParts, experiment: Experiment, progress: Progress) -> Pupil:
    """Load the model and return the network to train.

    Raises:
        UserError: If the model is a cascade.
    """
    model = parts.source.load(progress)
    network, described = to_train(
        model,
        class_names=parts.dataset.class_names,
        mean=parts.dataset.mean,
        std=parts.dataset.std,
        dropout=parts.recipe.dropout,
        drop_path=parts.recipe.drop_path,
        seed=experiment.settings.seed,
        keep_classifier=parts.keeps_classifier,
        allowed=experiment.allowed,
    )
    named = given_by(experiment).names("dataset")
    node: Mapping[str, Any] = experiment.resolved["dataset"] if named else described["dataset"]
    return Pupil(network, model, described, _seen(parts.dataset, described), node)


def images_of(
    node: Mapping[str, Any], described: Mapping[str, Any], source: Path, device: str, *, cache: Path, allowed: Allowed
) -> Dataset:
    """Build the data set again in a worker process.

    Args:
        node: Settings of the data set.
        described: Description of the model, which gives the order of the classes and the mean and standard deviation.
        source: File that contains the settings, for error messages.
        device: Torch device of the process.
        cache: Folder of decoded images.
        allowed: Classes from outside ``nas`` that the settings may name.
    """
    dataset = dataset_of({"dataset": node}, device, cache, source, allowed)
    assert dataset is not None
    names = described["class_names"]
    return _seen(matched(str(described["name"]), names, len(names), dataset).dataset, described)


def _seen(dataset: Dataset, described: Mapping[str, Any]) -> Dataset:
    return Renormalised(dataset, mean=tuple(described["mean"]), std=tuple(described["std"]))


def _source(keys: ModelKeys, given: Given, recipe: Recipe) -> ModelSource:
    settings = dict(given.settings)
    if recipe.new_classifier:  # the model's classes are not the data set's
        settings["dataset"] = None
    source = find_source(keys, recalibrate=True, given=replace(given, settings=settings))
    if source.is_cascade:
        raise UserError(
            f"{source.name} is a cascade, which cannot be trained further: name one of its networks, for example "
            f"model=FOLDER/network_1 of a cascade's folder that task=select wrote"
        )
    return source


def _check_processes(recipe: Recipe, device: str) -> None:
    place, found = torch.device(device), torch.cuda.device_count()
    if place.type == "cuda" and (place.index or 0) + recipe.processes > found:
        raise UserError(f"finetuning.processes={recipe.processes} needs as many GPUs; found {found}")


def _check_rates(source: ModelSource, recipe: Recipe) -> None:
    """Raise UserError if the recipe has dropout or drop path and the networks of the run's supernet do not."""
    if not isinstance(source, RunArchitecture):
        return
    node = source.supernet_settings
    for name in ("dropout", "drop_path"):
        if getattr(recipe, name) and name not in node:
            kind = str(node["_target_"]).rpartition(".")[2]
            raise UserError(f"the networks of the run's supernet, {kind}, have no {name}: add finetuning.{name}=0")
