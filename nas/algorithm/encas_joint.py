"""ENCAS-joint (Chebykin, Alderliesten, Bosman 2022, arXiv 2203.04011): NAT on several supernets at once."""

from collections.abc import Sequence
from typing import final

import numpy as np

from nas.algorithm.base import Algorithm
from nas.algorithm.nat import NAT
from nas.errors import UserError
from nas.objective.base import Cost, Objective
from nas.optimizer.base import Optimizer
from nas.run.archive import Archive
from nas.selector.base import Selector
from nas.space.base import SearchSpace
from nas.surrogate.base import Surrogate
from nas.types import Batch, Count, NonNegativeInt, PositiveInt


@final
class ENCASJoint(Algorithm):
    """NAT for cascades of subnets from several supernets.

    The search space is the product of the supernets' spaces, with a position and a threshold for each subnet. The
    algorithm is NAT with other parts. The surrogate predicts cascades from predictions for their subnets, including
    the average cost of a cascade. The optimizer is MO-GOMEA. Each step proposes, trains and evaluates whole cascades,
    among them the best ones of the previous step.

    Example:
        >>> from nas.algorithm.encas_joint import ENCASJoint
        >>> from nas.surrogate.rbf import RBF
        >>> parts = {"space": None, "objectives": [], "optimizer": None, "selector": None}
        >>> ENCASJoint(**parts, surrogate=RBF())  # RBF cannot predict cascades
        Traceback (most recent call last):
        nas.errors.UserError: algorithm=encas_joint needs surrogate=cascade, which predicts cascades; ...
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        objectives: Sequence[Objective],
        surrogate: Surrogate,
        optimizer: Optimizer,
        selector: Selector,
        n_doe: Count = 300,
        n_iter: Count = 300,
        iterations: NonNegativeInt = 30,
        reevaluate: bool = True,
        fit_on: PositiveInt | None = None,
    ) -> None:
        """Set the parts and the budget.

        Args:
            space: Search space of cascades.
            objectives: Objectives besides the top-1 error: the average multiply-adds, which evaluations measure, and
                optionally known costs.
            surrogate: Surrogate that predicts cascades.
            optimizer: Optimizer that searches for candidates. It minimizes predicted errors and multiply-adds, and
                starts from evaluated cascades.
            selector: Selector of the cascades to evaluate, and of the evaluations to fit to if ``fit_on`` is given.
            n_doe: Number of cascades in the initial design (published: 300).
            n_iter: Number of cascades evaluated in each iteration (published: 300).
            iterations: Number of iterations after the initial design (published: 30).
            reevaluate: Whether cascades of the previous step may be chosen and evaluated again. This needs a training
                that changes the weights.
            fit_on: Number of evaluations, chosen by the selector, that the surrogate is fitted to; ``None`` for all
                (published: all).

        Raises:
            UserError: If the surrogate cannot predict cascades or needs more evaluations, or if average multiply-adds
                are not the only measured objective.
        """
        if not surrogate.metrics:
            raise UserError(
                f"algorithm=encas_joint needs surrogate=cascade, which predicts cascades; surrogate={surrogate.name} "
                "does not"
            )
        measured = [objective.measure.name for objective in objectives if not isinstance(objective, Cost)]
        if measured != ["flops"]:
            raise UserError(
                "algorithm=encas_joint minimises average flops, and costs that are known beside them: choose "
                f"sec_obj=[flops] or sec_obj=[flops,params], not {', '.join(measured) or 'known costs alone'}"
            )
        self._nat = NAT(
            space=space,
            objectives=objectives,
            surrogate=surrogate,
            optimizer=optimizer,
            selector=selector,
            n_doe=n_doe,
            n_iter=n_iter,
            iterations=iterations,
            reevaluate=reevaluate,
            fit_on=fit_on,
        )
        self.reevaluates, self.steps, self.evaluations = reevaluate, self._nat.steps, self._nat.evaluations

    def propose(self, archive: Archive, step: int, rng: np.random.Generator) -> Batch:
        """Return the initial design in step 0, and the ``n_iter`` chosen cascades, old and new ones, in later steps."""
        return self._nat.propose(archive, step, rng)
