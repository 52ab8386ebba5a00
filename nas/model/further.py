"""A model that is trained further: what goes in, and what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nas.dataset.base import Dataset
from nas.dataset.classes import matched, order_of
from nas.dataset.per_image import seeded
from nas.errors import UserError
from nas.finetuning.teacher import Teacher
from nas.model.base import NET_CONFIG, TIMM, Front, Model, ModelSource, preparation
from nas.model.build import network_of
from nas.model.file import SubnetSource
from nas.model.find import ModelKeys, find_source
from nas.model.given import Given
from nas.model.run import RunFront
from nas.pool.timm_models import counted
from nas.seeding import short_seed
from nas.supernet.checkpoint import PUBLISHED_CLASSES, weights_digest
from nas.supernet.joint import JointSupernet
from nas.targets import NO_OTHERS, Allowed


def to_train(
    model: Model,
    *,
    class_names: Sequence[str],
    mean: Sequence[float],
    std: Sequence[float],
    dropout: float,
    drop_path: float,
    seed: int,
    keep_classifier: bool,
    allowed: Allowed = NO_OTHERS,
) -> tuple[nn.Module, dict[str, Any]]:
    """Return a network with a model's weights, and its description.

    Args:
        model: No cascade.
        class_names: Class names of the data set.
        mean: Mean that the data set's images are normalized with, in place of the model's; timm models keep theirs.
        std: Standard deviation that the data set's images are normalized with, in place of the model's.
        dropout: Probability that a feature is zeroed in training.
        drop_path: In training, the probability that a layer is dropped for an image; it grows linearly from 0 at the
            first layer to this value after the last one.
        seed: Seed of a new classifier's weights.
        keep_classifier: Whether the classes are the model's; else the classifier is a new one with random weights.
        allowed: Classes from outside ``nas`` that the model may name.

    Raises:
        UserError: If it is a cascade, or has no such probability.
    """
    if model.network is None:
        raise UserError(f"{model.name} is a cascade, which cannot be trained further; name one of its networks")
    described = _with_classes(model.described, len(class_names)) | {"class_names": list(class_names)}
    if described["kind"] != TIMM:
        described |= {"mean": list(mean), "std": list(std)}
    with seeded(short_seed(seed, "classifier")):
        network = network_of(described, Path(model.name), dropout, drop_path, allowed)
    own, given = network.state_dict(), model.network.state_dict()
    kept = dict(given)
    if not keep_classifier:  # what has another shape with another number of classes is the classifier
        more = _with_classes(described, len(class_names) + 1)
        other = network_of(more, Path(model.name), allowed=allowed).state_dict()
        kept = {name: tensor for name, tensor in given.items() if other[name].shape == own[name].shape}
    # A class of the package ``ofa`` has a method of its own, which accepts too much.
    nn.Module.load_state_dict(network, own | kept)
    return network, described


def _with_classes(described: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Return what describes a network with another number of classes."""
    changed = dict(described) | {"n_classes": n}
    if changed["kind"] == NET_CONFIG:
        config = changed["net_config"]
        changed["net_config"] = config | {"classifier": config["classifier"] | {"out_features": n}}
    return changed


def trained(
    described: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    *,
    metrics: Mapping[str, Mapping[str, float]],
    dataset: Mapping[str, Any],
    data: Mapping[str, Any],
    source: Mapping[str, Any],
    allowed: Allowed = NO_OTHERS,
) -> Model:
    """Return a model with new weights, on the CPU.

    Args:
        described: Result of :func:`to_train`.
        weights: Weights of the network.
        metrics: ``top1``, ``top5`` (percent) and ``loss`` (nats) by split.
        dataset: Settings of the images.
        data: Record that tells the images from others, see :func:`nas.model.given.data_of`.
        source: Origin of the weights; the model's earlier origin is added as ``from``.
        allowed: Classes from outside ``nas`` that the model may name.
    """
    name = str(described["name"])
    network = network_of(described, Path(name), allowed=allowed)
    nn.Module.load_state_dict(network, weights)
    before = ", ".join(f"{key} {value}" for key, value in described["source"].items() if value is not None)
    facts = {
        **described,
        "costs": counted(network, described["resolution"]),
        "objectives": {},
        "units": {},
        "metrics": {split: dict(values) for split, values in metrics.items()},
        "weights": weights_digest(network.state_dict()),
        "recalibrated": True,
        "dataset": dict(dataset),
        "data": dict(data),
        "source": {**source, "from": before},
    }
    return Model(name, network, preparation(network, facts).eval(), facts)


SUPERNET = "supernet"
"""The word for the largest architecture of a supernet."""

_KEY = "finetuning.teacher"


def teacher_source(
    name: str, weights: str | None, *, front: Front | None, given: Given, dataset: Dataset
) -> ModelSource:
    """Return the source of a teacher; nothing is trained, run or written.

    Args:
        name: ``"supernet"``, ``"timm:NAME"``, or the folder of a model.
        weights: Weights of a timm model: a path or ``"random"``; ``None`` for the published ones.
        front: Front of the student's run, whose supernet is then the teacher; ``None`` for the named one.
        given: Other settings of the command line.
        dataset: The images.

    Raises:
        UserError: If there is none, or it has other classes than the data set.
    """
    if name == SUPERNET:
        source = _largest(front, given, dataset)
    else:
        known = replace(given, settings=dict(given.settings))
        source = find_source(ModelKeys(model=name, weights=weights), recalibrate=True, given=known)
    if source.is_cascade:
        raise UserError(f"{_KEY}: {source.name} is a cascade; name a model with one network")
    _check_classes(name, source.n_classes, dataset)
    if source.class_names is not None:
        matched(f"{_KEY}={name}", source.class_names, source.n_classes, dataset)
    return source


def teacher_of(model: Model, class_names: tuple[str, ...] | None, dataset: Dataset) -> Teacher:
    """Return a teacher for normalized images of a data set, with outputs in the order of its classes.

    Args:
        model: The teacher's, which is no cascade.
        class_names: Class names of the model's outputs; ``None`` if unknown, then they are taken as they are.
        dataset: The images.
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
        if isinstance(front.run.supernet, JointSupernet):
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
