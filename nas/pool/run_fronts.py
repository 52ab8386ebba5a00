"""The networks on the front of a finished search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.objective.base import TOP1_ERROR
from nas.pareto import non_dominated
from nas.run.archive import Archive, Entry
from nas.supernet.base import Supernet
from nas.supernet.joint import JointSupernet, of_supernet
from nas.types import MILLION, Architecture


@dataclass(frozen=True)
class RunNetwork:
    """A network on a front.

    Attributes:
        name, group: see :class:`nas.pool.model.PoolModel`.
        architecture: for the evaluator.
        costs: of one image that the run knows, by name.
        top1: accuracy on the validation images, percent, with the weights that the run left; ``None`` where the run
            did not measure it: of one over several supernets, it measures the cascades of its own front again.
    """

    name: str
    group: str
    architecture: Architecture
    costs: Mapping[str, float]
    top1: float | None


def networks_of(run: str, supernet: Supernet, archive: Archive, front: Sequence[Mapping[str, Any]]) -> list[RunNetwork]:
    """Return the networks on the run's front, or on the fronts of its supernets, each ascending in error.

    Args:
        run: its name.
        supernet: that it searched.
        archive: the run's.
        front: members of its ``front.json``.
    """
    if isinstance(supernet, JointSupernet):
        return [network for name in supernet.members for network in _front_of(name, run, supernet, archive, front)]
    measured = {tuple(each["genome"]): float(each.get("final", each["metrics"])["top1"]) for each in front}
    return [
        RunNetwork(
            name=f"{run}/iter_{entry.step}/net_{entry.index}",
            group=run,
            architecture=entry.architecture,
            costs=_costs(entry, archive),
            top1=measured[entry.architecture.genome],
        )
        for entry in archive.front()
    ]


def _costs(entry: Entry, archive: Archive) -> dict[str, float]:
    """Return what the run knows a network to cost: FLOPs, parameters, and its other objectives."""
    names = [measure.name for measure in archive.measures]
    objectives = dict(zip(names, entry.objectives or (), strict=True))
    costs = {name: entry.metrics[name] for name in ("flops", "params")} | objectives
    return {name: value for name, value in costs.items() if name != TOP1_ERROR.name}


def _front_of(
    name: str, run: str, joint: JointSupernet, archive: Archive, front: Sequence[Mapping[str, Any]]
) -> list[RunNetwork]:
    """Return one supernet's networks that none of its others dominates in error and multiply-adds.

    They are compared by what they were measured to do alone when they were last part of a cascade.
    """
    place, supernet = list(joint.members).index(name), joint.members[name]

    def part(genome: Sequence[int]) -> tuple[int, ...]:
        return tuple(joint.space.split(np.array([genome], dtype=np.int64))[place][0].tolist())

    newest = {part(entry.architecture.genome): entry for entry in archive.history if entry.objectives is not None}
    genomes, entries = list(newest), list(newest.values())
    values = np.array([[entry.metrics[f"{name}_error"], entry.metrics[f"{name}_flops"]] for entry in entries])
    params = supernet.costs()["params"](np.array(genomes)) / MILLION
    known = {part(each["genome"]): each["final"] for each in front if "final" in each}
    top1 = {genome: 100 - float(metrics[f"{name}_error"]) for genome, metrics in known.items()}
    chosen = non_dominated(values)
    return [
        RunNetwork(
            name=f"{run}/{name}/iter_{entries[i].step}/net_{entries[i].index}",
            group=f"{run}/{name}",
            architecture=of_supernet(name, supernet.space.decode(np.array(genomes[i]))),
            costs={"flops": float(values[i, 1]), "params": float(params[i])},
            top1=top1.get(genomes[i]),
        )
        for i in chosen[np.lexsort(values[chosen].T[::-1])]
    ]
