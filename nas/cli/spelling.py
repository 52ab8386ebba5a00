"""Short spellings of the command line and what they stand for."""

import re

from nas.errors import UserError

RENAMED = {"save": "path"}
"""Keys that had another name."""

_SUPERNETS = re.compile(r"supernet=(\[[^\[\]]*\](?:,\[[^\[\]]*\])*)")

_WANTED = r"[a-z]\w*#[\d.]+"
_PREFERENCES = re.compile(rf"prefer=(['\"]?)({_WANTED}(?:\+{_WANTED})*)\1")
_LIMIT = re.compile(r"constraints(\.\w+)+=.*", re.DOTALL)

_LATENCY = "which is latency here, measured on this machine, or latency_table, read off a file: sec_obj=[latency]"
PUBLISHED_WORDS = {
    **{("sec_obj", word): _LATENCY for word in ("cpu", "gpu", "lat")},
    **{("sec_obj", word): "which are flops here: sec_obj=[flops]" for word in ("macs", "madds", "avg_flops")},
    ("surrogate", "as"): "adaptive switching, which is adaptive here: surrogate=adaptive",
}
"""What words of the published programs and papers for a group's choice are called here."""


def spelled_out(override: str) -> list[str]:
    """Return what an override stands for, usually itself.

    ``supernet=[a,b]`` is ``supernet=several supernet/members=[a,b]``, so that several supernets are nodes of the
    settings by their names; with ``-m`` there may be several lists. ``prefer=top1#80+flops#150``, as the original tool
    writes it, is ``prefer.top1=80 prefer.flops=150``, and its ``prefer=None`` is nothing.
    ``constraints.NAME.max=3`` is ``++constraints.NAME.max=3``, so that costs of the user's own are bounded like the
    others. Keys that had another name get their new one.
    """
    if _LIMIT.fullmatch(override):
        return [f"++{override}"]
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
