"""Short spellings of the command line and what they stand for."""

import re

from nas.errors import UserError

RENAMED = {"save": "path"}
"""Keys that had another name."""

_SUPERNETS = re.compile(r"supernet=(\[[^\[\]]*\](?:,\[[^\[\]]*\])*)")

_WANTED = r"[a-z]\w*#[\d.]+"
_PREFERENCES = re.compile(rf"prefer=(['\"]?)({_WANTED}(?:\+{_WANTED})*)\1")


def spelled_out(override: str) -> list[str]:
    """Return what an override stands for, usually itself.

    ``supernet=[a,b]`` is ``supernet=several supernet/members=[a,b]``, so that several supernets are nodes of the
    settings by their names; with ``-m`` there may be several lists. ``prefer=top1#80+flops#150``, as the original tool
    writes it, is ``prefer.top1=80 prefer.flops=150``, and its ``prefer=None`` is nothing. Keys that had another name
    get their new one.
    """
    if several := _SUPERNETS.fullmatch(override):
        return ["supernet=several", f"supernet/members={several[1]}"]
    if preferences := _PREFERENCES.fullmatch(override):
        return [f"prefer.{wanted.replace('#', '=')}" for wanted in preferences[2].split("+")]
    if override in ("prefer=None", "prefer=null"):
        return []
    key, equals, value = override.partition("=")
    return [f"{RENAMED[key]}={value}"] if equals and key in RENAMED else [override]


def check_spelling(override: str) -> None:
    """Raise UserError if preferences are given as a text that :func:`spelled_out` does not understand."""
    if override.startswith("prefer=") and not override.startswith("prefer={"):
        raise UserError(f"{override} is wrong: write prefer.top1=80 prefer.flops=150, or prefer=top1#80+flops#150")
