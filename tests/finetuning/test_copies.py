import pytest
import torch

from nas.errors import RunError
from nas.finetuning.copies import Copies, as_bytes, from_bytes
from nas.finetuning.course import Course
from nas.finetuning.descent import Descent
from nas.supernet.ofa_mobilenet import OfaMobileNet
from nas.training.members import Members
from tests.finetuning.parts import CPU, SIDE, bars, course, descent, network, recipe
from tests.finetuning.test_descent import taught_descent, teacher
from tests.small import Bars


def images(device: str) -> Bars:
    assert device == "cpu"
    data = bars()
    assert isinstance(data, Bars)
    return data


def copies(**changes: object) -> Copies:
    taught = "teacher" in changes
    return Copies(
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
    trained = descent(got, epochs=2)
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
    alone = run(course(tmp_path / "alone", taught_descent(1.0, **size) if taught else None, **size, **changes))
    members = Members(size=2, device=CPU, replica=copies(**size, **changes))
    try:
        subject = copies(**size, **changes)("cpu")(device=CPU, team=members.team)
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
    return dict(subject._descent.network.state_dict())


class Broken:
    def __call__(self, device: str) -> Descent:
        raise ValueError("no images here")


@pytest.mark.long
def test_a_process_that_fails_says_so():
    with pytest.raises(RunError, match="a process of the training team failed: ValueError: no images here"):
        Members(size=2, device=CPU, replica=Broken())
