"""Which groups of runs belong to one experiment: tests are corrected for the number of those in their experiment."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from nas.report.comparison import Comparison
from nas.report.groups import Group
from nas.report.settings import decisive

METHOD = ("algorithm", "surrogate", "optimizer", "selector")
"""Settings that make a search method; what else a run has is the problem that it searches."""

CASCADES = ("encas", "encas_random", "ensembles", "greedy", "joint_plus")
"""Roles of searches for cascades of other runs' networks."""


def experiments(comparison: Comparison, labels: Collection[str], together: bool) -> list[Comparison]:
    """Return the experiments that some groups make up: parts of the comparison, each in a box of its own runs.

    One experiment are groups that search the same problem with as many evaluations: the same supernet, space and all
    settings but those of the method. NAT's searches on several supernets are one, as are searches for cascades with
    each other and with the runs whose networks they choose from, and ENCAS-joint with NAT on its supernets. What is
    in a part, and its box, do not depend on other groups.

    Args:
        comparison: groups of runs.
        labels: of the groups that count.
        together: whether all of them are one experiment.
    """
    groups = [group for group in comparison.groups if group.label in labels]
    if together:
        return [comparison.part(groups)] if groups else []
    return [comparison.part(part) for part in _linked(groups)]


def _linked(groups: Sequence[Group]) -> list[list[Group]]:
    """Return the groups in parts; two that share a mark are in one part."""
    parts: list[tuple[set[str], list[Group]]] = []
    for group in groups:
        marks, members = set(_marks(group)), [group]
        for part in [part for part in parts if part[0] & marks]:
            marks |= part[0]
            members = [*part[1], *members]
            parts.remove(part)
        parts.append((marks, members))
    order = {group.label: place for place, group in enumerate(groups)}
    found = [sorted(members, key=lambda group: order[group.label]) for _, members in parts]
    return sorted(found, key=lambda members: order[members[0].label])


def _marks(group: Group) -> Iterator[str]:
    settings, role = decisive(group.runs[0].settings), group.role
    for run in group.runs:
        yield f"run {run.folder}"
    if role.method in CASCADES:
        yield f"pool {role.networks}"
        for run in group.runs:
            yield from (f"run {folder.resolve()}" for folder in run.pool_folders())
    elif role.method in ("nat", "frozen", "joint"):
        kind = "joint" if role.method == "joint" else "nat"
        yield f"{kind} {_text([_budget(settings), settings.get('constraints')])}"
        supernet = settings.get("supernet")
        members = supernet.get("members") if isinstance(supernet, dict) else None
        for node in members.values() if isinstance(members, dict) else [supernet]:
            yield f"supernet {_text(_plain(node))}"
    else:
        problem = {key: value for key, value in settings.items() if key not in (*METHOD, "task")}
        yield f"problem {_text([problem, _budget(settings)])}"


def _budget(settings: Mapping[str, Any]) -> int | None:
    """Return the evaluations that a search is to make; ``None`` where its settings do not say."""
    node = settings.get("algorithm")
    found = [node.get(name) for name in ("n_doe", "n_iter", "iterations")] if isinstance(node, dict) else []
    counts = [count for count in found if isinstance(count, int)]
    return counts[0] + counts[1] * counts[2] if len(counts) == 3 else None


def _plain(node: Any) -> Any:
    return {key: value for key, value in node.items() if key != "_partial_"} if isinstance(node, dict) else node


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
