"""``evaluator=joint``: cascades of several supernets' networks, on images."""

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
"""A network: the name of its supernet, and its genome there."""


@dataclass(frozen=True)
class _Answers:
    """What a network answers on a split.

    Attributes:
        probabilities: shape (n, c).
        error: of the network alone, percent, from its logits, as everywhere else: probabilities in half precision are
            equal where logits are not.
    """

    probabilities: Probabilities
    error: float


@final
class JointEvaluator(Evaluator):
    """Runs each network once, and cascades on what the networks answer.

    Networks of one resolution, of whatever supernets, share a pass over the images. What they answer is kept as long as
    weights stay and there is room, in half precision, as outputs in a pool are, and cascades route images as cascades
    of a pool do. A result depends on the cascade and the supernets' weights alone.
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
            supernet: several.
            dataset: what is evaluated on.
            device: where.
            objectives: of the search; none of them is measured on a network.
            networks: evaluator of single networks, of the same supernets.
            cascades_at_once: cascades that are evaluated together.
            outputs_mib: most memory for what networks answer on a split; the oldest go first.
            threads: of cascades on the CPU; results do not depend on them.

        Raises:
            UserError: if there is one supernet alone, or an objective that cascades do not have.
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
        """Return the cascades in their order, ``cascades_at_once`` of them together."""
        order = list(range(len(architectures)))
        return [order[start : start + self._at_once] for start in range(0, len(order), self._at_once)]

    def weights(self) -> Mapping[str, Tensor]:
        """Return the weights of all supernets."""
        return self._networks.weights()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Give the supernets other weights."""
        self._networks.load(weights)

    def __call__(self, architectures: Sequence[Architecture], split: str) -> Sequence[Mapping[str, float]]:
        """Return ``top1`` (percent), ``flops`` (millions, of an image on average) and ``params`` (millions, of all).

        Beside them are, for each supernet's network, ``<name>_error`` (percent), ``<name>_flops`` (millions) and
        ``<name>_answered``: the share of the images in percent that get their answer from it.
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
            genomes: of the cascades, (p, d).
            errors: of the cascades, percent, (p,).
            own: of each supernet's network alone, percent, (p, k).
            shares: of the images that are asked at each position, (p, k).
        """
        order = self._space.order(genomes)
        costs = np.stack(list(self._tables[EACH_MACS].parts(genomes).values()), axis=1) / MILLION
        flops = np.zeros(len(genomes))
        for position, network in enumerate(order.T):  # in this order, as cascades of a pool add them up
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
        """Return what networks answer on a split; those that are not known run."""
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
