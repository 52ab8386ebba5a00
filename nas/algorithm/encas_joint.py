"""ENCAS-joint (Chebykin, Alderliesten, Bosman 2022, arXiv 2203.04011): NAT on several supernets at once."""

from collections.abc import Sequence
from typing import final

from nas.algorithm.nat import NAT
from nas.errors import UserError
from nas.objective.base import Cost, Objective
from nas.surrogate.base import Surrogate


@final
class ENCASJoint(NAT):
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

    def _check_parts(self, objectives: Sequence[Objective], surrogate: Surrogate) -> None:
        """Raise UserError unless the surrogate predicts cascades and average FLOPs are the only measured objective."""
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
