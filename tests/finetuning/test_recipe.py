import pytest
import torch
from torch import nn

from nas.errors import UserError
from tests.finetuning.parts import network, recipe


def test_the_learning_rate_grows_with_the_batch_as_published():
    assert recipe(lr=0.006, lr_batch_size=256, batch_size=1024).scaled_lr == pytest.approx(0.024)
    assert recipe(lr=0.006, batch_size=1024).scaled_lr == 0.006


def test_the_published_schedule():
    """NSGANetV2 on ImageNet: 3 epochs of warm-up from 1e-6, then 3 % less every 2.4 epochs, changed once an epoch."""
    subject = recipe(
        lr=0.006, lr_batch_size=256, batch_size=1024, epochs=450, warmup_epochs=3, warmup_lr=1e-6, decay_epochs=2.4,
        decay_rate=0.97,
    )  # fmt: skip
    optimizer = subject.make_optimizer(network())
    schedule = subject.make_schedule(optimizer, steps=10)
    rates = []
    for epoch in range(450):
        schedule.step(epoch)
        schedule.step_update(epoch * 10)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[:3] == pytest.approx([1e-6, 1e-6 + (0.024 - 1e-6) / 3, 1e-6 + 2 * (0.024 - 1e-6) / 3])
    assert rates[3:] == pytest.approx([0.024 * 0.97 ** (epoch // 2.4) for epoch in range(3, 450)])


def test_a_cosine_over_all_steps():
    subject = recipe(schedule="cosine", schedule_steps=True, warmup_epochs=0, epochs=2, lr=0.1)
    optimizer = subject.make_optimizer(network())
    schedule = subject.make_schedule(optimizer, steps=4)
    rates = []
    for step in range(8):
        schedule.step(step // 4)
        schedule.step_update(step)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.05 * (1 + torch.cos(torch.tensor(torch.pi * i / 8)).item()) for i in range(8)])


def test_what_decays():
    some = recipe().make_optimizer(network()).param_groups
    assert {group["weight_decay"] for group in some} == {0.0, 1e-4}
    assert all(p.ndim > 1 for group in some if group["weight_decay"] for p in group["params"])
    (whole,) = recipe(decay_all=True).make_optimizer(network()).param_groups
    assert whole["weight_decay"] == 1e-4


def test_options_reach_the_optimizer():
    optimizer = recipe(optimizer_name="adamw", optimizer_options={"betas": (0.8, 0.9), "eps": 1e-3}).make_optimizer(
        nn.Linear(2, 2)
    )
    assert type(optimizer).__name__ == "AdamW"
    assert optimizer.defaults["betas"] == (0.8, 0.9)
    assert recipe().make_optimizer(nn.Linear(2, 2)).defaults["eps"] == 0.001


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer_name": "rmsprop_tf"}, "did you mean 'rmsproptf'?"),
        ({"optimizer_name": "adahessian", "optimizer_options": {}}, "needs second derivatives"),
        ({"optimizer_options": {"epsilon": 1e-3}}, "did you mean 'eps'?"),
        ({"optimizer_name": "adamw", "optimizer_options": {"betas": (2.0, 3.0)}}, "Invalid beta"),
        ({"warmup_epochs": 3}, "must be less than epochs, 3"),
        ({"batch_size": 1}, "needs 2 or more"),
        ({"processes": 13}, "have no image each"),
        ({"drop_path": 1.0}, "finetuning.drop_path is 1"),
        ({"distillation": 1.0}, "distillation=1 needs a teacher: add finetuning.teacher=supernet, timm:NAME or "),
        ({"teacher": "supernet"}, "has no weight in the loss: add finetuning.distillation=1"),
        ({"teacher_weights": "random"}, "is for teachers of timm"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes, message):
    with pytest.raises(UserError, match=r"^[^\n]*$") as refusal:
        recipe(**changes)
    assert message in str(refusal.value)
