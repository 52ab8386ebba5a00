"""Selected architectures of a front, and their layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nas.dataset.classes import IMAGENET_CLASSES
from nas.pareto import non_dominated
from nas.plotting.architecture import Layer, layers_of
from nas.report.data.comparison import Comparison
from nas.report.data.runs import Run
from nas.report.data.spaces import Spaces
from nas.run.record import Record
from nas.space.joint import is_cascade
from nas.supernet.base import Supernet
from nas.types import MILLION, Architecture, Floats


@dataclass(frozen=True)
class Picture:
    """Picture of one architecture.

    Attributes:
        title: Reason for the choice, for example ``"most accurate"``.
        group, run: Group and name of the architecture's run.
        place: Step and index within it, as in the name of the file: ``iter_3/net_1``.
        objectives: Objectives, shape (m,).
        config: Architecture in the form of the original tools.
        layers: Layers of the network; empty for a cascade, or if the network cannot be rebuilt.
        note: Reason for missing layers; empty without one.
    """

    title: str
    group: str
    run: str
    place: str
    objectives: Floats
    config: Mapping[str, Any]
    layers: Sequence[Layer] = ()
    note: str = ""


def chosen_architectures(comparison: Comparison, spaces: Spaces) -> list[Picture]:
    """Return the most accurate, the most balanced and the cheapest architecture of all compared runs together.

    The balanced architecture minimizes the largest objective after each objective is scaled to 0..1 over the front. It
    is the solution of an achievement scalarizing function without a preference (Wierzbicki 1980).
    """
    members = [(group.label, run, place) for group in comparison.groups for run in group.counted
               for place in comparison.courses[run.name].fronts[-1].tolist()]  # fmt: skip
    values = np.array([_record(run).objectives[place] for _, run, place in members])
    front = non_dominated(values)
    low, high = values[front].min(axis=0), values[front].max(axis=0)
    scaled = (values[front] - low) / np.where(high > low, high - low, 1.0)
    order = np.lexsort(values[front].T[::-1])
    wanted = {
        "most accurate": order[0],
        "balanced": int(scaled.max(axis=1).argmin()),
        f"lowest {comparison.measures[1].words}": order[int(values[front][order, 1].argmin())],
    }
    places = {int(front[position]): "" for position in wanted.values()}
    for title, position in wanted.items():
        places[int(front[position])] += (", " if places[int(front[position])] else "") + title
    return [_picture(title, *members[member], spaces) for member, title in places.items()]


def _picture(title: str, group: str, run: Run, place: int, spaces: Spaces) -> Picture:
    record = _record(run)
    config = record.described[place]["config"]
    layers: Sequence[Layer] = ()
    note = ""
    if not is_cascade(config):
        try:
            layers = _layers(spaces.supernet(run), record, place)
        except Exception as error:  # run of another version, data set that is not on this machine, ...
            note = f"It could not be built again here ({type(error).__name__}: {error})".splitlines()[0]
    name = f"iter_{record.step[place]}/net_{record.index[place]}"
    return Picture(title, group, run.name, name, record.objectives[place], config, layers, note)


def _layers(supernet: Supernet, record: Record, place: int) -> Sequence[Layer]:
    """Rebuild the network without weights and data, and return its layers.

    The number of classes follows from the number of parameters that the run recorded.

    Raises:
        ValueError: If no number of classes fits, so that the supernet must have changed.
    """
    config, metrics = (record.described[place][key] for key in ("config", "metrics"))
    architecture = Architecture(tuple(record.genomes[place].tolist()), config)
    layers = layers_of(supernet.extract(architecture), int(config["r"]))
    head = layers[-1]
    more = MILLION * metrics["params"] - float(supernet.costs()["params"](record.genomes[place][None])[0])
    classes = IMAGENET_CLASSES + more / (head.inputs + 1)
    if classes < 1 or abs(classes - round(classes)) > 1e-3:
        raise ValueError("with these settings it has another number of parameters now")
    return [*layers[:-1], replace(head, outputs=round(classes), macs=head.inputs * round(classes))]


def _record(run: Run) -> Record:
    if run.record is None:
        raise ValueError(f"{run.name} has no results")
    return run.record
