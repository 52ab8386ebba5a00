"""Roles of groups of runs in the papers' experiments, derived from their settings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.report.data.runs import Run, decisive

METHODS = {
    "msunas": "MSuNAS",
    "random": "random search",
    "nat": "NAT",
    "frozen": "NAT with frozen weights",
    "encas": "ENCAS",
    "encas_random": "random search for cascades",
    "ensembles": "ENCAS-ensemble",
    "greedy": "GreedyCascade",
    "joint": "ENCAS-joint",
    "joint_plus": "ENCAS-joint+",
}
"""Names of the methods in the papers, by key."""


@dataclass(frozen=True)
class Role:
    """Role of a group of runs.

    Attributes:
        method: Key of ``METHODS``; empty for other methods.
        supernets: Number of supernets that the networks come from; 0 for none. Each clone counts.
        clones: Whether all these supernets are the same one, searched with several seeds.
        networks: Key that is equal for groups with the same networks.
    """

    method: str
    supernets: int
    clones: bool
    networks: str

    def __str__(self) -> str:
        """Return the role's name in the papers."""
        name = METHODS.get(self.method, "others")
        if self.method in ("encas", "joint", "joint_plus") and self.supernets:
            kind = "clone" if self.clones else "supernet"
            return f"{name} ({self.supernets} {kind}{'s' if self.supernets > 1 else ''})"
        return name


def roles_of(runs: Sequence[Run]) -> list[Role]:
    """Return the role of each group on the same images.

    NAT with frozen weights has the role of a baseline if another group adapts its weights. Otherwise its role is NAT,
    as in the papers on ImageNet.

    Args:
        runs: One run of each group.
    """
    roles = [_role(run) for run in runs]
    if not any(role.method == "nat" for role in roles):
        return [Role("nat", r.supernets, r.clones, r.networks) if r.method == "frozen" else r for r in roles]
    return roles


def _role(run: Run) -> Role:
    settings = decisive(run.settings)
    algorithm = _module(settings, "algorithm")
    if algorithm in ("encas", "greedy"):
        return _of_cascades(run, settings, algorithm)
    networks = json.dumps([settings.get("supernet"), settings.get("space")], sort_keys=True, default=str)
    if algorithm == "encas_joint":
        return Role("joint", _members(settings), False, networks)
    if algorithm == "nat":
        frozen = not _module(settings, "training").startswith("nat")
        return Role("frozen" if frozen else "nat", 1, False, networks)
    return Role(algorithm if algorithm in METHODS else "", 1, False, networks)


def _of_cascades(run: Run, settings: Mapping[str, Any], algorithm: str) -> Role:
    pool, space = settings.get("pool"), settings.get("space")
    paths = list((pool.get("runs") if isinstance(pool, dict) else None) or ())
    networks = json.dumps(pool, sort_keys=True, default=str)
    clones = len(paths) > 1 and len(set(paths)) == 1
    joint = _joint_members(run)
    if algorithm == "greedy":
        method = "greedy"
    elif _module(settings, "optimizer") == "random":
        method = "encas_random"
    elif isinstance(space, dict) and space.get("search_goal") == "ensemble":
        method = "ensembles"
    else:
        method = "joint_plus" if joint else "encas"
    return Role(method, joint or len(paths), clones, networks)


def _joint_members(run: Run) -> int:
    """Return the number of supernets of the joint run whose fronts are the pool; 0 for another kind of pool."""
    settings = run.pool_settings()
    return _members(settings) if _module(settings, "algorithm") == "encas_joint" else 0


def _members(settings: Mapping[str, Any]) -> int:
    supernet = settings.get("supernet")
    members = supernet.get("members") if isinstance(supernet, dict) else None
    return len(members) if isinstance(members, dict) else 0


def _module(settings: Mapping[str, Any], group: str) -> str:
    """Return the last part of the module name of a group's class; empty without one."""
    node = settings.get(group)
    target = str(node.get("_target_", "")) if isinstance(node, dict) else ""
    return target.rpartition(".")[0].rpartition(".")[2]
