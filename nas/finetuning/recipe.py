"""The settings of fine-tuning, and what of timm's they name."""

import inspect
from dataclasses import dataclass
from typing import Any, Literal, final

from torch import nn

from nas.errors import UserError, unknown
from nas.types import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Probability

Schedule = Literal["cosine", "step", "multistep", "poly", "tanh"]
Precision = Literal["auto", "single", "bfloat16", "float16"]
Option = bool | float | str | tuple[float, ...]

SMALLEST_BATCH = 2
"""Images that batch-norm needs."""

_OWN_OPTIONS = ("lr", "weight_decay", "momentum", "foreach")
"""Settings of optimizers that have a key of their own, or none."""


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained further.

    Attributes:
        epochs: Passes over the training images, warm-up included.
        batch_size: Images a step, of all processes together.
        validation_batch_size: Number of images per batch without training.
        optimizer_name: Name of the optimizer in timm, for example ``"rmsproptf"``.
        lr: Highest learning rate.
        lr_batch_size: Images a step that ``lr`` is meant for; it grows in proportion to ``batch_size`` (Goyal et al.
            2017). ``None``: ``lr`` is meant for ``batch_size``.
        momentum: Momentum of optimizers that have one.
        weight_decay: Weight decay.
        decay_all: Whether biases and batch-norm's parameters decay too.
        optimizer_options: Further settings of the optimizer, for example ``{"eps": 0.001}``.
        clip_norm: Largest norm of a step's gradient; ``None`` for any.
        schedule: Schedule of the learning rate after the warm-up, by timm's name.
        schedule_steps: Unit of the schedule: "step" or "epoch".
        warmup_epochs: Epochs at the start in which the learning rate rises linearly from ``warmup_lr``.
        warmup_lr: Learning rate of the first step with warm-up; it does not grow with the batch.
        min_lr: Learning rate at the end of ``cosine``, ``tanh`` and ``poly``; likewise.
        decay_epochs: Epochs between two decays of ``step``.
        decay_milestones: Epochs of the decays of ``multistep``.
        decay_rate: Factor of a decay of ``step`` and ``multistep``, exponent of ``poly``.
        label_smoothing: Share of the label that is spread over all classes.
        dropout: Probability that a feature before the classifier is zeroed in training.
        drop_path: Probability that the last block's residual is dropped for an image in training; it rises linearly
            with the block's position (Huang et al. 2016).
        erasing: Probability that a random rectangle of a training image becomes noise (Zhong et al., AAAI 2020).
        ema: Decay of the exponential moving average of the weights, batch-norm's statistics included; ``None`` for
            no average.
        ema_warmup: Whether the decay grows to ``ema`` with the number of steps, as timm does it.
        distillation: Weight of the agreement with the teacher against the labels, r: the loss is
            2 (labels + r teacher) / (1 + r).
        teacher: ``"supernet"`` for the largest architecture of the model's supernet, ``"timm:NAME"``, or the folder
            of a model; ``None`` for no teacher.
        teacher_weights: Weights of a timm teacher: a path or ``"random"``.
        precision: Precision on a GPU: ``"auto"`` is bfloat16 if the GPU has it, else float16.
        new_classifier: Whether a model of other classes gets a new classifier.
        processes: Number of processes that train together, one a GPU from the device on, or on the CPU.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    validation_batch_size: PositiveInt = 250
    optimizer_name: str
    lr: PositiveFloat
    lr_batch_size: PositiveInt | None
    momentum: Probability = 0.9
    weight_decay: NonNegativeFloat
    decay_all: bool
    optimizer_options: dict[str, Option]
    clip_norm: PositiveFloat | None
    schedule: Schedule
    schedule_steps: bool
    warmup_epochs: NonNegativeInt
    warmup_lr: NonNegativeFloat
    min_lr: NonNegativeFloat = 0.0
    decay_epochs: PositiveFloat
    decay_milestones: tuple[PositiveInt, ...] = (30, 60, 90)
    decay_rate: PositiveFloat
    label_smoothing: Probability
    dropout: Probability
    drop_path: Probability
    erasing: Probability
    ema: Probability | None
    ema_warmup: bool
    distillation: NonNegativeFloat = 0.0
    teacher: str | None = None
    teacher_weights: str | None = None
    precision: Precision = "auto"
    new_classifier: bool
    processes: PositiveInt = 1

    def __post_init__(self) -> None:
        """Raise UserError if settings do not fit each other, or timm does not know the optimizer or its options."""
        if self.batch_size < SMALLEST_BATCH:
            raise UserError(f"finetuning.batch_size is {self.batch_size}; batch-norm needs {SMALLEST_BATCH} or more")
        if self.processes > self.batch_size:
            raise UserError(
                f"finetuning.processes={self.processes} have no image each: finetuning.batch_size={self.batch_size}"
            )
        if self.warmup_epochs >= self.epochs:
            raise UserError(
                f"finetuning.warmup_epochs is {self.warmup_epochs}; it must be less than epochs, {self.epochs}"
            )
        for name in ("dropout", "drop_path"):
            if getattr(self, name) == 1:
                raise UserError(f"finetuning.{name} is 1: nothing would be left; it must be less")
        if self.teacher is None and self.distillation:
            raise UserError(
                f"finetuning.distillation={self.distillation:g} needs a teacher: add finetuning.teacher=supernet, "
                "timm:NAME or the folder of a model"
            )
        if self.teacher is not None and not self.distillation:
            raise UserError(
                f"finetuning.teacher={self.teacher} has no weight in the loss: add finetuning.distillation=1"
            )
        if self.teacher_weights is not None and not (self.teacher or "").startswith("timm:"):
            raise UserError("finetuning.teacher_weights is for teachers of timm: finetuning.teacher=timm:NAME")
        self._check_optimizer()

    @property
    def scaled_lr(self) -> float:
        """The highest learning rate at this batch size."""
        return self.lr * (1.0 if self.lr_batch_size is None else self.batch_size / self.lr_batch_size)

    def make_optimizer(self, network: nn.Module) -> Any:
        """Return timm's optimizer of a network's parameters."""
        from timm.optim import create_optimizer_v2

        options: Any = self.optimizer_options
        return create_optimizer_v2(
            network,
            opt=self.optimizer_name,
            lr=self.scaled_lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            filter_bias_and_bn=not self.decay_all,
            **options,
        )

    def make_schedule(self, optimizer: Any, steps: int) -> Any:
        """Return timm's scheduler, whose learning rates follow from the epoch or the step alone.

        Args:
            optimizer: Optimizer from :meth:`make_optimizer`.
            steps: Number of steps in an epoch.
        """
        from timm.scheduler import create_scheduler_v2

        schedule, _ = create_scheduler_v2(
            optimizer,
            sched=self.schedule,
            num_epochs=self.epochs,
            decay_epochs=self.decay_epochs,
            decay_milestones=list(self.decay_milestones),
            decay_rate=self.decay_rate,
            min_lr=self.min_lr,
            warmup_lr=self.warmup_lr,
            warmup_epochs=self.warmup_epochs,
            step_on_epochs=not self.schedule_steps,
            updates_per_epoch=steps,
        )
        return schedule

    def _check_optimizer(self) -> None:
        from timm.optim import get_optimizer_info, list_optimizers

        names = [str(name) for name in list_optimizers()]
        if self.optimizer_name not in names:
            raise unknown("choice for finetuning.optimizer_name:", self.optimizer_name, names)
        info: Any = get_optimizer_info(self.optimizer_name)
        if info.second_order:
            raise UserError(
                f"finetuning.optimizer_name={self.optimizer_name} needs second derivatives; use another one"
            )
        known = [name for name in inspect.signature(info.opt_class).parameters if name not in ("params", *_OWN_OPTIONS)]
        for name in self.optimizer_options:
            if name not in known:
                raise unknown(f"option of {self.optimizer_name}: finetuning.optimizer_options", name, known)
        try:
            self.make_optimizer(nn.Linear(1, 1))
        except Exception as error:  # what an optimizer refuses, and one whose package is not installed
            reason = " ".join(str(error).split())
            raise UserError(f"finetuning.optimizer_name={self.optimizer_name} with these settings: {reason}") from error
