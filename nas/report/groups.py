"""Groups of runs that differ by the seed alone, and short words for what tells groups apart."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.report.runs import Run
from nas.run_folder import result_settings

ORDER = ("algorithm", "surrogate", "optimizer", "selector", "space", "supernet", "pool", "dataset", "training")
"""Settings that come first in a label, in this order."""

ABSENT = "absent"

SEED = re.compile(r"(?<=[_/-])\d+/*$")
"""What a run folder's path ends in where it tells the seed; ``ofa_w12`` does not."""


@dataclass(frozen=True)
class Group:
    """Runs that differ by the seed alone.

    Attributes:
        label: what tells it from the other groups, in few words; different for each.
        runs: ascending in seed and name.
    """

    label: str
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
    labels = short_labels([_with_choices(group[0]) for group in members])
    groups = [Group(label, group) for label, group in zip(labels, members, strict=True)]
    return sorted(groups, key=lambda group: group.label)


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that runs of one group share: those that make results, but for seeds.

    A search for cascades names the runs of its own seed; a seed that such a path ends in is written as ``*``.
    """
    found = result_settings(settings)
    pool = found.get("pool")
    if isinstance(pool, dict) and isinstance(pool.get("runs"), list):
        found["pool"] = pool | {"runs": [SEED.sub("*", str(path)) for path in pool["runs"]]}
    return found


def supernets_of(paths: Sequence[str]) -> list[str]:
    """Return a word for each run that networks come from: its folder's name, or of ``<name>/seed_*`` the name."""
    return [next((part for part in reversed(path.split("/")) if part not in ("", "*", "seed_*")), path)
            for path in paths]  # fmt: skip


def _with_choices(run: Run) -> dict[str, str]:
    """Return flat settings in which supernets go by the names that the command line gave them."""
    flat = flat_settings(run.settings)
    supernet = run.settings.get("supernet")
    members = supernet.get("members") if isinstance(supernet, dict) else None
    name = _pool_word(list(members)) if isinstance(members, dict) else run.choices.get("supernet")
    if name and "supernet._target_" in flat:
        flat["supernet._target_"] = f"nas.supernet.{name}.Supernet"
    return flat


def flat_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that make results as texts by their names on the command line."""
    flat: dict[str, str] = {}
    _flatten("", decisive(settings), flat)
    return {key: value for key, value in flat.items() if not key.endswith("_partial_") and not key.startswith("task.")}


def differing(settings: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the values, one for each of ``settings``, of the names whose values are not all equal."""
    names = dict.fromkeys(name for flat in settings for name in flat)
    values = {name: [flat.get(name, ABSENT) for flat in settings] for name in names}
    return {name: row for name, row in values.items() if len(set(row)) > 1}


def short_labels(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a label for each of several flat settings: the first few words that tell all of them apart.

    A part's name says more than its settings, and an algorithm more than a data set, see ``ORDER``. What is alike in
    all that have the same words so far is left out.
    """
    rows = differing(settings)
    chosen: list[str] = []
    while len({_values(rows, chosen, i) for i in range(len(settings))}) < len(settings):
        kinds = {name: len({_values(rows, [*chosen, name], i) for i in range(len(settings))}) for name in rows}
        now = len({_values(rows, chosen, i) for i in range(len(settings))})
        helpful = [name for name in rows if kinds[name] > now]
        if not helpful:
            break
        chosen.append(min(helpful, key=lambda name: (_rank(name), -kinds[name], len(name), name)))
    words = [[_word(name, rows[name][i]) for name in _needed(rows, chosen, i)] for i in range(len(settings))]
    algorithms = [_word("algorithm._target_", flat.get("algorithm._target_", "runs")) for flat in settings]
    labels = [", ".join(filter(None, said)) or name for said, name in zip(words, algorithms, strict=True)]
    again = [labels[:i].count(label) for i, label in enumerate(labels)]
    return [f"{label} ({n + 1})" if n else label for label, n in zip(labels, again, strict=True)]


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


def _flatten(name: str, node: Any, flat: dict[str, str]) -> None:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            _flatten(f"{name}.{key}" if name else str(key), value, flat)
    else:
        flat[name] = node if isinstance(node, str) else json.dumps(node, default=str)


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
        return parts[-2] if parts[0] == "sec_obj" else module[-2] if len(module) > 1 else value
    return f"{parts[-1]}={value}"


def _pool_word(names: Sequence[str]) -> str:
    if len(names) > 1 and len(set(names)) == 1:
        return f"{len(names)} clones of {names[0]}"
    return f"{len(names)} supernets" if len(names) > 2 else " + ".join(names)
