"""Box of hypervolumes: one for all runs of an experiment, fixed before the first run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from nas.types import Floats, Measure

Rule = Literal["settings", "space", "initial design"]
"""Where a box comes from: ``reference_point`` and ``ideal_point`` of the settings; the classes and the costs of the
search space; or, where no bound of an objective is known, the initial design of the run, which depends on its seed."""

MARGIN = 1.01
"""The reference point is this much more than the largest cost, as in NSGANetV2: the largest architecture counts."""


@dataclass(frozen=True)
class Box:
    """A box in the space of objectives.

    Attributes:
        reference: The worst corner, one value an objective.
        ideal: The best corner.
        rule: Rule that the corners follow from.
    """

    reference: tuple[float, ...]
    ideal: tuple[float, ...]
    rule: Rule

    @property
    def comparable(self) -> bool:
        """Whether runs that differ in the seed alone have the same box."""
        return self.rule != "initial design"

    def corners(self) -> tuple[Floats, Floats]:
        """Return the reference and the ideal point, shape (m,) each."""
        return np.array(self.reference, dtype=np.float64), np.array(self.ideal, dtype=np.float64)

    def words(self, measures: Sequence[Measure]) -> str:
        """Return the box as text, for example ``top-1 error 0 to 90 %, FLOPs 0.2 to 1.3 M``."""
        sides = [
            f"{measure.words} {low:.4g} to {high:.4g} {measure.short_unit}"
            for measure, low, high in zip(measures, self.ideal, self.reference, strict=True)
        ]
        return ", ".join(sides) + ("" if self.comparable else " (this run's own, not comparable: set reference_point)")

    def record(self) -> dict[str, Any]:
        """Return the box as JSON has it."""
        return {"reference_point": [*self.reference], "ideal_point": [*self.ideal], "box_rule": self.rule}


def recorded(record: Mapping[str, Any] | None) -> Box | None:
    """Return the box from a record of :meth:`Box.record`; ``None`` without a record."""
    if not record or record.get("box_rule") not in get_args(Rule):
        return None
    return Box(tuple(record["reference_point"]), tuple(record["ideal_point"]), record["box_rule"])


def stated(reference: Sequence[float] | None, ideal: Sequence[float] | None) -> Box | None:
    """Return the box that settings state; ``None`` without a reference point."""
    if reference is None:
        return None
    return Box(tuple(reference), tuple(ideal or [0.0] * len(reference)), "settings")


def of_space(n_classes: int, ranges: Sequence[tuple[float, float] | None]) -> Box | None:
    """Return the box of a search space, from facts that are known before any run.

    Errors range from 0 to the error of guessing, 100 (1 - 1 / c) percent with c classes of equal size. Other objectives
    range from their smallest value to 1.01 times their largest value.

    Args:
        n_classes: Number of classes of the images.
        ranges: Least and largest value of each objective but the error; ``None`` for one that is not known.
    """
    known = [each for each in ranges if each is not None and np.isfinite(each).all()]
    if len(known) < len(ranges):
        return None
    highest = [MARGIN * high if high > 0 else low + 1.0 for low, high in known]
    error = 100 * (1 - 1 / max(n_classes, 2))
    return Box((error, *highest), (0.0, *(low for low, _ in known)), "space")
