"""A small network, its recipe, and a fine-tuning of it on noisy bars."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas.dataset.base import Augmentation, Dataset
from nas.dataset.batches import Batches
from nas.evaluator.accuracy import Metrics, measure
from nas.finetuning.course import Course
from nas.finetuning.recipe import Recipe
from nas.finetuning.teacher import Teacher
from nas.finetuning.trainer import Trainer
from nas.team import ALONE, Team
from tests.small import Bars, tiny

SIDE = 8
CPU = torch.device("cpu")


def recipe(**changes: Any) -> Recipe:
    settings: dict[str, Any] = {
        "epochs": 3,
        "batch_size": 12,
        "validation_batch_size": 20,
        "optimizer_name": "rmsproptf",
        "lr": 0.01,
        "lr_batch_size": None,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "decay_all": False,
        "optimizer_options": {"eps": 0.001},
        "clip_norm": 5.0,
        "schedule": "step",
        "schedule_steps": False,
        "warmup_epochs": 1,
        "warmup_lr": 0.0005,
        "min_lr": 0.0,
        "decay_epochs": 2.0,
        "decay_milestones": (2,),
        "decay_rate": 0.5,
        "label_smoothing": 0.1,
        "dropout": 0.0,
        "drop_path": 0.0,
        "erasing": 0.2,
        "ema": 0.9,
        "ema_warmup": False,
        "distillation": 0.0,
        "teacher": None,
        "teacher_weights": None,
        "precision": "auto",
        "new_classifier": False,
        "processes": 1,
    }
    return Recipe(**(settings | changes))


def network(dropout: float = 0.0) -> nn.Module:
    supernet = tiny(dropout=dropout)
    return supernet.extract(supernet.space.decode(supernet.space.smallest))


def bars() -> Dataset:
    return Bars(augmentation=Augmentation(shift=0.1, flip=False, cutout=0.2, mixup=0.2))


def trainer(
    subject: nn.Module | None = None, *, teacher: Teacher | None = None, team: Team = ALONE, **changes: Any
) -> Trainer:
    return Trainer(
        network=subject or network(),
        teacher=teacher,
        dataset=bars(),
        resolution=SIDE,
        recipe=recipe(**changes),
        seed=3,
        device=CPU,
        team=team,
    )


def course(folder: Path, subject: Trainer | None = None, members: Any = None, **changes: Any) -> Course:
    data = bars()
    images = Batches(
        images=data.split("validation"), mean=data.mean, std=data.std, device=CPU, crop=1.0, cache_bytes=2**20
    )
    trained = subject or trainer(**changes)

    def measured(network: nn.Module) -> Metrics:
        return measure(network, images, SIDE, 20, trained.precision)

    return Course(trainer=trained, members=members, measure=measured, recipe=recipe(**changes), folder=folder)
