"""``task=latency_table``: measurement of a supernet's latency table on this machine."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from nas.errors import UserError
from nas.experiment import Experiment, torch_device
from nas.files import expanded, write_text
from nas.objective.latency_file import content
from nas.objective.latency_fit import accuracy, fit
from nas.objective.latency_terms import ABSENT, Term, covering, terms_of
from nas.objective.timing import Clock, forward_times, hardware, noise
from nas.seeding import rng_for
from nas.space.base import new_rows
from nas.supernet.base import Supernet
from nas.supernet.elastic import layers
from nas.task.base import Task
from nas.task.progress import shown
from nas.types import Floats, Genomes, NonNegativeInt, PositiveInt, Probability

_MIN_CALIBRATION = 2


@dataclass(frozen=True)
class _Networks:
    """Canonical genomes of the networks to measure, each of shape (n, d).

    Attributes:
        parts: Genomes of networks that are timed block by block.
        calibration: Genomes of networks that are timed as a whole; the sums of blocks are fitted to them.
        held_out: Genomes of networks that are timed as a whole; the table's error is computed on them.
    """

    parts: Genomes
    calibration: Genomes
    held_out: Genomes


@final
class LatencyTableTask(Task):
    """Task that times every block of a supernet inside whole networks and validates the sums on other whole networks.

    The measurement has three parts:

    1. A few networks contain every block with every choice several times. Their blocks are timed in place, so that
       caches and memory are in a realistic state and a network's blocks add up to its latency.
    2. One scale and one offset are fitted to other networks, which are timed as a whole.
    3. The table's error is computed on further networks, which are also timed as a whole.

    All networks are measured in rounds and in random order, so that a temporary slowdown of the machine affects all of
    them. A low quantile of a block's times counts. The mean would include the load of other programs. On the CPU with
    one thread the clock is processor time, which excludes waiting for the processor.

    Example:
        >>> from nas.cli.compose import experiment_of
        >>> words = ["task=latency_table", "supernet=tiny", "classes=10", "path=table.json", "device=cpu"]
        >>> type(experiment_of(words).part("task")).__name__
        'LatencyTableTask'
    """

    def __init__(
        self,
        *,
        experiment: Experiment,
        path: Path,
        overwrite: bool = False,
        classes: PositiveInt | None = None,
        batch_size: PositiveInt = 1,
        coverage: PositiveInt = 3,
        calibration_networks: PositiveInt = 20,
        held_out_networks: PositiveInt = 20,
        rounds: PositiveInt = 3,
        warmup: NonNegativeInt = 2,
        repeats: PositiveInt = 4,
        quantile: Probability = 0.1,
        seed: NonNegativeInt = 0,
    ) -> None:
        """Set the file and the measurement.

        Args:
            experiment: Experiment of the command line. Only ``supernet``, ``device``, ``threads`` and, for the number
                of classes, ``dataset`` are used.
            path: Path of the table.
            overwrite: Whether an existing file may be replaced.
            classes: Number of outputs of the classifier; ``None`` for the 1,000 of a published supernet, or the data
                set's number for a supernet that is trained from scratch.
            batch_size: Number of images per forward pass.
            coverage: Minimum number of networks that contain a block with a given choice.
            calibration_networks: Number of whole networks that the scale and the offset are fitted to, 2 or more.
            held_out_networks: Number of whole networks that the table's error is computed on, 2 or more.
            rounds: Number of measurements of each network.
            warmup: Number of untimed passes of a network in each round.
            repeats: Number of timed passes of a network in each round.
            quantile: Quantile of the measured times that counts, 0 to 1. 0 is the shortest time and 0.5 the median.
            seed: Seed of the choice and order of the networks.
        """
        self._experiment = experiment
        self._path = expanded(path, "path")
        self._overwrite = overwrite
        self._classes = classes
        self._batch_size = batch_size
        self._coverage = coverage
        self._calibration_networks = calibration_networks
        self._held_out_networks = held_out_networks
        self._rounds = rounds
        self._warmup = warmup
        self._repeats = repeats
        self._quantile = quantile
        self._seed = seed

    def check(self) -> None:
        """Check the settings, the path and the device, and build the supernet.

        Raises:
            UserError: If a setting or the path is wrong, the device does not exist, or the search space is too small.
        """
        if min(self._calibration_networks, self._held_out_networks) < _MIN_CALIBRATION:
            raise UserError("task.calibration_networks and task.held_out_networks must be 2 or more")
        if self._path.is_dir() or not self._path.name:
            raise UserError(f"path={self._path} is a folder; give a file, for example {self._path / 'table.json'}")
        if self._path.exists() and not self._overwrite:
            raise UserError(f"path={self._path} exists; add overwrite=true to replace it")
        torch_device(self._experiment.settings.device)
        supernet, _ = self._experiment.random_supernet(self._classes)
        self._networks(supernet, terms_of(supernet.space, supernet.costs()["macs"]))

    def run(self) -> str:
        """Measure the networks, write the table, and return its accuracy as text."""
        settings = self._experiment.settings
        torch.set_num_threads(settings.threads)
        supernet, n_classes = self._experiment.random_supernet(self._classes)
        terms = terms_of(supernet.space, supernet.costs()["macs"])
        networks = self._networks(supernet, terms)
        with threadpool_limits(settings.threads):
            segments, whole, spread = self._reduced(self._measure(supernet, terms, networks), len(networks.parts))
        n = len(networks.calibration)
        found = fit(supernet.space.n_genes, terms, (networks.parts, segments), (networks.calibration, whole[:n]))
        predicted = found.table(networks.held_out)
        error = accuracy(predicted, whole[n:])
        about = {
            "supernet": self._experiment.choices["supernet"],
            "n_classes": n_classes,
            "measured": self._circumstances() | {"networks": len(segments), "spread_percent": spread},
            "calibration": {"networks": n, **asdict(found.calibration)},
            "error": asdict(error),
            "held_out": _listed(supernet, networks.held_out, whole[n:], predicted),
        }
        written = content(supernet.space, terms, found.values, about)
        write_text(self._path, json.dumps(written, allow_nan=False) + "\n")
        return (
            f"{sum(term.n_kinds for term in terms)} blocks, timed in {len(segments)} networks: {self._path}\n"
            f"spread of the times of one network: {spread:.1f} %; calibration on {n} whole networks: "
            f"{found.calibration.scale:.3f} times the sum of the blocks, {found.calibration.offset:+.3f} ms\n"
            f"error on {error.networks} other networks, {whole[n:].min():.2f} to {whole[n:].max():.2f} ms: "
            f"{error.mean_error:.2f} % on average; rank correlation {error.spearman:.3f} (Spearman), "
            f"{error.kendall:.3f} (Kendall)"
        )

    @property
    def _clock(self) -> Clock:
        """Processor time on the CPU with one thread, else wall time."""
        settings = self._experiment.settings
        return "processor" if self._experiment.device == "cpu" and settings.threads == 1 else "wall"

    def _networks(self, supernet: Supernet, terms: Sequence[Term]) -> _Networks:
        rng = rng_for(self._seed, 0, "latency table")
        n, m = self._calibration_networks, self._held_out_networks
        whole = supernet.space.sample_unseen(n + m, np.zeros((0, supernet.space.n_genes), dtype=np.int64), rng)
        if len(whole) < n + m:
            raise UserError(
                f"task.calibration_networks and task.held_out_networks are {n + m} together; "
                f"the search space has {len(whole)} architectures"
            )
        parts = np.concatenate([covering(supernet.space, terms, rng) for _ in range(self._coverage)])
        # A held-out network must not be one that the table is made from.
        return _Networks(new_rows(parts, whole[n:]), whole[:n], whole[n:])

    def _measure(self, supernet: Supernet, terms: Sequence[Term], networks: _Networks) -> list[list[Floats]]:
        """Return the times of each network, one array of shape (repeats, segments) per round.

        A network that is timed as a whole has one segment.
        """
        genomes = np.concatenate([networks.parts, networks.calibration, networks.held_out])
        n_layers = sum((term.kind(genomes) != ABSENT).astype(int) for term in terms if term.is_layer)
        n_layers = np.where(np.arange(len(genomes)) < len(networks.parts), n_layers, 0)
        times: list[list[Floats]] = [[] for _ in genomes]
        rng = rng_for(self._seed, 0, "order")
        order = [index for _ in range(self._rounds) for index in rng.permutation(len(genomes)).tolist()]
        activity = f"measuring {len(genomes)} networks, {self._rounds} rounds"
        with shown(lines=True) as told:
            told(activity, 0, len(order))
            for done, index in enumerate(order, 1):
                times[index].append(self._times(supernet, genomes[index], int(n_layers[index])))
                told(activity, done, len(order))
        return times

    def _times(self, supernet: Supernet, genome: Genomes, n_layers: int) -> Floats:
        device = torch.device(self._experiment.device)
        architecture = supernet.space.decode(genome)
        network = supernet.extract(architecture).to(device)
        return forward_times(
            network,
            noise(self._batch_size, architecture.config["r"], device),
            warmup=self._warmup,
            repeats=self._repeats,
            clock=self._clock,
            parts=layers(network, n_layers) if n_layers else (),
        )

    def _reduced(self, times: Sequence[Sequence[Floats]], n_parts: int) -> tuple[list[Floats], Floats, float]:
        """Return the segment times of the first ``n_parts`` networks, the latencies of the others and their spread.

        The spread of one network is its interquartile range divided by its median. The median of these ratios over the
        networks is returned, in percent.
        """
        together = [np.concatenate(rounds) for rounds in times]
        counting = [np.quantile(each, self._quantile, axis=0) for each in together]
        quartiles = [np.quantile(each, [0.25, 0.5, 0.75]) for each in together[n_parts:]]
        spread = float(np.median([100 * (high - low) / middle for low, middle, high in quartiles]))
        return counting[:n_parts], np.concatenate(counting[n_parts:]), round(spread, 2)

    def _circumstances(self) -> dict[str, Any]:
        settings = self._experiment.settings
        device = self._experiment.device
        return {
            "device": device,
            "hardware": hardware(torch.device(device)),
            "torch": torch.__version__,
            "threads": settings.threads,
            "clock": self._clock,
            "batch_size": self._batch_size,
            "coverage": self._coverage,
            "rounds": self._rounds,
            "warmup": self._warmup,
            "repeats": self._repeats,
            "quantile": self._quantile,
        }


def _listed(supernet: Supernet, genomes: Genomes, measured: Floats, predicted: Floats) -> list[dict[str, Any]]:
    configs = [dict(supernet.space.decode(genome).config) for genome in genomes]
    rows = zip(configs, np.round(measured, 6).tolist(), np.round(predicted, 6).tolist(), strict=True)
    return [{"arch": arch, "measured": one, "predicted": other} for arch, one, other in rows]
