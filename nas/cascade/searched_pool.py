"""Pool on which a finished search for cascades was made."""

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
"""Maximum memory for outputs in single precision, in MiB."""

log = logging.getLogger(__name__)


def pool_of(
    folder: Path,
    *,
    device: str,
    cache: Path,
    progress: Progress,
    allowed: Allowed = NO_OTHERS,
    named: Mapping[str, Any] | None = None,
    parts: Mapping[str, Any] | None = None,
) -> StoredPool:
    """Return the prepared pool that a run searched; stored outputs are used and missing ones computed again.

    If its fingerprint differs from the run's, the cascades on the run's Pareto front are measured on it. Their
    accuracies must be the same up to rounding, see :mod:`nas.evaluator.accuracy`.

    Args:
        folder: Run folder of a finished run with ``pool=runs``, ``pool=timm`` or ``pool=files``. Relative paths in its
            settings start at the working directory, as they did in the run.
        device: Torch device of the networks.
        cache: Cache folder of stored outputs and trained supernets.
        progress: Function that is called when outputs are computed.
        allowed: Classes from outside ``nas`` that the settings of the run, and of runs in its pool, may name.
        named: Data set settings given on the command line, for runs in a pool whose images have moved; ``None`` for
            none.
        parts: Objects by group that the run was made with in place of settings; ``None`` for none.

    Raises:
        UserError: If the folder holds no such run, or the accuracies of its cascades differ.
    """
    try:
        settings = RunFolder(folder).settings()
        known = RunFolder(folder).identity()["fingerprints"]["space"]
        front = RunFolder(folder).front()["front"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{folder}' holds no run, or is damaged ({error})") from error
    places: dict[str, Any] = {"device": device, "cache": cache, "allowed": allowed}
    experiment = Experiment.of_folder(settings, folder, **places, parts={**(parts or {}), "named": named})
    pool: StoredPool = experiment.part("pool")
    pool.prepare(progress)
    if pool.fingerprint != known:
        try:
            _compare(folder, pool, front, settings["space"])
        except (RunError, UserError) as error:
            raise UserError(f"the pool of '{folder}' is not what it was: {error}") from error
    return pool


def _compare(folder: Path, pool: StoredPool, front: Sequence[Mapping[str, Any]], space: Mapping[str, Any]) -> None:
    """Compare the cascades of a Pareto front with their measurements on a pool; warn once about rounding.

    Raises:
        RunError: If accuracies differ by more than rounding.
    """
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
