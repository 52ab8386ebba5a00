"""Short spellings of the command line and what they stand for."""

import re

_SUPERNETS = re.compile(r"supernet=(\[[^\[\]]*\](?:,\[[^\[\]]*\])*)")


def spelled_out(override: str) -> list[str]:
    """Return what an override stands for, usually itself.

    ``supernet=[a,b]`` is ``supernet=several supernet/members=[a,b]``, so that several supernets are nodes of the
    settings by their names; with ``-m`` there may be several lists.
    """
    several = _SUPERNETS.fullmatch(override)
    return ["supernet=several", f"supernet/members={several[1]}"] if several else [override]
