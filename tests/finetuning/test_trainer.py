from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nas.errors import RunError
from nas.finetuning.course import Course
from nas.finetuning.teacher import Teacher
from nas.finetuning.trainer import Trainer, TrainerReplica, _half, as_bytes, from_bytes
from nas.supernet.ofa_mobilenet import OfaMobileNet
from nas.team import ALONE
from nas.training.members import Members
from tests.finetuning.parts import CPU, SIDE, bars, course, network, recipe, trainer
from tests.small import Bars


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else bool(a == b)


def teacher() -> Teacher:
    data = bars()
    return Teacher(network(), mean=data.mean, std=data.std, resolution=None, images_mean=data.mean, images_std=data.std)


def taught_trainer(distillation: float, **changes: Any) -> Trainer:
    return Trainer(
        network=network(),
        teacher=teacher(),
        dataset=bars(),
        resolution=SIDE,
        recipe=recipe(distillation=distillation, teacher="supernet", **changes),
        seed=3,
        device=CPU,
        team=ALONE,
    )


def test_it_learns():
    quick = {
        "optimizer_name": "adamw",
        "optimizer_options": {},
        "schedule": "cosine",
        "warmup_epochs": 0,
        "erasing": 0.0,
    }
    subject = trainer(lr=0.02, epochs=15, **quick)
    losses = [subject.train_epoch(number) for number in range(15)]
    assert losses[-1] < losses[0] - 0.3


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer_name": "adamw", "optimizer_options": {}, "ema_warmup": True, "schedule": "cosine"},
        {"optimizer_name": "momentum", "optimizer_options": {}, "ema": None, "schedule": "multistep"},
        {"optimizer_name": "lamb", "optimizer_options": {}, "schedule": "poly", "schedule_steps": True},
    ],
    ids=lambda changes: changes.get("optimizer_name", "rmsproptf"),
)
def test_an_epoch_follows_from_the_state_before_it_and_its_number(changes):
    torch.manual_seed(5)
    whole = trainer(network(dropout=0.3), **changes)
    whole.train_epoch(0)
    middle = whole.state()
    losses = [whole.train_epoch(1), whole.train_epoch(2)]
    torch.manual_seed(6)
    other = trainer(network(dropout=0.3), **changes)
    other.load(middle)
    assert [other.train_epoch(1), other.train_epoch(2)] == losses
    assert other.lr == whole.lr
    assert same(other.state(), whole.state())


def test_a_state_does_not_change_when_training_goes_on():
    subject = trainer()
    subject.train_epoch(0)
    state, again = subject.state(), subject.state()
    subject.train_epoch(1)
    assert same(state, again)
    assert not same(state, subject.state())


def test_the_average_lags_behind_the_weights():
    subject = trainer(ema=0.5)
    before = {name: tensor.clone() for name, tensor in subject.network.state_dict().items()}
    steps: list[dict[str, torch.Tensor]] = []
    real = Trainer._step

    def watched(self: Trainer, *arguments: Any) -> torch.Tensor:
        result = real(self, *arguments)
        steps.append({name: tensor.clone() for name, tensor in self.network.state_dict().items()})
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_step", watched)
        subject.train_epoch(0)
    assert subject.average is not None
    for name, tensor in subject.average.state_dict().items():
        if tensor.is_floating_point():
            expected = before[name]
            for step in steps:
                expected = torch.lerp(expected, step[name], 0.5)
            torch.testing.assert_close(tensor, expected)


def test_the_teachers_share_of_the_loss_is_the_published_one():
    subject = taught_trainer(3.0)
    logits, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    taught = torch.softmax(torch.randn(5, 4), dim=1)
    soft = -(taught * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
    hard = cross_entropy(logits, labels, label_smoothing=0.1)
    torch.testing.assert_close(subject._loss(logits, labels, taught), (hard + 3 * soft) / 2)
    torch.testing.assert_close(subject._loss(logits, labels, None), hard)


def test_gradients_are_clipped():
    norms: list[float] = []
    real = torch.nn.utils.clip_grad_norm_

    def clipped(parameters: Any, most: float) -> torch.Tensor:
        result = real(parameters, most)
        norms.append(float(torch.stack([p.grad.norm() for p in parameters]).norm()))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", clipped)
        trainer(clip_norm=0.01).train_epoch(0)
    assert norms == pytest.approx([0.01] * 4, rel=1e-3)


def test_images_have_the_networks_side():
    seen: list[int] = []

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images.shape[-1])
            out: torch.Tensor = self.inner(images)
            return out

    trainer(Watched()).train_epoch(0)
    assert seen == [SIDE] * 4


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_goes_on_where_it_was(half, monkeypatch):
    """As on a GPU; with float16 the scale of the gradients is a part of the state."""
    monkeypatch.setattr("nas.finetuning.trainer._half", lambda *_: half)
    types: set[torch.dtype] = set()
    whole = trainer()
    whole.network.classifier.register_forward_hook(lambda module, images, result: types.add(result.dtype))
    whole.train_epoch(0)
    assert types == {half}
    middle = whole.state()
    assert ("scale" in middle["scaler"]) == (half is torch.float16)
    loss = whole.train_epoch(1)
    other = trainer()
    other.load(middle)
    assert other.train_epoch(1) == loss
    assert same(other.state(), whole.state())


@pytest.mark.parametrize("precision", ["auto", "bfloat16", "float16", "single"])
def test_a_cpu_computes_in_single_precision(precision):
    assert _half(recipe(precision=precision), CPU) is None


def images(device: str) -> Bars:
    assert device == "cpu"
    data = bars()
    assert isinstance(data, Bars)
    return data


def replica(**changes: object) -> TrainerReplica:
    taught = "teacher" in changes
    return TrainerReplica(
        network=as_bytes(network()),
        teacher=as_bytes(teacher()) if taught else None,
        dataset=images,
        resolution=SIDE,
        recipe=recipe(**changes),
        seed=3,
    )


def test_a_network_of_ofa_arrives_as_it_was(tmp_path):
    supernet = OfaMobileNet(
        n_classes=4,
        cache=tmp_path,
        width=1.0,
        resolutions=(32,),
        checkpoint="random",
        dropout=0.2,
        drop_path=0.2,
        gradient_checkpointing=False,
        seed=0,
    )
    sent = supernet.extract(supernet.space.decode(supernet.space.smallest))
    got = from_bytes(as_bytes(sent))
    noise = torch.randn(2, 3, 32, 32)
    assert torch.equal(got(noise), sent(noise))
    trained = trainer(got, epochs=2)
    assert trained.train_epoch(0) > 0
    assert trained.average is not None
    assert torch.isfinite(trained.average(noise)).all()
    next(iter(got.parameters())).data.fill_(0)
    assert next(iter(sent.parameters())).abs().sum() > 0


@pytest.mark.parametrize("taught", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["taught", "untaught"])
@pytest.mark.long
def test_two_processes_train_as_one_does(taught, tmp_path):
    changes = {"distillation": 1.0, "teacher": "supernet"} if taught else {}
    size = {"batch_size": 13, "epochs": 2, "ema": 0.5}  # parts of six and seven images
    alone = run(course(tmp_path / "alone", taught_trainer(1.0, **size) if taught else None, **size, **changes))
    members = Members(size=2, device=CPU, replica=replica(**size, **changes))
    try:
        subject = replica(**size, **changes)("cpu")(device=CPU, team=members.team)
        together = run(course(tmp_path / "together", subject, members, **size, **changes))
    finally:
        members.close()
    assert together.keys() == alone.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-3, atol=1e-4)
    rows = [(tmp_path / name / "summary.csv").read_text().splitlines() for name in ("alone", "together")]
    for ours, theirs in zip(*rows, strict=True):
        if ours != theirs:
            pairs = zip(ours.split(","), theirs.split(","), strict=True)
            assert all(a == b or float(a) == pytest.approx(float(b), rel=1e-3) for a, b in pairs)


def run(subject: Course) -> dict[str, torch.Tensor]:
    subject.begin()
    subject.epochs(lambda _: None, lambda *_: None)
    return dict(subject._trainer.network.state_dict())


class Broken:
    def __call__(self, device: str) -> Trainer:
        raise ValueError("no images here")


@pytest.mark.long
def test_a_process_that_fails_says_so():
    with pytest.raises(RunError, match="a process of the training team failed: ValueError: no images here"):
        Members(size=2, device=CPU, replica=Broken())
