import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.errors import RunError, UserError
from nas.supernet.tiny import Tiny
from nas.training import checkpoint
from nas.training.nat import NatTraining
from nas.training.none import NoTraining
from nas.training.trial import Trial
from tests.small import Bars, tiny


class Killed(BaseException):
    """Like kill -9: nothing catches it."""


def small(**changes: Any) -> Tiny:
    return tiny(depths=(1, 2), stage_widths=(8, 8, 12), widths=(0.5, 1.0), kernel_sizes=(3, 5), **changes)


def no_initial(*, supernet: Tiny, **_: Any) -> NoTraining:
    return NoTraining(supernet=supernet)


def replica(device: str) -> tuple[Bars, Tiny]:
    return Bars(), small()


def training(folder: Path, supernet: Tiny | None = None, **changes: Any) -> NatTraining:
    settings: dict[str, Any] = {
        "device": "cpu",
        "run_seed": 3,
        "replica": replica,
        "shares": 1,
        "initial": no_initial,
        "iterations": 3,
        "epochs": 2,
        "warmup_epochs": 1,
        "choice": "in_turn",
        "batch_size": 12,
        "lr": 0.05,
        "schedule": "cosine_restarts",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "label_smoothing": 0.1,
        "distillation": 0.0,
        "ema": None,
        "amp": True,
        "averaged_iterations": 2,
        "checkpoint_every": None,
        "epochs_between_saves": 1,
        "processes": 1,
    }
    return NatTraining(supernet=supernet or small(), dataset=Bars(), folder=folder, **(settings | changes))


def genomes(step: int) -> np.ndarray:
    space = small().space
    return space.canonical(space.sample(5, np.random.default_rng(step)))


def silent(*_: Any) -> None:
    pass


def whole(folder: Path, supernet: Tiny, **changes: Any) -> list[str | None]:
    """Go through all steps and return the digests of the weights before the first, in each, and at the end."""
    subject = training(folder, supernet, **changes)
    subject.prepare(silent)
    digests = [subject.weights]
    for step in range(4):
        subject.adapt(genomes(step), step)
        digests.append(subject.weights)
    subject.conclude(silent)
    return [*digests, subject.weights]


def weights(supernet: Tiny) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in supernet.module.state_dict().items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str | None]]:
    folder = tmp_path_factory.mktemp("run")
    return folder, whole(folder, small())


def test_each_step_has_weights_of_its_own_and_the_end_their_average(undisturbed: tuple[Path, list[Any]]) -> None:
    folder, digests = undisturbed
    assert len(set(digests)) == 6
    stored = [checkpoint.load(folder / "weights" / f"iter_{step}.pt") for step in (2, 3)]
    final = checkpoint.load(folder / "weights" / "final.pt")
    assert final is not None
    for name, tensor in final["weights"].items():
        each = [content["content"]["state"]["weights"][name] for content in stored if content is not None]
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, torch.stack(each).mean(0))
        else:
            assert torch.equal(tensor, each[-1])


def test_the_same_seed_gives_the_same_weights(undisturbed: tuple[Path, list[Any]], tmp_path: Path) -> None:
    torch.manual_seed(99)
    assert whole(tmp_path / "again", small()) == undisturbed[1]
    assert whole(tmp_path / "other", small(), run_seed=4)[1:] != undisturbed[1][1:]


def test_it_learns(tmp_path: Path) -> None:
    from tests.evaluator.test_subnet import evaluator

    supernet = small(resolutions=(8,))
    architecture = supernet.space.decode(supernet.space.largest)
    before = evaluator(supernet)([architecture], "test")[0]["loss"]
    subject = training(tmp_path, supernet, epochs=15, distillation=0.3)
    subject.prepare(silent)
    subject.adapt(supernet.space.largest[None], 0)
    assert evaluator(supernet)([architecture], "test")[0]["loss"] < before - 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kill_at", "changes"),
    [
        ((0, 1), {}),
        ((0, 2), {}),
        ((1, 0), {"averaged_iterations": 0}),
        ((2, 1), {"ema": 0.9}),
        ((3, 1), {"choice": "distribution", "schedule": "cosine"}),
    ],
    ids=str,
)
def test_killed_in_training_it_ends_with_the_same_weights(
    kill_at: tuple[int, int], changes: dict[str, Any], tmp_path: Path
) -> None:
    expected = whole(tmp_path / "whole", small(), **changes)

    def kill(what: str, done: int, total: int) -> None:
        if what == f"training for step {kill_at[0]}" and done == kill_at[1]:
            raise Killed

    first = training(tmp_path / "killed", **changes)
    first.prepare(kill)
    with pytest.raises(Killed):
        for step in range(4):
            first.adapt(genomes(step), step)
    told: list[tuple[Any, ...]] = []
    second = training(tmp_path / "killed", **changes)
    second.prepare(lambda *progress: told.append(progress))
    second.restore([genomes(step) for step in range(kill_at[0])])
    assert second.weights == expected[kill_at[0]]
    for step in range(kill_at[0], 4):
        second.adapt(genomes(step), step)
        assert second.weights == expected[step + 1]
    second.conclude(silent)
    assert second.weights == expected[5]
    assert told[0][:2] == (f"training for step {kill_at[0]}", kill_at[1])  # the epochs that were saved are not lost


def test_a_step_whose_evaluations_were_interrupted_is_not_trained_again(
    undisturbed: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    shutil.copytree(undisturbed[0] / "weights", tmp_path / "weights")
    (tmp_path / "weights" / "final.pt").unlink()
    told: list[Any] = []
    subject = training(tmp_path)
    subject.prepare(lambda *progress: told.append(progress))
    subject.restore([genomes(step) for step in range(3)])
    assert subject.weights == undisturbed[1][3]
    subject.adapt(genomes(3), 3)
    assert subject.weights == undisturbed[1][4]
    assert told == []


@pytest.mark.parametrize("damaged", [("iter_3.pt",), ("iter_3.pt", "iter_2.pt")], ids=len)
def test_damaged_weights_are_named_and_made_again(
    damaged: tuple[str, ...], undisturbed: tuple[Path, list[Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(undisturbed[0] / "weights", tmp_path / "weights")
    for name in damaged:
        path = tmp_path / "weights" / name
        path.write_bytes(path.read_bytes()[: -path.stat().st_size // 2])
    subject = training(tmp_path)
    subject.prepare(silent)
    with caplog.at_level(logging.WARNING):
        subject.restore([genomes(step) for step in range(4)])
    assert subject.weights == undisturbed[1][4]
    for name in damaged:
        assert f"{name} is damaged" in caplog.text


def test_the_end_needs_nothing_but_the_final_weights(undisturbed: tuple[Path, list[Any]], tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    shutil.copy(undisturbed[0] / "weights" / "final.pt", tmp_path / "weights")
    subject = training(tmp_path)
    subject.conclude(silent)
    assert subject.weights == undisturbed[1][5]
    (tmp_path / "weights" / "final.pt").unlink()
    with pytest.raises(UserError, match=r"final\.pt and the weights beside it are absent or damaged"):
        training(tmp_path).conclude(silent)
    shutil.copy(undisturbed[0] / "weights" / "iter_3.pt", tmp_path / "weights")
    again = training(tmp_path)
    again.conclude(silent)
    assert again.weights == undisturbed[1][5]
    assert (tmp_path / "weights" / "final.pt").exists()


def test_a_supernet_without_weights_gets_first_ones(tmp_path: Path) -> None:
    calls = []

    def initial(*, supernet: Tiny, folder: Path) -> NoTraining:
        class Counting(NoTraining):  # type: ignore[misc]
            def prepare(self, progress: Any) -> None:
                calls.append(folder)

        return Counting(supernet=supernet)

    subject = training(tmp_path, initial=initial)
    subject.prepare(silent)
    subject.prepare(silent)
    assert calls == [tmp_path]
    supernet = small()
    supernet.trained = True
    training(tmp_path, supernet, initial=initial).prepare(silent)
    assert len(calls) == 1


def test_what_the_first_training_left_beside_the_weights_does_not_matter(tmp_path: Path) -> None:
    digests = []
    for left in (False, True):
        supernet = small()
        for parameter in supernet.module.parameters():
            parameter.grad = torch.ones_like(parameter) if left else None
        subject = training(tmp_path / str(left), supernet)
        subject.prepare(silent)
        subject.adapt(supernet.space.smallest[None], 0)
        digests.append(subject.weights)
    assert digests[0] == digests[1]


def test_learning_rates() -> None:
    subject = training(Path("nowhere"), iterations=1)
    subject.prepare(silent)
    n = 4  # steps an epoch: 48 images in batches of 12
    restarts = [np.concatenate(subject._plan(genomes(0), step, 0)[1]) for step in (0, 1)]
    expected = 0.05 * (1 + np.cos(np.pi * np.arange(2 * n) / (2 * n))) / 2
    np.testing.assert_allclose(restarts[0], expected)
    np.testing.assert_allclose(restarts[1], expected)
    once = training(Path("nowhere"), iterations=1, schedule="cosine")
    once.prepare(silent)
    rates = np.concatenate([np.concatenate(once._plan(genomes(0), step, 0)[1]) for step in (0, 1)])
    np.testing.assert_allclose(rates, 0.05 * (1 + np.cos(np.pi * np.arange(4 * n) / (4 * n))) / 2)
    warm = subject._plan(genomes(0), 0, 1)[1][0]
    np.testing.assert_allclose(warm, 0.05 * np.arange(1, n + 1) / n)


def test_layers_that_an_architecture_lacks_keep_their_weights_but_for_decay(tmp_path: Path) -> None:
    supernet = small(resolutions=(8,))
    subject = training(tmp_path, supernet, weight_decay=0.0, warmup_epochs=0)
    subject.prepare(silent)
    before = weights(supernet)
    subject.adapt(supernet.space.smallest[None], 0)
    after = weights(supernet)
    name = "stages.1.1.expand.0.weight"  # the second layer of a stage
    assert torch.equal(before[name], after[name])
    assert not torch.equal(before["stages.1.0.expand.0.weight"], after["stages.1.0.expand.0.weight"])


def test_weights_that_are_not_finite_end_the_run(tmp_path: Path) -> None:
    subject = training(tmp_path, lr=1e20)
    subject.prepare(silent)
    with pytest.raises(RunError, match=r"weights are not finite after step 0; lower training\.lr=1e\+20"):
        subject.adapt(genomes(0), 0)
    assert not (tmp_path / "weights" / "iter_0.pt").exists()


def test_more_processes_than_gpus_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"training\.processes=2 needs as many GPUs; found 1"):
        training(tmp_path, device="cuda", processes=2)


def flat(supernet: Tiny) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in weights(supernet).values() if tensor.is_floating_point()])


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "distillation": 0.5}], ids=["plain", "ema"])
def test_two_processes_train_as_one_and_go_on_after_a_kill(changes: dict[str, Any], tmp_path: Path) -> None:
    """The same total batch gives the same weights but for rounding: 1e-5 of their length after 16 steps."""
    alone = small()
    single = training(tmp_path / "alone", alone, warmup_epochs=0, **changes)
    single.prepare(silent)
    for step in range(2):
        single.adapt(genomes(step), step)
    for step in range(2):  # each in a process of its own
        supernet = small()
        team = training(tmp_path / "together", supernet, processes=2, warmup_epochs=0, **changes)
        try:
            team.prepare(silent)
            team.restore([genomes(done) for done in range(step)])
            team.adapt(genomes(step), step)
            team.wait_until_saved()
        finally:
            team.close()
    assert 0 < float((flat(alone) - flat(supernet)).norm() / flat(alone).norm()) < 1e-5


@pytest.mark.slow
def test_what_fails_in_a_process_of_the_team_ends_the_run_at_once(tmp_path: Path) -> None:
    for _ in range(2):  # what is left of the first team does not disturb the second
        subject = training(tmp_path, replica=broken, processes=2)
        with pytest.raises(RunError, match="a process of the training team failed: FileNotFoundError: no data here"):
            subject.prepare(silent)
        subject.close()


def broken(device: str) -> tuple[Bars, Tiny]:
    raise FileNotFoundError("no data here")


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{}, {"ema": 0.9, "choice": "distribution", "checkpoint_every": 2, "distillation": 0.5}]
)
def test_a_trial_tells_what_a_step_takes_and_leaves_no_trace(changes: dict[str, Any], tmp_path: Path) -> None:
    supernet = small()
    before = weights(supernet)
    subject = training(tmp_path, supernet, **changes)
    trial = subject.trial(genomes(0))
    after = weights(supernet)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in supernet.module.parameters())
    assert list(tmp_path.iterdir()) == []
    assert trial.first == {}
    assert 0 < trial.warmup < trial.step  # one epoch, and two with what is saved
    assert whole(tmp_path / "a", supernet, **changes) == whole(tmp_path / "b", small(), **changes)
    sizes = [path.stat().st_size for path in (tmp_path / "a" / "weights").iterdir()]
    assert sum(sizes) < 1.5 * trial.run_bytes  # such small tensors take less than what is written around them
    assert trial.run_bytes < 4 * sum(sizes)


def test_a_trial_includes_the_first_training_of_a_supernet_without_weights(tmp_path: Path) -> None:
    class Initial(NoTraining):
        def trial(self, _: Any) -> Trial:
            return Trial(first={"weights.pt": 5.0})

    def initial(*, supernet: Tiny, **_: Any) -> NoTraining:
        return Initial(supernet=supernet)

    supernet = small()
    assert training(tmp_path, supernet, initial=initial).trial(genomes(0)).first == {"weights.pt": 5.0}
    supernet.trained = True
    assert training(tmp_path, supernet, initial=initial).trial(genomes(0)).first == {}


def test_a_trial_counts_processes_and_needs_none(tmp_path: Path) -> None:
    assert training(tmp_path, processes=3).trial(genomes(0)).processes == 3
