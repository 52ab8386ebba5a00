"""Settings of runs as what groups them: without seeds, and flat, by their names on the command line."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nas.run_folder import result_settings

ABSENT = "absent"

SEED = re.compile(r"(?<=[_/-])\d+/*$")
"""What a run folder's path ends in where it tells the seed; ``ofa_w12`` does not."""


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


def _flatten(name: str, node: Any, flat: dict[str, str]) -> None:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            _flatten(f"{name}.{key}" if name else str(key), value, flat)
    else:
        flat[name] = node if isinstance(node, str) else json.dumps(node, default=str)
