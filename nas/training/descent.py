"""Steps of gradient descent that a team takes together: what every training by single steps shares."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor

from nas.seeding import rng_for
from nas.team import ALONE, Team


@final
class Descent:
    """An optimizer with the scaling of gradients in half precision; each process has its share of a batch."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: Sequence[Tensor],
        *,
        scaler: torch.amp.GradScaler,
        device: torch.device,
        team: Team = ALONE,
        clip_norm: float | None = None,
    ) -> None:
        """Take the parts.

        Args:
            optimizer: Optimizer of the parameters.
            parameters: That are trained; they have gradients in all processes or in none.
            scaler: Scaler of the loss that keeps half-precision gradients from vanishing.
            device: Torch device of the parameters.
            team: This process's.
            clip_norm: Largest norm of a step's gradient; ``None`` for any.
        """
        self.optimizer = optimizer
        self._parameters = parameters
        self._scaler = scaler
        self._device = device
        self._team = team
        self._clip_norm = clip_norm

    @contextmanager
    def seeded(self, seed: int, number: int, purpose: str = "dropout") -> Iterator[None]:
        """Give networks random numbers that follow from these values, and batch-norm the statistics of whole batches.

        Args:
            seed: Seed of the training.
            number: Number of the epoch.
            purpose: Purpose of the random numbers; processes of a team add their rank.
        """
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices), self._team.synchronised():
            torch.manual_seed(int(rng_for(seed, number, purpose).integers(2**63)))
            yield

    def step(self, loss: Tensor) -> None:
        """Take a step on this process's share of the loss; the gradients must have been set to zero before."""
        torch.autograd.backward(self._scaler.scale(loss))
        self._team.sum_gradients(self._parameters)
        if self._clip_norm is not None:
            self._scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """Return what the descent goes on from beside the weights; the tensors are its own, not copies."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self._scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned, possibly in another process."""
        self.optimizer.load_state_dict(copied(state["optimizer"]))  # which keeps the tensors that it is given
        self._scaler.load_state_dict(state["scaler"])


def copied(value: Any) -> Any:
    """Return nested dictionaries and lists with copies, in host memory, of their tensors."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
