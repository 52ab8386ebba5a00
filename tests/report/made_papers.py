"""Run folders of all the papers' experiments with invented numbers."""

from pathlib import Path
from typing import Any

from tests.report.made import SETTINGS, write_run

SUPERNETS = ("alphanet", "ofa_w12", "ofa_w10", "attentivenas", "proxyless")
CASCADE = {"networks": ["a"], "thresholds": []}


def choice(group: str, name: str, **settings: Any) -> dict[str, Any]:
    """Return the node of a group's choice."""
    return {group: {"_target_": f"nas.{group}.{name}.Class", **settings}}


def searched(algorithm: str, supernet: str, training: str = "nat") -> dict[str, Any]:
    """Return the settings of a search on one supernet."""
    network = {"supernet": member(supernet)}
    return SETTINGS | choice("algorithm", algorithm) | network | choice("training", training)


def member(supernet: str) -> dict[str, Any]:
    """Return the settings of a supernet."""
    return {"_target_": "nas.supernet.tiny.Class", "seed": SUPERNETS.index(supernet)}


def write_choice(run: Path, supernet: str) -> None:
    """Note the supernet's name on the command line, as Hydra does."""
    (run / ".hydra").mkdir()
    (run / ".hydra" / "hydra.yaml").write_text(
        f"hydra: {{runtime: {{choices: {{supernet: {supernet}, scale: null}}}}}}"
    )


def joined(*names: str) -> dict[str, Any]:
    """Return the settings of ENCAS-joint."""
    members = {name: member(name) for name in names}
    return SETTINGS | choice("algorithm", "encas_joint") | choice("supernet", "several", members=members)


def cascades(
    *runs: Path, algorithm: str = "encas", optimizer: str = "mo_gomea", search_goal: str = "cascade"
) -> dict[str, Any]:
    """Return the settings of a search for cascades of other runs' networks."""
    parts = choice("algorithm", algorithm) | choice("optimizer", optimizer) | choice("supernet", "none")
    parts |= choice("pool", "runs", runs=[str(run) for run in runs]) | choice("dataset", "none")
    return SETTINGS | parts | choice("space", "cascade", search_goal=search_goal)


def write_papers(folder: Path, seeds: int) -> Path:
    """Write runs of every method; ENCAS is better with more supernets, and random search as good as MO-GOMEA."""
    for seed in range(seeds):
        nat = {name: folder / name / f"seed_{seed}" for name in SUPERNETS}
        for i, (name, path) in enumerate(nat.items()):
            write_run(path, seed=seed, settings=searched("nat", name), shift=6 + i, noise=seed + i)
            write_choice(path, name)
        frozen = searched("nat", "alphanet", "none")
        write_run(folder / "frozen" / f"seed_{seed}", seed=seed, settings=frozen, shift=9, noise=seed + 7)
        write_run(folder / "joint_5nets" / f"seed_{seed}", seed=seed, settings=joined(*SUPERNETS), shift=4, noise=seed)
        write_run(
            folder / "joint_2nets" / f"seed_{seed}", seed=seed, settings=joined(*SUPERNETS[:2]), shift=5, noise=seed + 3
        )
        more = [folder / "alphanet" / f"seed_{(seed + i) % seeds}" for i in range(5)]
        paths = list(nat.values())
        searches = {
            "encas_1": (cascades(*paths[:1]), 5),
            "encas_2": (cascades(*paths[:2]), 4),
            "encas_5": (cascades(*paths), 2),
            "clones_2": (cascades(*more[:2]), 4.5),
            "clones_5": (cascades(*more), 4),
            "greedy": (cascades(*paths, algorithm="greedy"), 5),
            "random": (cascades(*paths, optimizer="random"), 2),
            "ensembles": (cascades(*paths, search_goal="ensemble"), 3),
            "plus_5": (cascades(folder / "joint_5nets" / f"seed_{seed}"), 1),
            "plus_2": (cascades(folder / "joint_2nets" / f"seed_{seed}"), 2),
        }
        for i, (name, (settings, shift)) in enumerate(searches.items()):
            path = folder / name / f"seed_{seed}"
            write_run(path, seed=seed, settings=settings, shift=shift, steps=1, config=CASCADE, noise=seed + 10 * i)
    return folder
