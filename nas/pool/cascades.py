"""From the run folder of a search for cascades to one of them as a network."""

import math
from pathlib import Path
from typing import Any

from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.evaluator.cascade_module import Cascade, GapCascade
from nas.pool.base import Progress
from nas.pool.stored_parts import NO_OTHERS, Allowed, part_from
from nas.pool.stored_pool import StoredPool
from nas.run_folder import RunFolder


def pool_of(folder: Path, *, device: str, cache: Path, progress: Progress, allowed: Allowed = NO_OTHERS) -> StoredPool:
    """Return the pool that a run searched, prepared: what is stored of it is used, the rest computed again.

    Args:
        folder: of a finished run with ``pool=runs``, ``pool=timm`` or ``pool=files``. Relative paths in its settings
            start at the working directory, as they did in the run.
        device: where networks are.
        cache: folder of stored outputs and trained supernets.
        progress: told about outputs that are computed.
        allowed: classes from outside ``nas`` that the settings of the run and of its pool's may name.

    Raises:
        UserError: if the folder holds no such run, or weights, data, code, torch or the kind of device have changed.
    """
    config = folder / "config.yaml"
    try:
        settings = RunFolder(folder).settings()
        known = RunFolder(folder).identity()["fingerprints"]["space"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{folder}' holds no run, or is damaged ({error})") from error
    offers: dict[str, Any] = {"device": device, "cache": cache, "allowed": allowed}
    offers["dataset"] = part_from(settings, "dataset", Dataset, offers, config, allowed=allowed)  # type: ignore[type-abstract]
    pool = part_from(settings, "pool", StoredPool, offers, config, allowed=allowed)  # type: ignore[type-abstract]
    pool.prepare(progress)
    if pool.fingerprint != known:
        raise UserError(
            f"the pool of '{folder}' is not what it was: weights, data, code, torch or the kind of device have changed "
            f"since the run"
        )
    return pool


def cascade_of(folder: Path, member: int, *, device: str, cache: Path, progress: Progress) -> Cascade | GapCascade:
    """Return a member of a run's front as one network, in eval mode; costs are millions of multiply-adds.

    It takes images, (n, 3, height, width), pixels scaled to 0..1; each network resizes and normalises them itself.

    Args:
        folder: of a finished run, see :func:`pool_of`.
        member: index in ``front.json``.
        device: where the network is.
        cache: folder of stored outputs and trained supernets.
        progress: told about outputs that are computed.

    Raises:
        UserError: as :func:`pool_of`; if there is no such member, or nothing but outputs is known of its networks.
    """
    try:
        front = RunFolder(folder).front()["front"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"'{folder}' holds no finished run ({error})") from error
    if not 0 <= member < len(front):
        raise UserError(
            f"the front in '{folder}' has {len(front)} members, 0 to {len(front) - 1}; there is no {member}"
        )
    described = front[member]["architecture"]
    if "networks" not in described:
        raise UserError(f"the run in '{folder}' searched no cascades")
    pool = pool_of(folder, device=device, cache=cache, progress=progress)
    names = described["networks"]
    networks = [pool.network(name) for name in names]
    costs = [float(pool.costs["flops"][pool.names.index(name)]) for name in names]
    if "gaps" in described:
        gaps = [math.inf if gap is None else gap for gap in described["gaps"]]
        return GapCascade(networks, gaps, costs).to(device).eval()
    thresholds = described.get("thresholds", [math.inf] * (len(names) - 1))
    return Cascade(networks, thresholds, costs).to(device).eval()
