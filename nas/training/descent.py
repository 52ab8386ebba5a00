"""Gradient descent steps of a team of processes, shared by all trainings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor

from nas.seeding import rng_for
from nas.team import ALONE, Team


@final
class Descent:
    """Optimizer with gradient scaling for half precision, for one process of a team.

    Each process computes the loss of its part of a batch. Gradients are summed over the team.

    Example:
        >>> import torch
        >>> from nas.training.descent import Descent
        >>> weight, device = torch.nn.Parameter(torch.tensor([2.0])), torch.device("cpu")
        >>> scaler = torch.amp.GradScaler("cpu", enabled=False)
        >>> descent = Descent(torch.optim.SGD([weight], lr=0.25), [weight], scaler=scaler, device=device)
        >>> descent.step((weight**2).sum())
        >>> weight.item()
        1.0
    """

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
        """Store the optimizer and its settings.

        Args:
            optimizer: Optimizer of the parameters.
            parameters: Trained parameters. Each has a gradient in all processes or in none.
            scaler: Scaler of the loss, which prevents underflow of half-precision gradients.
            device: Torch device of the parameters.
            team: Team of this process.
            clip_norm: Largest norm of a step's gradient; ``None`` for no clipping.
        """
        self.optimizer = optimizer
        self._parameters = parameters
        self._scaler = scaler
        self._device = device
        self._team = team
        self._clip_norm = clip_norm

    @contextmanager
    def seeded(self, seed: int, number: int, purpose: str = "dropout") -> Iterator[None]:
        """Seed torch's random numbers, and synchronize batch norm statistics over the team, within a context.

        Args:
            seed: Seed of the training.
            number: Number of the epoch.
            purpose: Name of the random stream. Processes of a team add their rank to it.
        """
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices), self._team.synchronised():
            torch.manual_seed(int(rng_for(seed, number, purpose).integers(2**63)))
            yield

    def step(self, loss: Tensor) -> None:
        """Take a step; the caller must have set the gradients to zero.

        Args:
            loss: Share of this process in the loss of the whole batch, a scalar.
        """
        torch.autograd.backward(self._scaler.scale(loss))
        self._team.sum_gradients(self._parameters)
        if self._clip_norm is not None:
            self._scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """Return the state of optimizer and scaler, without the weights; its tensors are not copies."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self._scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Resume from a state that :meth:`state` returned, possibly in another process."""
        self.optimizer.load_state_dict(copied(state["optimizer"]))  # the optimizer keeps the given tensors
        self._scaler.load_state_dict(state["scaler"])


def copied(value: Any) -> Any:
    """Return a copy of nested dictionaries and lists with their tensors copied to host memory."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
