"""``surrogate=cascade``: what cascades of several supernets' networks are worth, as ENCAS-joint predicts it."""

from collections.abc import Callable
from typing import Literal, final

import numpy as np

from nas.errors import UserError
from nas.space.base import SpaceSource
from nas.space.joint import EACH_MACS, N_THRESHOLDS, JointSpace
from nas.surrogate.base import Surrogate
from nas.surrogate.rbf_ensemble import RBFEnsemble
from nas.types import Floats, Genomes

PERCENT = 100


@final
class JointSurrogate(Surrogate):
    """A surrogate for each supernet, one that combines what they say, and one for the cost (Chebykin et al. 2022).

    Each supernet's predicts the error of its network from the network's genes. The error of a cascade follows from the
    errors, positions and thresholds of its networks: where it is fitted the errors are measured ones, where it predicts
    they are predicted. Its cost follows from their exact multiply-adds, positions and thresholds.

    As in the published code each of these numbers is a share of its range, multiply-adds one of the largest network's.
    There a supernet's surrogate also sees position and threshold, on which the error of a network does not depend.
    """

    name = "cascade"

    def __init__(
        self,
        *,
        source: SpaceSource,
        errors: Literal["combined", "averaged"] = "combined",
        member: Callable[..., Surrogate],
        combining: RBFEnsemble,
        cost: RBFEnsemble,
    ) -> None:
        """Set the parts.

        Args:
            source: of the cascades.
            errors: of cascades: a surrogate combines its networks' predicted errors, or they are averaged.
            member: makes the surrogate of a supernet; takes its ``space``.
            combining: of the error of cascades.
            cost: of their multiply-adds.

        Raises:
            UserError: if there are no cascades of several supernets, or a part is of a kind that cannot take its place.
        """
        space = source.space
        if not isinstance(space, JointSpace):
            raise UserError(
                "surrogate=cascade predicts cascades of several supernets: choose them, for example "
                "supernet=[alphanet,ofa_w12], or another surrogate"
            )
        self._space = space
        self._macs = source.costs()[EACH_MACS]
        self._averaged = errors == "averaged"
        self._members = [member(space=each) for each in space.members.values()]
        self._combining, self._cost = combining, cost
        for key, made in (("combining", self._combining), ("cost", self._cost)):
            if not isinstance(made, RBFEnsemble):
                raise UserError(f"surrogate.{key} must be rbf_ensemble, which takes real numbers, not genes alone")
        self._known: list[dict[bytes, float]] = []
        self.metrics = tuple(f"{name}_error" for name in space.members)
        largest = self._each_macs(space.largest[None])
        self._scale = float(largest.max())

    def minimum_points(self, n_genes: int) -> int:
        """Return what the most demanding part needs."""
        each = zip(self._members, self._space.members.values(), strict=True)
        needed = [member.minimum_points(space.n_genes) for member, space in each]
        inputs = 3 * len(self._members)
        return max(*needed, self._combining.minimum_points(inputs), self._cost.minimum_points(inputs))

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Fit all parts.

        Args:
            genomes: canonical, (n, d).
            values: errors of the cascades, percent, their multiply-adds, millions, and the errors of each network,
                percent, (n, 2 + k).
        """
        errors = values[:, 2:]
        for i, (member, part) in enumerate(zip(self._members, self._space.split(genomes), strict=True)):
            member.fit(part, errors[:, i : i + 1])
        self._known = [{} for _ in self._members]
        if not self._averaged:
            self._combining.fit(self._inputs(genomes, errors / PERCENT), values[:, :1])
        self._cost.fit(self._inputs(genomes, self._each_macs(genomes) / self._scale), values[:, 1:2])

    def predict(self, genomes: Genomes) -> Floats:
        """Predict the same values, (n, d) -> (n, 2 + k)."""
        errors = np.stack([self._member_errors(i, part) for i, part in enumerate(self._space.split(genomes))], axis=1)
        whole = errors.mean(axis=1, keepdims=True)
        if not self._averaged:
            whole = self._combining.predict(self._inputs(genomes, errors / PERCENT))
        cost = self._cost.predict(self._inputs(genomes, self._each_macs(genomes) / self._scale))
        return np.concatenate([whole, cost, errors], axis=1)

    def _member_errors(self, number: int, genomes: Genomes) -> Floats:
        """Return the predicted errors of one supernet's networks, (n, d_i) -> (n,); optimizers ask again and again."""
        known = self._known[number]
        keys = [row.tobytes() for row in np.ascontiguousarray(genomes)]
        new = {key: i for i, key in enumerate(keys) if key not in known}
        if new:
            predicted = self._members[number].predict(genomes[list(new.values())])[:, 0]
            known.update(zip(new, predicted.tolist(), strict=True))
        return np.array([known[key] for key in keys])

    def _inputs(self, genomes: Genomes, each: Floats) -> Floats:
        """Return a number of each network, (n, k), and its position and threshold as shares, (n, 3 k)."""
        positions, thresholds = self._space.decisions(genomes)
        return np.concatenate([each, positions / len(self._members), thresholds / N_THRESHOLDS], axis=1)

    def _each_macs(self, genomes: Genomes) -> Floats:
        return np.stack(list(self._macs.parts(genomes).values()), axis=1).astype(np.float64)
