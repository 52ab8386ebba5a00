"""Forecast of a run's time and disk from a short measurement of its parts on this machine."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from time import perf_counter
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from nas.evaluator.base import ArrayEvaluator, Evaluator
from nas.experiment import Experiment
from nas.objective.timing import hardware
from nas.run.archive import Archive, written
from nas.seeding import rng_for
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import RANDOM
from nas.supernet.joint import JointSupernet
from nas.task.made_up import MadeUpPool, archive
from nas.task.search import check_parts
from nas.threads import proposing
from nas.types import Architecture

SAMPLE = 8
"""Number of random architectures that are evaluated in addition to the largest one."""

CASCADES = 1000
"""Number of random cascades that are evaluated. A search of twice that size gives the optimizer's own time."""

_BLOCK = 4096
"""Smallest disk space of a file, in bytes."""

_EVALUATION_SECONDS = 60.0
"""Time after which no further architectures are evaluated."""


@dataclass(frozen=True)
class Forecast:
    """Forecast of one run.

    Attributes:
        evaluations: Number of evaluations, of architectures or of cascades.
        seconds: Seconds by activity: ``train``, ``search``, ``evaluate``, and ``conclude`` for the final front.
        disk: Peak bytes by content: ``archive``, ``stats`` and ``weights`` in the run folder, and in the cache the
            ``outputs`` of the run's front. Outputs of a pool do not count here, because runs share them.
        first: Seconds of the work that all runs share and whose result the cache lacks, by its name in the cache.
        first_bytes: Bytes of the same results in the cache, by name.
        processes: Number of devices that the run holds.
        device: Torch device that was measured, for example ``"cpu"``.
        hardware: Name of the hardware.
    """

    evaluations: int
    seconds: Mapping[str, float]
    disk: Mapping[str, int]
    first: Mapping[str, float]
    first_bytes: Mapping[str, int]
    processes: int
    device: str
    hardware: str

    @property
    def total_seconds(self) -> float:
        """Seconds of the run itself."""
        return sum(self.seconds.values())


def forecast(experiment: Experiment, pool: MadeUpPool | None) -> Forecast:
    """Measure the parts of a run. Only decoded images are written, into the cache.

    Args:
        experiment: Experiment of the run. Its supernet gets random weights, because times do not depend on weights.
        pool: Stand-in for the run's pool, of the expected size; ``None`` for a run without a pool.

    Raises:
        UserError: If the run's settings do not fit each other, or its images are missing.
    """
    torch.set_num_threads(experiment.settings.threads)
    with threadpool_limits(experiment.settings.threads):
        supernet = _without_weights(experiment)
        there = experiment.changed(dataset=experiment.dataset, supernet=supernet)
        there = there if pool is None else there.changed(pool=pool)
        check_parts(there)
        return _of_networks(there) if pool is None else _of_cascades(there, pool)


def _of_networks(experiment: Experiment) -> Forecast:
    algorithm, space, evaluator = experiment.algorithm, experiment.space, experiment.evaluator
    sample = space.sample_unseen(SAMPLE, space.largest[None], rng_for(experiment.settings.seed, 0, "estimate"))
    trial = experiment.training.trial(sample)
    architectures = [space.decode(genome) for genome in (space.largest, *sample)]
    metrics, each = _evaluated(evaluator, architectures)
    sizes = _batches(experiment, algorithm.evaluations, algorithm.steps)
    made = archive(space, experiment.objectives, metrics, sizes[: max(1, len(sizes) // 2)], rng_for(0, 0, "estimate"))
    proposal = _proposal(experiment, made) if algorithm.steps > 1 else 0.0
    front, (validation, test) = _front(algorithm.evaluations), _split_sizes(experiment.dataset)
    again = float(experiment.training.moves) + test / validation
    again += (1 + test / validation) * experiment.settings.store_outputs
    outputs = front * (validation + test) * (2 * experiment.dataset.n_classes + 4)
    return Forecast(
        evaluations=algorithm.evaluations,
        seconds={
            "train": trial.warmup + algorithm.steps * trial.step,
            "search": (algorithm.steps - 1) * proposal,
            "evaluate": algorithm.evaluations * each,
            "conclude": front * again * each,
        },
        disk=_disk(made, sizes) | {"weights": trial.run_bytes, "outputs": outputs * experiment.settings.store_outputs},
        first=trial.first,
        first_bytes=trial.first_bytes,
        processes=trial.processes,
        **_where(experiment.device),
    )


def _of_cascades(experiment: Experiment, pool: MadeUpPool) -> Forecast:
    """Time a short search on made-up outputs. GreedyCascade runs in full, since its time depends only on the pool."""
    settings = experiment.resolved.get("optimizer", {}) if experiment.uses("optimizer") else {}
    whole = settings.get("evaluations") or settings.get("population", 0) * settings.get("generations", 0)
    short = min(whole, 2 * CASCADES)
    if "evaluations" in settings:
        experiment = experiment.changed({"optimizer": {"evaluations": short}})
    elif settings:
        short = whole
    assert isinstance(experiment.evaluator, ArrayEvaluator)
    random = [experiment.space.sample(CASCADES, rng_for(0, i, "estimate")) for i in range(2)]
    experiment.evaluator.measure(random[0], "validation")  # warm up: compile, and lay out the arrays
    start = perf_counter()
    metrics = experiment.evaluator.measure(random[1], "validation")
    each = (perf_counter() - start) / CASCADES
    made = archive(
        experiment.space,
        experiment.objectives,
        metrics,
        [_front(whole or experiment.algorithm.evaluations)],
        rng_for(0, 0, ""),
    )
    proposal = _proposal(experiment, Archive(made.path, made.measures, made.gene_names), step=0)
    seconds = pool.share * proposal
    if whole:
        seconds = whole * (pool.share * each + max(0.0, proposal / short - each))
    evaluations = whole or experiment.algorithm.evaluations
    return Forecast(
        evaluations=evaluations,
        seconds={
            "train": 0.0,
            "search": seconds,
            "evaluate": 0.0,
            "conclude": 2 * len(made.history) * pool.share * each,
        },
        disk=_disk(made, [len(made.history)]) | {"weights": 0, "outputs": 0},
        first={},
        first_bytes={},
        processes=1,
        **_where(experiment.device),
    )


def _where(device: str) -> dict[str, str]:
    return {"device": device, "hardware": hardware(torch.device(device))}


def _without_weights(experiment: Experiment) -> Supernet:
    """Return the supernet with random weights, marked as trained if the run would read a checkpoint."""
    node = experiment.resolved["supernet"]
    if "members" in node:
        members = {name: {**each, **_random(each)} for name, each in node["members"].items()}
        supernet = experiment.changed({"supernet": {"members": members}}, dataset=experiment.dataset).supernet
        assert isinstance(supernet, JointSupernet)
        for name, each in supernet.members.items():
            each.trained |= bool(_random(node["members"][name]))
        supernet.trained = all(each.trained for each in supernet.members.values())
        return supernet
    supernet = experiment.changed({"supernet": _random(node)}, dataset=experiment.dataset).supernet
    supernet.trained |= bool(_random(node))
    return supernet


def _random(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of a supernet's settings that make its weights random."""
    return {"checkpoint": RANDOM} if node.get("checkpoint", RANDOM) != RANDOM else {}


def _evaluated(
    evaluator: Evaluator | ArrayEvaluator, architectures: Sequence[Architecture]
) -> tuple[list[Mapping[str, float]], float]:
    """Evaluate the architectures, the first one to warm up; return their metrics and the mean seconds of each."""
    if isinstance(evaluator, ArrayEvaluator):
        genomes = np.array([each.genome for each in architectures], dtype=np.int64)
        start = perf_counter()
        found = list(evaluator.measure(genomes, "validation"))
        return found, (perf_counter() - start) / len(found)
    evaluator(architectures[:1], "validation")
    metrics: list[Mapping[str, float]] = []
    start = perf_counter()
    for group in evaluator.groups(architectures):
        metrics += evaluator([architectures[i] for i in group], "validation")
        if perf_counter() - start > _EVALUATION_SECONDS:
            break
    return metrics, (perf_counter() - start) / len(metrics)


def _proposal(experiment: Experiment, made: Archive, step: int | None = None) -> float:
    """Return the seconds that the algorithm takes to propose a step; ``None`` for the archive's next step."""
    chosen = made.next_step if step is None else step
    start = perf_counter()
    with proposing():
        experiment.algorithm.propose(made, chosen, rng_for(0, chosen, "propose"))
    return perf_counter() - start


def _batches(experiment: Experiment, evaluations: int, steps: int) -> list[int]:
    """Return the number of evaluations of each step."""
    each = int(experiment.resolved["algorithm"].get("n_iter", 0)) if steps > 1 else 0
    return [evaluations - (steps - 1) * each] + [each] * (steps - 1)


def _front(evaluations: int) -> int:
    """Return the assumed number of members of the front."""
    return min(evaluations, round(2 * sqrt(evaluations)))


def _split_sizes(dataset: Any) -> tuple[int, int]:
    return dataset.size("validation"), dataset.size("test")


def _disk(made: Archive, sizes: Sequence[int]) -> dict[str, int]:
    """Return the bytes of the archive and of the files for NSGANetV2's tools, estimated from made-up evaluations."""
    n = sum(sizes)
    lines = [len(written(entry)) for entry in made.history]
    rows = [len(json.dumps(entry.architecture.config)) + 20 * len(made.measures) for entry in made.history]
    row = sum(rows) / len(rows)
    tables = sum(_blocks(size * row) for size in np.cumsum(sizes).tolist())
    return {"archive": round(n * sum(lines) / len(lines)), "stats": 2 * n * _BLOCK + tables}


def _blocks(size: float) -> int:
    return int(-(-round(size) // _BLOCK) * _BLOCK)
