"""``surrogate=cascade``: ENCAS-joint's surrogate for cascades of networks from several supernets."""

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
    """Surrogate for cascades with one network from each of several supernets (Chebykin et al. 2022).

    It has one surrogate per supernet, one that combines their predictions, and one for the cost. The surrogate of a
    supernet predicts the error of its network from the network's genes. The combining surrogate predicts the error of a
    cascade from the errors, positions and thresholds of its networks. It is fitted to measured errors and predicts from
    predicted errors. The cost surrogate predicts from exact multiply-adds, positions and thresholds.

    All these inputs are scaled by their range, as in the published code; multiply-adds are divided by those of the
    largest network. In the published code a supernet's surrogate also sees position and threshold, on which the error
    of a network does not depend.

    Example:
        >>> from nas.cascade.joint_surrogate import JointSurrogate
        >>> from nas.space.supernet import SupernetSpace
        >>> from nas.supernet.joint import JointSupernet
        >>> from nas.supernet.tiny import Tiny
        >>> from nas.surrogate.rbf_ensemble import RBFEnsemble
        >>> sizes = dict(stem_width=8, stem_stride=1, stage_widths=(8,), strides=(1,), feature_width=16, widths=(1.0,))
        >>> choices = dict(depths=(1, 2), kernel_sizes=(3,), expand_ratios=(1, 2), resolutions=(6, 8), dropout=0.0)
        >>> flags = dict(squeeze_excite=(False,), hard_swish=(False,))
        >>> members = {name: Tiny(n_classes=10, seed=0, **sizes, **choices, **flags) for name in ("first", "second")}
        >>> source = SupernetSpace(supernet=JointSupernet(members=members))
        >>> rbf = RBFEnsemble(device="cpu")
        >>> JointSurrogate(source=source, member=lambda space: rbf, combining=rbf, cost=rbf).metrics
        ('first_error', 'second_error')
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
            source: Search space of the cascades.
            errors: Prediction of cascade errors: ``"combined"`` by a surrogate of the networks' predicted errors, or
                ``"averaged"`` over them.
            member: Function that makes the surrogate of a supernet; its argument is ``space``.
            combining: Surrogate for the error of cascades; must be ``rbf_ensemble``.
            cost: Surrogate for the average multiply-adds of cascades; must be ``rbf_ensemble``.

        Raises:
            UserError: If the search space has no cascades of several supernets, or ``combining`` or ``cost`` is of
                another kind.
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
        """Return the largest minimum number of points of all parts."""
        each = zip(self._members, self._space.members.values(), strict=True)
        needed = [member.minimum_points(space.n_genes) for member, space in each]
        inputs = 3 * len(self._members)
        return max(*needed, self._combining.minimum_points(inputs), self._cost.minimum_points(inputs))

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Fit all parts.

        Args:
            genomes: Canonical genomes, shape (n, d).
            values: Errors of the cascades in percent, their multiply-adds in millions, and the errors of each network
                in percent, shape (n, 2 + k).
        """
        errors = values[:, 2:]
        for i, (member, part) in enumerate(zip(self._members, self._space.split(genomes), strict=True)):
            member.fit(part, errors[:, i : i + 1])
        self._known = [{} for _ in self._members]
        if not self._averaged:
            self._combining.fit(self._inputs(genomes, errors / PERCENT), values[:, :1])
        self._cost.fit(self._inputs(genomes, self._each_macs(genomes) / self._scale), values[:, 1:2])

    def predict(self, genomes: Genomes) -> Floats:
        """Predict the values that :meth:`fit` takes, (n, d) -> (n, 2 + k)."""
        errors = np.stack([self._member_errors(i, part) for i, part in enumerate(self._space.split(genomes))], axis=1)
        whole = errors.mean(axis=1, keepdims=True)
        if not self._averaged:
            whole = self._combining.predict(self._inputs(genomes, errors / PERCENT))
        cost = self._cost.predict(self._inputs(genomes, self._each_macs(genomes) / self._scale))
        return np.concatenate([whole, cost, errors], axis=1)

    def _member_errors(self, number: int, genomes: Genomes) -> Floats:
        """Return the predicted errors of one supernet's networks, (n, d_i) -> (n,).

        Predictions are cached, because optimizers request the same networks repeatedly.
        """
        known = self._known[number]
        keys = [row.tobytes() for row in np.ascontiguousarray(genomes)]
        new = {key: i for i, key in enumerate(keys) if key not in known}
        if new:
            predicted = self._members[number].predict(genomes[list(new.values())])[:, 0]
            known.update(zip(new, predicted.tolist(), strict=True))
        return np.array([known[key] for key in keys])

    def _inputs(self, genomes: Genomes, each: Floats) -> Floats:
        """Return a value per network, (n, k), with its scaled position and threshold, (n, 3 k)."""
        positions, thresholds = self._space.decisions(genomes)
        return np.concatenate([each, positions / len(self._members), thresholds / N_THRESHOLDS], axis=1)

    def _each_macs(self, genomes: Genomes) -> Floats:
        return np.stack(list(self._macs.parts(genomes).values()), axis=1).astype(np.float64)
