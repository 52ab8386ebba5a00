"""ENCAS-joint (Chebykin, Alderliesten, Bosman 2022, arXiv 2203.04011): NAT over several supernets at once."""

from collections.abc import Sequence
from typing import final

from nas.algorithm.nat import NAT
from nas.errors import UserError
from nas.objective.base import Cost, Objective
from nas.surrogate.base import Surrogate


@final
class ENCASJoint(NAT):
    """NAT's search on the product of several supernets' spaces, with a position and a threshold for each network.

    It differs from NAT in its parts: the space is one of cascades, the surrogate predicts cascades by way of their
    networks, MO-GOMEA searches on it, and what cascades cost is predicted too. A step proposes, trains and evaluates
    whole cascades, the best of the last step's among them.
    """

    def _check_parts(self, objectives: Sequence[Objective], surrogate: Surrogate) -> None:
        """Raise UserError if the surrogate does not know cascades, or the objectives are others than average FLOPs."""
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
