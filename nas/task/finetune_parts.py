"""What a fine-tuning is made of, found and checked before anything is trained or written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nas.dataset.base import Dataset
from nas.dataset.training_batches import TrainingBatches
from nas.errors import UserError
from nas.finetuning.recipe import Recipe
from nas.model.base import ModelSource
from nas.model.find import find_source, front_of
from nas.model.given import Given
from nas.model.of_cascade import RunCascade
from nas.model.of_run import RunFront
from nas.model.teachers import teacher_source
from nas.task.base import Setup, build
from nas.task.model import ModelKeys, given_by


@dataclass(frozen=True)
class Parts:
    """What is trained, on what, and how.

    Attributes:
        recipe: how.
        source: of the model.
        teacher: of the network that it learns from; ``None`` for none.
        dataset: the images.
        device: where.
    """

    recipe: Recipe
    source: ModelSource
    teacher: ModelSource | None
    dataset: Dataset
    device: str


def parts_of(keys: ModelKeys, setup: Setup) -> Parts:
    """Return what a command line names.

    Raises:
        UserError: if something is absent, or does not fit.
    """
    recipe: Recipe = build(setup.parts["finetuning"], {})
    given = given_by(setup)
    _check_processes(recipe, given.device)
    source = _source(keys, given, recipe)
    dataset = given.dataset or source.dataset()
    if dataset is None:
        raise UserError("what the model is to be trained on is unknown: add dataset=NAME")
    if source.n_classes != dataset.n_classes and not recipe.new_classifier:
        raise UserError(
            f"{source.name} has {source.n_classes:,} classes, the data set has {dataset.n_classes:,}: name another "
            f"data set, or add finetuning.new_classifier=true"
        )
    TrainingBatches(dataset=dataset, batch_size=recipe.batch_size, seed=0, device="cpu")
    _check_rates(keys, given, recipe)
    teacher = None
    if recipe.teacher is not None:
        front = None if keys.run is None else front_of(keys.run, recalibrate=True, given=given)
        teacher = teacher_source(recipe.teacher, recipe.teacher_weights, front=front, given=given, dataset=dataset)
    return Parts(recipe, source, teacher, dataset, given.device)


def dataset_node(setup: Setup, described: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of the images: those that the command line names, or the model's."""
    node: Mapping[str, Any] = setup.resolved["dataset"] if given_by(setup).names("dataset") else described["dataset"]
    return node


def _source(keys: ModelKeys, given: Given, recipe: Recipe) -> ModelSource:
    settings = dict(given.settings)
    if recipe.new_classifier:  # the model's classes are not the data set's
        settings["dataset"] = None
    source = find_source(
        run=keys.run,
        arch=keys.arch,
        model=keys.model,
        weights=keys.weights,
        resolution=keys.r,
        recalibrate=True,
        given=Given(settings=settings, device=given.device, cache=given.cache),
    )
    if isinstance(source, RunCascade):
        raise UserError(f"{source.name} is a cascade, which cannot be trained further; name one of its networks")
    return source


def _check_processes(recipe: Recipe, device: str) -> None:
    place, found = torch.device(device), torch.cuda.device_count()
    if place.type == "cuda" and (place.index or 0) + recipe.processes > found:
        raise UserError(f"finetuning.processes={recipe.processes} needs as many GPUs; found {found}")


def _check_rates(keys: ModelKeys, given: Given, recipe: Recipe) -> None:
    """Raise UserError if the networks of the run's supernet cannot drop what the recipe says."""
    front = None if keys.run is None else front_of(keys.run, recalibrate=True, given=given)
    if not isinstance(front, RunFront):
        return
    node = front.run.settings["supernet"]
    for name in ("dropout", "drop_path"):
        if getattr(recipe, name) and name not in node:
            kind = str(node["_target_"]).rpartition(".")[2]
            raise UserError(f"the networks of the run's supernet, {kind}, have no {name}: add finetuning.{name}=0")
