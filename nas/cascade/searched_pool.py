"""The pool that a finished search for cascades was made on."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.cascade.source import CascadeSource, GapCascades, PooledCascades
from nas.errors import RunError, UserError
from nas.evaluator import accuracy
from nas.experiment import Experiment
from nas.pool.stored_pool import StoredPool
from nas.run.folder import RunFolder
from nas.targets import NO_OTHERS, Allowed
from nas.types import Progress

MEMORY_MIB = 1024
"""Most memory for outputs in single precision."""

log = logging.getLogger(__name__)


def pool_of(
    folder: Path,
    *,
    device: str,
    cache: Path,
    progress: Progress,
    allowed: Allowed = NO_OTHERS,
    named: Mapping[str, Any] | None = None,
) -> StoredPool:
    """Return the pool that a run searched, prepared: what is stored of it is used, the rest computed again.

    Where its fingerprint is not the run's, the cascades of the run's front are measured on it: their accuracies must be
    the same but for rounding, see :mod:`nas.evaluator.accuracy`.

    Args:
        folder: of a finished run with ``pool=runs``, ``pool=timm`` or ``pool=files``. Relative paths in its settings
            start at the working directory, as they did in the run.
        device: where networks are.
        cache: folder of stored outputs and trained supernets.
        progress: told about outputs that are computed.
        allowed: classes from outside ``nas`` that the settings of the run and of its pool's may name.
        named: settings of data that the command line names, for the runs of a pool whose images have moved.

    Raises:
        UserError: if the folder holds no such run, or its cascades do not measure what they did.
    """
    try:
        settings = RunFolder(folder).settings()
        known = RunFolder(folder).identity()["fingerprints"]["space"]
        front = RunFolder(folder).front()["front"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{folder}' holds no run, or is damaged ({error})") from error
    parts = {"named": named}
    experiment = Experiment.of_folder(settings, folder, device=device, cache=cache, allowed=allowed, parts=parts)
    pool: StoredPool = experiment.part("pool")
    pool.prepare(progress)
    if pool.fingerprint != known:
        try:
            _compare(folder, pool, front, settings["space"])
        except (RunError, UserError) as error:
            raise UserError(f"the pool of '{folder}' is not what it was: {error}") from error
    return pool


def _compare(folder: Path, pool: StoredPool, front: Sequence[Mapping[str, Any]], space: Mapping[str, Any]) -> None:
    """Raise RunError if the cascades of a front measure something else on a pool; warn once about rounding."""
    source: CascadeSource
    if "gaps" in front[0]["architecture"]:
        source = GapCascades(pool=pool)
    else:
        sizes = {"search_goal": space["search_goal"], "size": space["size"], "memory_mib": MEMORY_MIB}
        source = PooledCascades(pool=pool, device="cpu", threads=1, **sizes)
    genomes = np.stack([source.space.encode(member["architecture"]) for member in front])
    outcome = source.outcome(genomes, "validation")
    reason = "weights, data or code have changed since the run; make it anew"
    differences = [
        accuracy.compare(100 - float(error), member["metrics"]["top1"], outcome.n_images, f"{reason} (cascade {i})")
        for i, (error, member) in enumerate(zip(outcome.errors, front, strict=True))
    ]
    if told := [difference for difference in differences if difference]:
        log.warning("the pool of '%s' is not exactly what it was: of a cascade, %s", folder, told[0])
