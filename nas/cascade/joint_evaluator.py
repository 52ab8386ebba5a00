"""``evaluator=joint``: evaluator of cascades with networks from several supernets, on images."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.evaluator.accuracy import top1_of
from nas.evaluator.base import Evaluator
from nas.evaluator.subnet import SubnetEvaluator
from nas.objective.base import Measurement, Objective
from nas.pool.model import probabilities_of
from nas.space.joint import EACH_MACS
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import weights_digest
from nas.supernet.joint import JointSupernet, of_supernet
from nas.types import MILLION, Architecture, Floats, Genomes, PositiveInt

Probabilities = npt.NDArray[np.float16]
Network = tuple[str, tuple[int, ...]]
"""Name of a supernet, and the genome of a network in its search space."""


@dataclass(frozen=True)
class _Answers:
    """Outputs of a network on a split.

    Attributes:
        probabilities: Class probabilities, shape (n, c), float16.
        error: Top-1 error of the network alone, in percent. It is computed from logits, as everywhere else, because
            different logits can have equal probabilities in half precision.
    """

    probabilities: Probabilities
    error: float


@final
class JointEvaluator(Evaluator):
    """Evaluator that runs each network once and computes cascades from the networks' outputs.

    Networks of the same resolution share a pass over the images, even if they are from different supernets. Outputs are
    cached in half precision, like outputs in a pool, until the weights change or the memory limit is reached. Cascades
    route images as cascades of a pool do. A result depends only on the cascade and the supernets' weights.

    Example:
        >>> from nas.cascade.joint_evaluator import JointEvaluator
        >>> from nas.dataset.none import NoImages
        >>> from nas.evaluator.subnet import SubnetEvaluator
        >>> from nas.supernet.joint import JointSupernet
        >>> from nas.supernet.tiny import Tiny
        >>> sizes = dict(stem_width=8, stem_stride=1, stage_widths=(8,), strides=(1,), feature_width=16, widths=(1.0,))
        >>> choices = dict(depths=(1, 2), kernel_sizes=(3,), expand_ratios=(1, 2), resolutions=(6, 8), dropout=0.0)
        >>> flags = dict(squeeze_excite=(False,), hard_swish=(False,))
        >>> members = {name: Tiny(n_classes=10, seed=0, **sizes, **choices, **flags) for name in ("first", "second")}
        >>> supernet, dataset = JointSupernet(members=members), NoImages(classes=10)
        >>> common = dict(supernet=supernet, dataset=dataset, device="cpu", objectives=[])
        >>> networks = SubnetEvaluator(recalibration_images=0, **common)
        >>> JointEvaluator(networks=networks, cascades_at_once=2, **common).groups(["a", "b", "c"])
        [[0, 1], [2]]
    """

    runs_networks = True

    def __init__(
        self,
        *,
        supernet: Supernet,
        dataset: Dataset,
        device: str,
        objectives: Sequence[Objective],
        networks: SubnetEvaluator,
        cascades_at_once: PositiveInt = 32,
        outputs_mib: PositiveInt = 4096,
        threads: PositiveInt = 1,
    ) -> None:
        """Prepare the evaluation of networks.

        Args:
            supernet: Several supernets together, as ``supernet=[a,b]`` gives them.
            dataset: Data set to evaluate on.
            device: Torch device of the evaluation.
            objectives: Objectives of the search; none may be measured on a network.
            networks: Evaluator of single networks of the same supernets.
            cascades_at_once: Number of cascades that are evaluated together.
            outputs_mib: Maximum memory for the networks' outputs, in MiB; the oldest outputs are removed first.
            threads: Number of CPU threads that evaluate cascades; results do not depend on it.

        Raises:
            UserError: If there is only one supernet, or an objective that cascades do not have.
        """
        if not isinstance(supernet, JointSupernet):
            raise UserError(
                "evaluator=joint measures cascades of several supernets: supernet=[a,b], or evaluator=subnet for one"
            )
        for objective in objectives:
            if isinstance(objective, Measurement):
                raise UserError(
                    f"sec_obj={objective.measure.name} is measured on single networks, not on cascades: "
                    "choose sec_obj=[flops]"
                )
        self._networks = networks
        self._supernet = supernet
        self._space = supernet.space
        self._tables = supernet.costs()
        self._dataset = dataset
        self._device = device
        self._at_once = cascades_at_once
        self._threads = threads
        self._outputs_bytes = outputs_mib * 2**20
        self._weights: str | None = None
        self._known: OrderedDict[tuple[str, Network], _Answers] = OrderedDict()

    def groups(self, architectures: Sequence[Architecture]) -> list[list[int]]:
        """Return the cascades in order, in groups of ``cascades_at_once``."""
        order = list(range(len(architectures)))
        return [order[start : start + self._at_once] for start in range(0, len(order), self._at_once)]

    def weights(self) -> Mapping[str, Tensor]:
        """Return the weights of all supernets by name."""
        return self._networks.weights()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Load other weights into the supernets."""
        self._networks.load(weights)

    def __call__(self, architectures: Sequence[Architecture], split: str) -> Sequence[Mapping[str, float]]:
        """Return ``top1`` (percent), ``flops`` (millions, average per image) and ``params`` (millions, all networks).

        For the network of each supernet there are also ``<name>_error`` (percent), ``<name>_flops`` (millions) and
        ``<name>_answered``, the percentage of images that exit at this network.
        """
        from nas.cascade.outputs import outputs_on  # compiles with numba, an optional package

        self._forget_other_weights()
        genomes = np.array([architecture.genome for architecture in architectures], dtype=np.int64)
        each = self._cascade_networks(genomes)
        different = list(dict.fromkeys(network for networks in each for network in networks))
        labels = self._dataset.split(split).labels
        answers = self._answers(different, split)
        outputs = np.stack([answers[network].probabilities for network in different])
        place = {network: i for i, network in enumerate(different)}
        indices = np.array([[1 + place[network] for network in networks] for networks in each])
        order = self._space.order(genomes)
        asked = np.take_along_axis(indices, order, axis=1)
        stored = outputs_on(
            self._device, outputs, labels, threads=self._threads, memory_mib=self._outputs_bytes // 2**20
        )
        errors, reached = stored.cascades(asked, self._space.limits(genomes))
        shares = reached / len(labels)
        own = np.array([answers[network].error for network in different])[indices - 1]
        return self._metrics(genomes, errors, own, shares)

    def _metrics(self, genomes: Genomes, errors: Floats, own: Floats, shares: Floats) -> list[dict[str, float]]:
        """Return the metrics of p cascades.

        Args:
            genomes: Genomes of the cascades, shape (p, d).
            errors: Errors of the cascades, percent, shape (p,).
            own: Errors of each supernet's network alone, percent, shape (p, k).
            shares: Fractions of the images that reach each stage, shape (p, k).
        """
        order = self._space.order(genomes)
        costs = np.stack(list(self._tables[EACH_MACS].parts(genomes).values()), axis=1) / MILLION
        flops = np.zeros(len(genomes))
        for position, network in enumerate(order.T):  # the order of summation is that of cascades of a pool
            flops += costs[np.arange(len(genomes)), network] * shares[:, position]
        found = {"top1": 100 - errors, "flops": flops, "params": self._tables["params"](genomes) / MILLION}
        places = np.argsort(order, axis=1)
        answered = np.take_along_axis(100 * (shares - np.pad(shares[:, 1:], ((0, 0), (0, 1)))), places, axis=1)
        for i, name in enumerate(self._space.members):
            found |= {f"{name}_error": own[:, i], f"{name}_flops": costs[:, i], f"{name}_answered": answered[:, i]}
        return [dict(zip(found, row, strict=True)) for row in np.column_stack(list(found.values())).tolist()]

    def _cascade_networks(self, genomes: Genomes) -> list[list[Network]]:
        """Return the networks of each cascade, (p, d), by supernet."""
        parts = self._space.split(genomes)
        names = list(self._space.members)
        return [
            [(name, tuple(part[row].tolist())) for name, part in zip(names, parts, strict=True)]
            for row in range(len(genomes))
        ]

    def _answers(self, networks: Sequence[Network], split: str) -> dict[Network, _Answers]:
        """Return the outputs of networks on a split; networks without cached outputs are run."""
        found = {network: self._known[split, network] for network in networks if (split, network) in self._known}
        missing = [network for network in networks if network not in found]
        architectures = [self._architecture(*network) for network in missing]
        labels = torch.from_numpy(np.array(self._dataset.split(split).labels))
        for group in self._networks.groups(architectures):
            logits = self._networks.all_logits([architectures[i] for i in group], split)
            for i, each in zip(group, logits, strict=True):
                if not bool(each.isfinite().all()):
                    raise FloatingPointError(f"what a network of {missing[i][0]} answers is not finite")
                answers = _Answers(probabilities_of(each.numpy()), 100 - top1_of(each, labels))
                found[missing[i]] = self._known[split, missing[i]] = answers
        size = sum(each.probabilities.nbytes for each in self._known.values())
        while size > self._outputs_bytes:
            size -= self._known.popitem(last=False)[1].probabilities.nbytes
        return found

    def _architecture(self, name: str, genome: tuple[int, ...]) -> Architecture:
        return of_supernet(name, self._space.members[name].decode(np.array(genome, dtype=np.int64)))

    def _forget_other_weights(self) -> None:
        weights = weights_digest(self._supernet.module.state_dict())
        if weights != self._weights:
            self._known.clear()
            self._weights = weights
