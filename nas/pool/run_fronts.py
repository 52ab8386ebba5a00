"""Networks on the Pareto front of a finished search."""

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
    """Network on the Pareto front of a run.

    Attributes:
        name, group: Name and group, see :class:`nas.pool.model.PoolModel`.
        architecture: Architecture for the evaluator.
        costs: Costs per image that the run knows, by name.
        top1: Validation accuracy with the run's final weights, in percent; ``None`` if the run did not measure it. A
            run over several supernets measures again only the cascades of its own front.
    """

    name: str
    group: str
    architecture: Architecture
    costs: Mapping[str, float]
    top1: float | None


def networks_of(run: str, supernet: Supernet, archive: Archive, front: Sequence[Mapping[str, Any]]) -> list[RunNetwork]:
    """Return the networks on the Pareto front of a run, or on the front of each of its supernets, by ascending error.

    Args:
        run: Name of the run.
        supernet: Supernet that the run searched.
        archive: Archive of the run.
        front: Members of the run's ``front.json``.
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
    """Return the costs of a network that the run knows: FLOPs, parameters, and other objectives."""
    names = [measure.name for measure in archive.measures]
    objectives = dict(zip(names, entry.objectives or (), strict=True))
    costs = {name: entry.metrics[name] for name in ("flops", "params")} | objectives
    return {name: value for name, value in costs.items() if name != TOP1_ERROR.name}


def _front_of(
    name: str, run: str, joint: JointSupernet, archive: Archive, front: Sequence[Mapping[str, Any]]
) -> list[RunNetwork]:
    """Return the networks of one supernet that no other network of it dominates in error and multiply-adds.

    The errors are those of each network alone, measured when it was last part of an evaluated cascade.
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
