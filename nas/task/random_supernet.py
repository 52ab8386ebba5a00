"""The supernet of a command line with random weights, for tasks about costs: those do not depend on weights."""

from typing import Any

from nas.errors import UserError
from nas.parts import build
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import PUBLISHED_CLASSES
from nas.task.base import Setup


def random_supernet(setup: Setup, classes: int | None, resolution: int | None = None) -> tuple[Supernet, int]:
    """Return the supernet and its number of classes.

    Args:
        setup: what the command line says; ``supernet`` and, for its number of classes, ``dataset`` count.
        classes: outputs of the classifier; ``None`` for the 1,000 of a published supernet, or the data set's for one
            that is trained from scratch.
        resolution: the only side of the square input, in pixels; ``None`` for the supernet's own choices.
    """
    refuse_several(setup)
    offers: dict[str, Any] = {"cache": setup.paths.cache, "device": "cpu"}
    published = "checkpoint" in setup.resolved["supernet"]
    if classes is not None:
        offers["n_classes"] = classes
    elif published:
        offers["n_classes"] = PUBLISHED_CLASSES
    else:
        offers["n_classes"] = build(setup.parts["dataset"], offers).n_classes
    if published:
        offers["checkpoint"] = "random"
    if resolution is not None:
        offers["resolutions"] = (resolution,)
    supernet: Supernet = build(setup.parts["supernet"], offers)
    return supernet, offers["n_classes"]


def refuse_several(setup: Setup) -> None:
    """Raise UserError if the command line names several supernets."""
    if "members" in setup.resolved["supernet"]:
        raise UserError(f"task={setup.choices['task']} takes one supernet, not several")
