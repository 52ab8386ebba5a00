"""ENCAS-joint (Chebykin, Alderliesten, Bosman 2022, arXiv 2203.04011): NAT over several supernets at once."""

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
    """NAT's search on the product of several supernets' spaces, with a position and a threshold for each network.

    It differs from NAT in its parts: the space is one of cascades, the surrogate predicts cascades by way of their
    networks, MO-GOMEA searches on it, and what cascades cost is predicted too. A step proposes, trains and evaluates
    whole cascades, the best of the last step's among them.
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
            objectives: Objectives besides the error: average multiply-adds, which evaluations measure, and known costs,
                if any.
            surrogate: Surrogate of cascades.
            optimizer: Searches for candidates on predicted error and multiply-adds, from the archive on.
            selector: Chooses what is evaluated.
            n_doe: Cascades in the initial design (published: 300).
            n_iter: Cascades evaluated in each iteration (published: 300).
            iterations: Iterations after the initial design (published: 30).
            reevaluate: Whether architectures of the previous step may be chosen again; needs weights that adapt.
            fit_on: Number of evaluations, chosen by the selector, that the surrogate is fitted to; ``None`` for all
                (published).

        Raises:
            UserError: If the surrogate does not know cascades or needs more evaluations, or the objectives are others.
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
        """Return the initial design, or the ``n_iter`` cascades that the selector chose among old and new ones."""
        return self._nat.propose(archive, step, rng)
