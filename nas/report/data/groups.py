"""Groups of runs that differ only in the seed, with short labels. Labels use the papers' names if they have one."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.report.data.roles import Role, roles_of
from nas.report.data.runs import ABSENT, Run, decisive, differing, flat_settings, supernets_of

ORDER = ("algorithm", "surrogate", "optimizer", "selector", "space", "supernet", "pool", "dataset", "training")
"""Settings that come first in a label, in this order."""

SUPERNETS = {
    "alphanet": "AlphaNet",
    "attentivenas": "AttentiveNAS",
    "ofa_w10": "OFA-w1.0",
    "ofa_w12": "OFA-w1.2",
    "ofa_resnet50": "OFA-ResNet50",
    "proxyless": "ProxylessNAS",
}
"""Names of supernets in the papers, by their names in the settings."""


NUMBERS = re.compile(r"(\D+)(\d*)")
"""Words and the numbers after them, so that ``n_iter=8`` is sorted before ``n_iter=10``."""


@dataclass(frozen=True)
class Group:
    """Group of runs that differ only in the seed.

    Attributes:
        label: Short unique label.
        role: Role of the runs in the papers.
        runs: Runs, sorted by seed and name.
    """

    label: str
    role: Role
    runs: Sequence[Run]

    @property
    def evaluated(self) -> list[Run]:
        """Runs with results."""
        return [run for run in self.runs if run.record is not None]

    @property
    def counted(self) -> list[Run]:
        """Runs whose results are compared: the finished runs, or all runs with results if none is finished."""
        finished = [run for run in self.evaluated if run.state == "finished"]
        return finished or self.evaluated


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Return the groups, in the order of their labels."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        key = json.dumps(decisive(run.settings), sort_keys=True, default=str)
        found.setdefault(key, []).append(run)
    members = [sorted(group, key=lambda run: (run.seed, run.name)) for group in found.values()]
    roles = roles_of([group[0] for group in members])
    settings = [_with_choices(group[0]) for group in members]
    names = [str(role) if role.method else _algorithm(flat) for role, flat in zip(roles, settings, strict=True)]
    labels = short_labels(names, settings)
    groups = [Group(label, role, group) for label, role, group in zip(labels, roles, members, strict=True)]
    return sorted(groups, key=lambda group: [(word, int(part or 0)) for word, part in NUMBERS.findall(group.label)])


def _with_choices(run: Run) -> dict[str, str]:
    """Return flat settings in which the supernet has its name on the command line."""
    flat = flat_settings(run.settings)
    supernet = run.settings.get("supernet")
    members = supernet.get("members") if isinstance(supernet, dict) else None
    name = "+".join(members) if isinstance(members, dict) else run.choices.get("supernet")
    if name and "supernet._target_" in flat:
        flat["supernet._target_"] = f"nas.supernet.{name}.Supernet"
    return flat


def _algorithm(flat: Mapping[str, str]) -> str:
    return _word("algorithm._target_", flat.get("algorithm._target_", "runs"))


def short_labels(names: Sequence[str], settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a label for each group: its name, and words that distinguish it from groups with the same name.

    The name of a part is preferred to its settings, and parts are preferred in the order of ``ORDER``. A setting that
    is equal in all groups with the same words so far is left out.

    Args:
        names: Names of the groups.
        settings: Flat settings, one mapping per group.

    Example:
        >>> short_labels(["msunas", "msunas"], [{"algorithm.n_iter": "8"}, {"algorithm.n_iter": "10"}])
        ['msunas, n_iter=8', 'msunas, n_iter=10']
    """
    labels = list(names)
    for name in dict.fromkeys(names):
        places = [i for i, other in enumerate(names) if other == name]
        for i, words in zip(places, _telling([settings[i] for i in places]), strict=True):
            labels[i] = ", ".join([name, *(_unlike(word, name) for word in words)])
    again = [labels[:i].count(label) for i, label in enumerate(labels)]
    return [f"{label} ({n + 1})" if n else label for label, n in zip(labels, again, strict=True)]


def _telling(settings: Sequence[Mapping[str, str]]) -> list[list[tuple[str, str]]]:
    """Return for each flat settings the distinguishing settings: pairs of a name and a word for the value."""
    rows = differing(settings)
    chosen: list[str] = []
    while len({_values(rows, chosen, i) for i in range(len(settings))}) < len(settings):
        kinds = {name: len({_values(rows, [*chosen, name], i) for i in range(len(settings))}) for name in rows}
        now = len({_values(rows, chosen, i) for i in range(len(settings))})
        helpful = [name for name in rows if kinds[name] > now]
        if not helpful:
            break
        chosen.append(min(helpful, key=lambda name: (_rank(name), -kinds[name], len(name), name)))
    words = [[(name, _word(name, rows[name][i])) for name in _needed(rows, chosen, i)] for i in range(len(settings))]
    return [[(name, word) for name, word in said if word] for said in words]


def _unlike(word: tuple[str, str], name: str) -> str:
    """Return the word of a setting, with the setting's group before a word that equals the name except for case."""
    setting, said = word
    return f"{setting.partition('.')[0]} {said}" if said.casefold() == name.casefold() else said


def _needed(rows: Mapping[str, Sequence[str]], names: Sequence[str], i: int) -> list[str]:
    """Return those of ``names`` that distinguish settings ``i`` from settings that are equal in the names before."""
    alike = list(range(len(next(iter(rows.values()), ()))))
    needed = []
    for name in names:
        closer = [other for other in alike if rows[name][other] == rows[name][i]]
        if len(closer) < len(alike):
            needed.append(name)
        alike = closer
    return needed


def _values(rows: Mapping[str, Sequence[str]], names: Sequence[str], i: int) -> tuple[str, ...]:
    return tuple(rows[name][i] for name in names)


def _rank(name: str) -> tuple[bool, bool, int]:
    group = name.partition(".")[0]
    return (not name.endswith("_target_"), name.count(".") > 1, ORDER.index(group) if group in ORDER else len(ORDER))


def _word(name: str, value: str) -> str:
    """Return a short word for a setting: ``msunas`` for a class, ``n_iter=8`` for a value."""
    parts = name.split(".")
    if name == "pool.runs" and value.startswith("["):
        return _pool_word(supernets_of(json.loads(value)))
    if value == ABSENT:
        return "" if name.endswith("_target_") else f"no {parts[-1]}"
    if name.endswith("_target_"):
        module = value.split(".")
        word = parts[-2] if parts[0] == "sec_obj" else module[-2] if len(module) > 1 else value
        return _pool_word(word.split("+")) if parts[0] == "supernet" else word
    return f"{name if parts[-1] == 'seed' else parts[-1]}={value}"


def _pool_word(names: Sequence[str]) -> str:
    said = [SUPERNETS.get(name, name) for name in names]
    if len(said) > 1 and len(set(said)) == 1:
        return f"{len(said)} clones of {said[0]}"
    return f"{len(said)} supernets" if len(said) > 2 else " + ".join(said)
