"""Groups of runs that differ by the seed alone, and short names for them: the papers' where they have some."""

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
"""What the papers call supernets."""


NUMBERS = re.compile(r"(\D+)(\d*)")
"""Words and the numbers behind them: ``n_iter=8`` comes before ``n_iter=10``."""


@dataclass(frozen=True)
class Group:
    """Runs that differ by the seed alone.

    Attributes:
        label: Short label that tells the group from the others; unique.
        role: Role of the runs in the papers.
        runs: Ascending in seed and name.
    """

    label: str
    role: Role
    runs: Sequence[Run]

    @property
    def evaluated(self) -> list[Run]:
        """The runs that have results."""
        return [run for run in self.runs if run.record is not None]

    @property
    def counted(self) -> list[Run]:
        """The runs whose ends are compared: the finished ones, or all with results where none is finished."""
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
    """Return flat settings in which supernets go by the names that the command line gave them."""
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
    """Return a label for each of several groups: its name, and the first few words that tell it from equal names.

    A part's name says more than its settings, and a surrogate more than a data set, see ``ORDER``. What is alike in
    all that have the same words so far is left out.

    Args:
        names: Names of the groups.
        settings: Flat, one a group.
    """
    labels = list(names)
    for name in dict.fromkeys(names):
        places = [i for i, other in enumerate(names) if other == name]
        for i, words in zip(places, _telling([settings[i] for i in places]), strict=True):
            labels[i] = ", ".join([name, *(_unlike(word, name) for word in words)])
    again = [labels[:i].count(label) for i, label in enumerate(labels)]
    return [f"{label} ({n + 1})" if n else label for label, n in zip(labels, again, strict=True)]


def _telling(settings: Sequence[Mapping[str, str]]) -> list[list[tuple[str, str]]]:
    """Return what tells flat settings apart: for each of them names of settings, and words for their values."""
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
    """Return the word of a setting, behind the setting's group where it repeats the name, as ``nat`` does ``NAT``."""
    setting, said = word
    return f"{setting.partition('.')[0]} {said}" if said.casefold() == name.casefold() else said


def _needed(rows: Mapping[str, Sequence[str]], names: Sequence[str], i: int) -> list[str]:
    """Return those of ``names`` that tell settings ``i`` from the others that agree in the names before."""
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
    """Return a setting as a person says it: ``msunas`` for its class, ``n_iter=8`` for a value."""
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
