"""Training of NAT (Lu et al. 2021, arXiv 2005.05859): the supernet is fine-tuned for each iteration's candidates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from nas.dataset.base import Dataset
from nas.errors import RunError, UserError
from nas.seeding import rng_for
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import weights_digest
from nas.team import ALONE
from nas.training import checkpoint
from nas.training.adaptation import Adaptation, AdaptationReplica, AdaptationSettings, from_distribution, in_turn
from nas.training.base import Training
from nas.training.descent import copied
from nas.training.members import Members
from nas.training.snapshots import Snapshots
from nas.training.trial import Trial, seconds_each, size_of
from nas.types import (
    Floats,
    Genomes,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
    Progress,
)

Schedule = Literal["cosine", "cosine_restarts"]
Choice = Literal["in_turn", "distribution"]

_STEPS_OF_A_TRIAL = 8


@final
@dataclass(kw_only=True, eq=False, repr=False)
class NatTraining(Training):
    """Fine-tuning of the supernet on the candidates of each iteration, as ENCAS's authors reproduced NAT.

    Each gradient step trains one architecture at its resolution. A checkpoint in the run folder holds the weights
    after each iteration. The final weights are the average over the last iterations.

    Attributes:
        supernet: Supernet to train.
        dataset: Data set; its training split is used.
        device: Torch device of the training, for example ``"cuda:0"``.
        folder: Run folder; checkpoints are in its folder ``weights/``.
        run_seed: Seed of the images' order, augmentation, dropout and the choice of architectures.
        replica: Function that builds data set and supernet in another process; ``None`` if there are no others.
        shares: Number of supernets that share the epochs of an iteration. Each trains for an equal part of the epochs,
            with the first part of the learning rates of all steps. The rate therefore falls less far, as published.
        initial: Function that makes the training of a supernet without trained weights. Its arguments are
            ``supernet`` and ``folder``.
        iterations: Number of iterations after the initial design.
        epochs: Passes over the training split in each iteration, including the initial design. Several supernets
            share them.
        warmup_epochs: Epochs before the first iteration in which the learning rate rises linearly from 0. Several
            supernets share them.
        choice: Architectures that are trained: "in_turn" trains an iteration's candidates about equally often,
            "distribution" draws each gene from the candidates' values.
        batch_size: Number of images in a batch, of all processes together.
        lr: Highest learning rate.
        schedule: Learning rate schedule: "cosine" over the whole search, "cosine_restarts" within each iteration.
        momentum: Nesterov momentum, 0 to 1.
        weight_decay: Weight decay of all parameters.
        label_smoothing: Label smoothing: share of the target that is spread over all classes, 0 to 1.
        distillation: Weight of the knowledge distillation from the largest architecture in the loss, 0 to 1.
        ema: Decay of the exponential moving average (EMA) of the weights, 0 to 1; ``None`` for no average. If there is
            one, it is evaluated instead of the weights.
        amp: Whether to use mixed precision on a GPU.
        averaged_iterations: Number of last iterations whose weights are averaged into the final weights (SWA,
            Izmailov et al. 2018); 0 for the last weights.
        checkpoint_every: Iterations between two checkpoints that stay on disk; ``None`` to keep only the last two.
        epochs_between_saves: Epochs between two checkpoints within an iteration.
        processes: Number of processes that train together, on the GPUs from ``device`` on or on the CPU.

    Example:
        >>> from nas.training.nat import NatTraining
        >>> NatTraining.moves
        True
    """

    moves = True

    supernet: Supernet
    dataset: Dataset
    device: str
    folder: Path
    run_seed: int
    replica: Callable[[str], tuple[Dataset, Supernet]] | None
    shares: PositiveInt
    initial: Callable[..., Training]
    iterations: NonNegativeInt
    epochs: PositiveInt
    warmup_epochs: NonNegativeInt
    choice: Choice
    batch_size: PositiveInt
    lr: PositiveFloat
    schedule: Schedule
    momentum: Probability
    weight_decay: NonNegativeFloat
    label_smoothing: Probability
    distillation: Probability
    ema: Probability | None
    amp: bool
    averaged_iterations: NonNegativeInt
    checkpoint_every: PositiveInt | None
    epochs_between_saves: PositiveInt
    processes: PositiveInt

    def __post_init__(self) -> None:
        """Prepare the training; nothing is trained yet.

        Raises:
            UserError: If there are fewer GPUs than processes, or if the epochs are not a multiple of ``shares``.
        """
        shares = self.shares
        for name, value in (("epochs", self.epochs), ("warmup_epochs", self.warmup_epochs)):
            if value % shares:
                raise UserError(
                    f"training.member.{name}={value} cannot be shared by {shares} supernets: use a multiple of {shares}"
                )
        if shares > 1 and self.processes > 1:
            raise UserError("training.member.processes must be 1: several supernets are trained by one process")
        self._device = torch.device(self.device)
        last = (self._device.index or 0) + self.processes
        if self.replica is not None and self._device.type == "cuda" and last > torch.cuda.device_count():
            raise UserError(
                f"training.processes={self.processes} needs as many GPUs; found {torch.cuda.device_count()}"
            )
        self._own_epochs, self._own_warmup = self.epochs // shares, self.warmup_epochs // shares
        self._initial = None if self.supernet.trained else self.initial(supernet=self.supernet, folder=self.folder)
        self._snapshots = Snapshots(self.folder / "weights", self.checkpoint_every)
        self._settings = AdaptationSettings(
            batch_size=self.batch_size,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            distillation=self.distillation,
            ema=self.ema,
            amp=self.amp,
            seed=self.run_seed,
        )
        self._progress: Progress = lambda *_: None
        self._members: Members | None = None
        self._adaptation: Adaptation | None = None
        self._mean: dict[str, Tensor] = {}
        self._n_averaged = 0
        self._digest: str | None = None
        self._step = self.iterations  # last step that was trained or loaded; until then that of a finished run

    def prepare(self, progress: Progress) -> None:
        """Train the supernet if it has no trained weights, and start the other processes of the team."""
        self._progress = progress
        if self._adaptation is not None:
            return
        if self._initial is not None:
            self._initial.prepare(progress)
        if self.processes > 1 and self.replica is not None:
            replica = AdaptationReplica(self.replica, self._settings)
            self._members = Members(size=self.processes, device=self._device, replica=replica)
        self._adaptation = Adaptation(
            supernet=self.supernet,
            dataset=self.dataset,
            device=self._device,
            team=ALONE if self._members is None else self._members.team,
            settings=self._settings,
        )
        if self._members is not None:
            self._members.load(self._adaptation.state())
        self.supernet.module.eval()
        self._step = -1

    def keep(self) -> Mapping[Path, str]:
        """Put the weights of a training from scratch into the run folder."""
        return {} if self._initial is None else self._initial.keep()

    @property
    def weights(self) -> str | None:
        """Digest of the current weights."""
        if self._digest is None:
            self._digest = weights_digest(self.supernet.module.state_dict())
        return self._digest

    def restore(self, batches: Sequence[Genomes]) -> None:
        """Load the newest undamaged checkpoint, and repeat the training of the steps after it."""
        found, done = None, len(batches)
        while done > 0 and found is None:
            done -= 1
            found = self._snapshots.load(done, batches[done])
        if found is not None:
            self._load(found, done)
            done += 1
        for step in range(done, len(batches)):
            self._train(batches[step], step)

    def adapt(self, genomes: Genomes, step: int) -> None:
        """Train for a step, or load its checkpoint if an earlier process trained it."""
        found = self._snapshots.load(step, genomes)
        if found is None:
            self._train(genomes, step)
        else:
            self._load(found, step)

    def trial(self, genomes: Genomes) -> Trial:
        """Estimate the cost: train for a few gradient steps from the current weights, and save a checkpoint to memory.

        The steps use one process's part of each batch. The estimated disk use counts the checkpoints of the last two
        steps, a new one, one within a step, those that stay on disk, and the final weights.
        """
        first = Trial() if self._initial is None else self._initial.trial(genomes)
        module = self.supernet.module
        before = copied(dict(module.state_dict()))
        share = replace(self._settings, batch_size=-(-self.batch_size // self.processes))
        adaptation = Adaptation(
            supernet=self.supernet, dataset=self.dataset, device=self._device, team=ALONE, settings=share
        )
        n = max(1, adaptation.batches.n_images // self.batch_size)
        some = min(n, len(adaptation.batches), _STEPS_OF_A_TRIAL)
        chosen = self._chosen(genomes, some, rng_for(self.run_seed, 0, "architectures"))
        epoch = (
            n
            / some
            * seconds_each(lambda: adaptation.train_epoch(0, chosen, np.full(some, self.lr / 1000)), self._device)
        )
        save = seconds_each(lambda: checkpoint.write(BytesIO(), adaptation.state()), self._device)
        module.load_state_dict(before)
        for parameter in module.parameters():
            parameter.grad = None
        weights, averages = size_of(before), (self.ema is not None) + (self.averaged_iterations > 0)
        whole = weights * (1 + averages) + size_of(dict(module.named_parameters()))
        every = self._snapshots.keep_every
        files = 4 + (0 if every is None else (self.iterations + 1) // every)
        return first + Trial(
            step=self._own_epochs * epoch + -(-self._own_epochs // self.epochs_between_saves) * save,
            warmup=self._own_warmup * epoch,
            run_bytes=files * whole + weights,
            processes=self.processes,
        )

    def wait_until_saved(self) -> None:
        """Wait until the checkpoint of the last step is on disk."""
        self._snapshots.wait_until_saved()

    def close(self) -> None:
        """End the other processes of the team."""
        if self._members is not None:
            self._members.close()
            self._members = None

    def conclude(self, progress: Progress) -> None:
        """Load the final weights; take them from the last iteration's checkpoint if their file does not exist yet.

        Raises:
            UserError: If the run folder has no undamaged weights.
        """
        final = self._snapshots.load_final()
        if final is None:
            last = self._snapshots.last(self._step)
            if last is None:
                raise UserError(f"{self._snapshots.final_path} and the weights beside it are absent or damaged")
            final = last["mean"] or last["state"]["weights"] | last["state"]["ema"]
            self._snapshots.save_final(final)
        self._snapshots.wait_until_saved()
        self.supernet.module.load_state_dict(final)
        self.supernet.module.to(self._device).eval()
        self._digest = None

    def _train(self, genomes: Genomes, step: int) -> None:
        """Train for a step of the search and write its checkpoint."""
        adaptation = self._ready()
        warmup = self._own_warmup if step == 0 else 0
        plan, rates = self._plan(genomes, step, warmup)
        part = self._snapshots.load_part(step, genomes)
        done = 0
        if part is not None:
            done = part["epochs"]
            self._load(part, step - 1)
        first = step * self._own_epochs + (0 if step == 0 else self._own_warmup)
        activity = f"training for step {step}"
        self._progress(activity, done, len(plan))
        for epoch in range(done, len(plan)):
            arguments = (first + epoch, plan[epoch], rates[epoch])
            if self._members is None:
                adaptation.train_epoch(*arguments)
            else:
                with self._members.training(*arguments):
                    adaptation.train_epoch(*arguments)
            if (epoch + 1) % self.epochs_between_saves == 0 and epoch + 1 < len(plan):
                self._snapshots.save_part(step, genomes, {"epochs": epoch + 1, **self._content(adaptation.state())})
            self._progress(activity, epoch + 1, len(plan))
        state = adaptation.state()
        if not all(bool(torch.isfinite(tensor).all()) for tensor in state["weights"].values()):
            key = "training.lr" if self.shares == 1 else "training.member.lr"
            raise RunError(f"the supernet's weights are not finite after step {step}; lower {key}={self.lr}")
        adaptation.show_average()
        self._digest = None
        if step > self.iterations - self.averaged_iterations:
            self._average(self.supernet.module.state_dict())
        self._snapshots.save(step, genomes, self._content(state))
        self._step = step

    def _ready(self) -> Adaptation:
        if self._adaptation is None:
            raise RunError("the training has to be prepared first")
        return self._adaptation

    def _content(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"state": state, "mean": self._mean, "n_averaged": self._n_averaged}

    def _load(self, content: dict[str, Any], step: int) -> None:
        """Resume from the content of a checkpoint, in all processes."""
        self._step = step
        adaptation = self._ready()
        adaptation.load(content["state"])
        adaptation.show_average()
        if self._members is not None:
            self._members.load(content["state"])
        self._mean, self._n_averaged = content["mean"], content["n_averaged"]
        self.supernet.module.eval()
        self._digest = None

    def _average(self, weights: dict[str, Tensor]) -> None:
        """Add the weights of an iteration to the running mean; integers, which count batches, are overwritten."""
        self._n_averaged += 1
        mean = {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights.items()}
        for name, before in self._mean.items():
            if before.is_floating_point():
                mean[name] = before + (mean[name] - before) / self._n_averaged
        self._mean = mean

    def _plan(self, genomes: Genomes, step: int, warmup: int) -> tuple[list[Genomes], list[Floats]]:
        """Return the genomes and the learning rates of all gradient steps, by epoch."""
        rng = rng_for(self.run_seed, step, "architectures")
        n = len(self._ready().batches)
        steps = (warmup + self._own_epochs) * n
        chosen = self._chosen(genomes, steps, rng)
        rates = np.concatenate([self._rising(warmup * n), self._falling(step, self._own_epochs * n)])
        epochs = warmup + self._own_epochs
        return np.split(chosen, epochs), np.split(rates, epochs)

    def _chosen(self, genomes: Genomes, n: int, rng: np.random.Generator) -> Genomes:
        """Return the genomes that ``n`` gradient steps train for the candidates, (k, d) -> (n, d)."""
        if self.choice == "in_turn":
            return in_turn(genomes, n, rng)
        return from_distribution(self.supernet.space, genomes, n, rng)

    def _rising(self, n: int) -> Floats:
        return self.lr * np.arange(1, n + 1) / max(n, 1)

    def _falling(self, step: int, n: int) -> Floats:
        """Return the learning rates of this supernet's ``n`` gradient steps in an iteration, shape (n,)."""
        share = np.arange(n) / (n * self.shares)
        if self.schedule == "cosine":
            share = (step + share) / (self.iterations + 1)
        return self.lr * (0.5 + 0.5 * np.cos(np.pi * share))
