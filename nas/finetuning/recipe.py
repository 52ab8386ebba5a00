"""Settings of fine-tuning, and the optimizer and schedule of timm that they name."""

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
"""Smallest batch that batch norm can be trained on."""

_OWN_OPTIONS = ("lr", "weight_decay", "momentum", "foreach")
"""Arguments of optimizers that are not among ``optimizer_options``: they have their own setting, or none."""


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Recipe of a fine-tuning: its optimizer, schedule, regularization, teacher and precision.

    Attributes:
        epochs: Passes over the training images, including the warm-up.
        batch_size: Number of images in a training batch, of all processes together, 2 or more.
        validation_batch_size: Number of images in a batch without training.
        optimizer_name: Name of the optimizer in timm, for example ``"rmsproptf"``.
        lr: Highest learning rate, for batches of ``lr_batch_size`` images.
        lr_batch_size: Batch size that ``lr`` is meant for; ``None`` for ``batch_size``. With another batch size the
            learning rate is scaled in proportion (Goyal et al. 2017).
        momentum: Momentum, 0 to 1; ignored by optimizers without momentum.
        weight_decay: Weight decay.
        decay_all: Whether weight decay also applies to biases and batch norm parameters.
        optimizer_options: Further arguments of the optimizer, for example ``{"eps": 0.001}``.
        clip_norm: Largest norm of a step's gradient; ``None`` for no clipping.
        schedule: Learning rate schedule after the warm-up: "cosine", "step", "multistep", "poly" or "tanh" of timm.
        schedule_steps: Whether the learning rate changes after each step; otherwise after each epoch.
        warmup_epochs: Epochs at the start in which the learning rate rises linearly from ``warmup_lr``, fewer than
            ``epochs``.
        warmup_lr: Learning rate of the first warm-up step; it is not scaled with the batch size.
        min_lr: Final learning rate of the schedules "cosine", "tanh" and "poly"; it is not scaled with the batch size.
        decay_epochs: Epochs between two decays of the schedule "step".
        decay_milestones: Epochs of the decays of the schedule "multistep".
        decay_rate: Factor of a decay of the schedules "step" and "multistep", and exponent of "poly".
        label_smoothing: Label smoothing: share of the target that is spread over all classes, 0 to 1.
        dropout: Dropout probability of the features before the classifier, 0 or more and below 1.
        drop_path: Drop path probability of the last block in training, 0 or more and below 1. It rises linearly with
            the block's position (stochastic depth, Huang et al. 2016).
        erasing: Probability that a random rectangle of a training image becomes noise (Zhong et al., AAAI 2020).
        ema: Decay of the exponential moving average (EMA) of weights and batch norm statistics, 0 to 1; ``None`` for
            no average.
        ema_warmup: Whether the decay of the EMA rises to ``ema`` with the number of steps, as in timm.
        distillation: Weight r of the teacher's loss; the total loss is 2 (labels + r teacher) / (1 + r).
        teacher: Teacher for knowledge distillation: ``"supernet"`` for the largest architecture of the model's
            supernet, ``"timm:NAME"``, or the folder of a model; ``None`` for no teacher.
        teacher_weights: Weights of a timm teacher: a path or ``"random"``; ``None`` for the published weights.
        precision: Precision on a GPU; "auto" is bfloat16 if the GPU supports it, otherwise float16.
        new_classifier: Whether a model with other classes than the data set gets a new classifier.
        processes: Number of processes that train together, on one GPU each from the device on, or on the CPU.

    Example:
        >>> from nas.finetuning.recipe import Recipe
        >>> optimizer = dict(optimizer_name="sgd", lr=0.1, weight_decay=1e-4, decay_all=False, optimizer_options={})
        >>> schedule = dict(schedule="cosine", schedule_steps=True, warmup_epochs=0, warmup_lr=0.0)
        >>> decay = dict(decay_epochs=10.0, decay_rate=0.1, clip_norm=None, ema=None, ema_warmup=False)
        >>> regularization = dict(label_smoothing=0.1, dropout=0.0, drop_path=0.0, erasing=0.0, new_classifier=False)
        >>> batches = dict(epochs=5, batch_size=64, lr_batch_size=256)
        >>> recipe = Recipe(**batches, **optimizer, **schedule, **decay, **regularization)
        >>> recipe.scaled_lr
        0.025
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
        """Raise UserError if settings contradict each other, or if timm lacks the optimizer or its options."""
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
        """Highest learning rate, scaled to ``batch_size``."""
        return self.lr * (1.0 if self.lr_batch_size is None else self.batch_size / self.lr_batch_size)

    def make_optimizer(self, network: nn.Module) -> Any:
        """Return timm's optimizer for the parameters of a network."""
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
        """Return timm's scheduler; its learning rates depend only on the epoch or the step.

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
        except Exception as error:  # refused arguments, or a package that is not installed
            reason = " ".join(str(error).split())
            raise UserError(f"finetuning.optimizer_name={self.optimizer_name} with these settings: {reason}") from error
