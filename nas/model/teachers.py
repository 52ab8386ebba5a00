"""Networks that others learn from."""

from dataclasses import replace
from pathlib import Path

from nas.dataset.base import Dataset
from nas.dataset.classes import matched, order_of
from nas.errors import UserError
from nas.finetuning.teacher import Teacher
from nas.model.base import TIMM, Model, ModelSource
from nas.model.find import find_source
from nas.model.front import BEST, Front
from nas.model.given import Given
from nas.model.of_config import PUBLISHED_CLASSES, SubnetSource
from nas.model.of_run import RunFront
from nas.supernet.joint import Several

SUPERNET = "supernet"
"""The word for the largest architecture of a supernet."""

_KEY = "finetuning.teacher"


def teacher_source(
    name: str, weights: str | None, *, front: Front | None, given: Given, dataset: Dataset
) -> ModelSource:
    """Return where a teacher comes from; nothing is trained, run or written.

    Args:
        name: ``"supernet"``, ``"timm:NAME"``, or the folder of a model.
        weights: of timm's: a path or ``"random"``; ``None`` for the published ones.
        front: of the run that the pupil is from, whose supernet is meant then; ``None`` for the one that is named.
        given: what the command line names.
        dataset: the images.

    Raises:
        UserError: if there is none, or it has other classes than the data set.
    """
    if name == SUPERNET:
        source = _largest(front, given, dataset)
    else:
        known = replace(given, settings=dict(given.settings))
        source = find_source(
            run=None, arch=BEST, model=name, weights=weights, resolution=None, recalibrate=True, given=known
        )
    if source.is_cascade:
        raise UserError(f"{_KEY}: {source.name} is a cascade; name a model with one network")
    _check_classes(name, source.n_classes, dataset)
    if source.class_names is not None:
        matched(f"{_KEY}={name}", source.class_names, source.n_classes, dataset)
    return source


def teacher_of(model: Model, class_names: tuple[str, ...] | None, dataset: Dataset) -> Teacher:
    """Return a teacher that sees the normalised images of a data set, and answers in the order of its classes.

    Args:
        model: the teacher's, which is no cascade.
        class_names: of its outputs; ``None`` where they are unknown, and taken as they are.
        dataset: the images.
    """
    assert model.network is not None
    described = model.described
    order = None if class_names is None else order_of(dataset.class_names, class_names)
    fixed = described["kind"] == TIMM and bool(getattr(model.network, "pretrained_cfg", {}).get("fixed_input_size"))
    return Teacher(
        model.network,
        mean=described["mean"],
        std=described["std"],
        resolution=int(described["resolution"]) if fixed else None,
        images_mean=dataset.mean,
        images_std=dataset.std,
        order=None if order == list(range(dataset.n_classes)) else order,
    )


def _largest(front: Front | None, given: Given, dataset: Dataset) -> ModelSource:
    if isinstance(front, RunFront):
        if isinstance(front.run.supernet, Several):
            raise UserError(
                f"{_KEY}={SUPERNET}: the run has several supernets, {', '.join(front.run.supernet.members)}; name the "
                f"folder of a model, or timm:NAME"
            )
        space = front.run.supernet.space
        return front.source_of(space.decode(space.largest).config, "largest")
    if not given.names("supernet"):
        raise UserError(f"{_KEY}={SUPERNET}: which supernet is unknown: add supernet=NAME")
    node = given.settings["supernet"]
    if "checkpoint" not in node:
        raise UserError(f"{_KEY}={SUPERNET}: the supernet has no weights; name the folder of a model, or timm:NAME")
    if node.get("checkpoint", "") is None:
        _check_classes(SUPERNET, PUBLISHED_CLASSES, dataset)
    space = given.supernet(dataset.n_classes, "random").space
    config = space.decode(space.largest).config
    return SubnetSource(Path("largest"), config, weights=None, resolution=None, given=given)


def _check_classes(name: str, n_classes: int, dataset: Dataset) -> None:
    if n_classes != dataset.n_classes:
        raise UserError(f"{_KEY}={name} has {n_classes:,} classes, the data set has {dataset.n_classes:,}")
