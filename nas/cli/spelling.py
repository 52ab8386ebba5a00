"""Short spellings of the command line and what they stand for."""

import re

_LIMIT = re.compile(r"constraints(\.\w+)+=.*", re.DOTALL)
_SUPERNETS = re.compile(r"supernet=(\[[^\[\]]*\](?:,\[[^\[\]]*\])*)")

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
    settings by their names; with ``-m`` there may be several lists. ``constraints.NAME.max=3`` is
    ``++constraints.NAME.max=3``, so that costs of the user's own are bounded like the others.
    """
    if _LIMIT.fullmatch(override):
        return [f"++{override}"]
    several = _SUPERNETS.fullmatch(override)
    return ["supernet=several", f"supernet/members={several[1]}"] if several else [override]
