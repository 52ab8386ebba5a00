"""A model that is trained further: what goes in, and what comes out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nas.dataset.per_image import seeded
from nas.errors import UserError
from nas.model.base import NET_CONFIG, TIMM, Model, counted, preparation
from nas.model.build import network_of
from nas.seeding import short_seed
from nas.supernet.weights import weights_digest


def to_train(
    model: Model,
    *,
    class_names: Sequence[str],
    mean: Sequence[float],
    std: Sequence[float],
    dropout: float,
    drop_path: float,
    seed: int,
) -> tuple[nn.Module, dict[str, Any]]:
    """Return a network with a model's weights, and what describes it.

    Where there are other classes than the model's, the classifier is a new one with random weights.

    Args:
        model: no cascade.
        class_names: of the data set.
        mean: what its images are normalised with, which replaces the model's; timm's models keep theirs.
        std: likewise.
        dropout: probability that a feature is zeroed in training.
        drop_path: in training, the probability that a layer is dropped for an image; it grows linearly from 0 at the
            first layer to this value after the last one.
        seed: of a new classifier's weights.

    Raises:
        UserError: if it is a cascade, or has no such probability.
    """
    if model.network is None:
        raise UserError(f"{model.name} is a cascade, which cannot be trained further; name one of its networks")
    described = dict(model.described) | {"n_classes": len(class_names), "class_names": list(class_names)}
    if described["kind"] != TIMM:
        described |= {"mean": list(mean), "std": list(std)}
    if described["kind"] == NET_CONFIG:
        config = described["net_config"]
        classifier = config["classifier"] | {"out_features": len(class_names)}
        described["net_config"] = config | {"classifier": classifier}
    with seeded(short_seed(seed, "classifier")):
        network = network_of(described, Path(model.name), dropout, drop_path)
    own, given = network.state_dict(), model.network.state_dict()
    same = len(class_names) == model.described["n_classes"]
    kept = {name: tensor for name, tensor in given.items() if same or own[name].shape == tensor.shape}
    # A class of the package ``ofa`` has a method of its own, which accepts too much.
    nn.Module.load_state_dict(network, own | kept)
    return network, described


def trained(
    described: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    *,
    metrics: Mapping[str, Mapping[str, float]],
    dataset: Mapping[str, Any],
    source: Mapping[str, Any],
) -> Model:
    """Return a model with new weights, on the CPU.

    Args:
        described: of :func:`to_train`.
        weights: of the network.
        metrics: ``top1``, ``top5`` (percent) and ``loss`` (nats) by split.
        dataset: settings of the images.
        source: where the weights are from; what the model was before is added as ``from``.
    """
    name = str(described["name"])
    network = network_of(described, Path(name))
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
        "source": {**source, "from": before},
    }
    return Model(name, network, preparation(network, facts).eval(), facts)
