"""What an exported file says about itself."""

import json
from collections.abc import Mapping
from typing import Any

from nas import __version__
from nas.model.base import CASCADE, Model

_KEYS = ("kind", "n_classes", "class_names", "resolution", "mean", "std", "crop", "rule", "limits", "network_costs")
_FACTS = ("costs", "objectives", "units", "metrics", "weights")
INPUT_ALONE = ("resolution", "mean", "std", "crop")
"""What describes a network's own input, which the networks of a cascade may have each their own of."""


def about(model: Model, *, preprocessing: bool, free_sides: bool, sides: tuple[int, int]) -> dict[str, str]:
    """Return the metadata of a file, texts by name; what is no text is JSON.

    Args:
        model: what is exported.
        preprocessing: whether the file's graph changes images itself.
        free_sides: whether it takes images of any height and width.
        sides: height and width of images that it takes in any case.
    """
    described = model.described
    found: dict[str, Any] = {key: described[key] for key in (*_KEYS, *_FACTS) if described.get(key) is not None}
    if model.members:
        found["networks"] = [
            {key: member.described[key] for key in ("name", *INPUT_ALONE, "weights")} for member in model.members
        ]
    found |= {"name": model.name, "nas": __version__, "preprocessing": preprocessing}
    found |= {"description": _description(model, preprocessing, free_sides, sides)}
    return {
        key: value if isinstance(value, str) else json.dumps(value, allow_nan=False) for key, value in found.items()
    }


def _description(model: Model, preprocessing: bool, free_sides: bool, sides: tuple[int, int]) -> str:
    height, width = ("height", "width") if free_sides else sides
    pixels = "pixels scaled to 0..1" if preprocessing else "normalised pixels"
    returned = (
        "probabilities (n, classes), predictions (n), stages (n), costs in millions of multiply-adds (n)"
        if model.described["kind"] == CASCADE
        else "logits (n, classes)"
    )
    return f"images (n, 3, {height}, {width}), float32, RGB, {pixels}, to {returned}"


def summary(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a report says about the model."""
    return {
        key: described[key] for key in ("name", "kind", "source", "weights", "costs", "objectives") if key in described
    }
