from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas.errors import UserError
from nas.seeding import rng_for
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import weights_digest
from nas.supernet.joint import JointSupernet
from nas.training.joint import JointTraining
from nas.training.nat import NatTraining
from nas.training.none import NoTraining
from nas.training.supernet import SupernetTraining
from tests.products import several
from tests.small import Bars, tiny
from tests.training import test_nat as one

NAMES = ("thin", "wide")
STEPS = 3
RECIPE: dict[str, Any] = {
    "initial": one.no_initial,
    "iterations": STEPS - 1,
    "epochs": 4,
    "warmup_epochs": 2,
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


def training(folder: Path, supernet: JointSupernet | None = None, member: Any = None, **changes: Any) -> JointTraining:
    return JointTraining(
        supernet=supernet or several(*NAMES),
        folder=folder,
        run_seed=3,
        member=member or partial(NatTraining, dataset=Bars(), device="cpu", **(RECIPE | changes)),
    )


def genomes(step: int) -> np.ndarray:
    return several(*NAMES).space.sample(5, np.random.default_rng(step))


def whole(folder: Path, supernet: JointSupernet) -> list[str | None]:
    subject = training(folder, supernet)
    subject.prepare(one.silent)
    digests = [subject.weights]
    for step in range(STEPS):
        subject.adapt(genomes(step), step)
        digests.append(subject.weights)
    subject.conclude(one.silent)
    return [*digests, subject.weights]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JointSupernet, list[str | None]]:
    folder, supernet = tmp_path_factory.mktemp("run"), several(*NAMES)
    return folder, supernet, whole(folder, supernet)


def test_each_supernet_is_trained_as_one_alone_on_its_part(undisturbed: tuple[Path, JointSupernet, Any]) -> None:
    folder, supernet, digests = undisturbed
    assert len(set(digests)) == STEPS + 2
    for number, name in enumerate(NAMES):
        alone = several(*NAMES)
        subject = NatTraining(
            supernet=alone.members[name],
            dataset=Bars(),
            device="cpu",
            folder=folder / "alone" / name,
            run_seed=int(rng_for(3, number, "supernets").integers(2**31)),
            replica=None,
            shares=2,
            **RECIPE,
        )
        subject.prepare(one.silent)
        for step in range(STEPS):
            subject.adapt(alone.space.split(genomes(step))[number], step)
        subject.conclude(one.silent)
        assert subject.weights == weights_digest(supernet.members[name].module.state_dict())
        for file in ("iter_1.pt", "iter_2.pt", "final.pt"):
            assert (folder / "supernets" / name / "weights" / file).exists()


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", [("thin", 0, 2), ("wide", 0, 1), ("thin", 1, 1), ("wide", 2, 0)], ids=str)
def test_killed_in_any_supernets_training_it_ends_with_the_same_weights(
    kill_at: tuple[str, int, int], undisturbed: tuple[Path, JointSupernet, list[str | None]], tmp_path: Path
) -> None:
    expected, (name, step_killed, epoch) = undisturbed[2], kill_at

    def kill(what: str, done: int, total: int) -> None:
        if (what, done) == (f"training for step {step_killed}: {name}", epoch):
            raise one.Killed

    first = training(tmp_path)
    first.prepare(kill)
    with pytest.raises(one.Killed):
        for step in range(STEPS):
            first.adapt(genomes(step), step)
    first.wait_until_saved()
    told: list[Any] = []
    second = training(tmp_path)
    second.prepare(lambda *progress: told.append(progress))
    second.restore([genomes(step) for step in range(step_killed)])
    assert second.weights == expected[step_killed]
    for step in range(step_killed, STEPS):
        second.adapt(genomes(step), step)
        assert second.weights == expected[step + 1]
    assert told[0][:2] == (f"training for step {step_killed}: {name}", epoch)  # what was trained before is not lost
    second.conclude(one.silent)
    assert second.weights == expected[-1]


def test_supernets_share_the_steps_and_each_follows_the_whole_learning_rate(tmp_path: Path) -> None:
    n = 4  # steps an epoch: 48 images in batches of 12
    alone, shared = (
        NatTraining(
            supernet=tiny(), dataset=Bars(), device="cpu", folder=tmp_path, run_seed=0,
            replica=None, shares=shares, **RECIPE,
        )
        for shares in (1, 2)
    )  # fmt: skip
    genome = tiny().space.smallest[None]
    rates = []
    for subject in (alone, shared):
        subject.prepare(one.silent)
        rates.append(np.concatenate(subject._plan(genome, 1, 0)[1]))
    assert len(rates[0]) == 4 * n
    np.testing.assert_allclose(rates[1], rates[0][: 2 * n])


@pytest.mark.parametrize("changes", [{"epochs": 3}, {"warmup_epochs": 1}], ids=str)
def test_epochs_that_cannot_be_shared_are_refused(changes: dict[str, int], tmp_path: Path) -> None:
    ((name, value),) = changes.items()
    message = rf"training\.member\.{name}={value} cannot be shared by 2 supernets: use a multiple of 2"
    with pytest.raises(UserError, match=message):
        training(tmp_path, **changes)


def test_supernets_may_stay_as_they_are(tmp_path: Path) -> None:
    supernet = several(*NAMES)
    supernet.members["wide"].trained = True
    before = weights_digest(supernet.members["wide"].module.state_dict())

    def member(*, supernet: Supernet, folder: Path, **_: Any) -> SupernetTraining:
        return SupernetTraining(
            supernet=supernet, dataset=Bars(), device="cpu", cache=tmp_path, folder=folder, kept={}, epochs=1,
            warmup_epochs=0, batch_size=12, lr=0.01, weight_decay=0.0, clip_norm=5.0, label_smoothing=0.0,
            random_subnets=1, checkpoint_every=1, seed=0,
        )  # fmt: skip

    subject = training(tmp_path, supernet, member)
    assert not subject.moves
    first = weights_digest(supernet.members["thin"].module.state_dict())
    told: list[str] = []
    subject.prepare(lambda what, done, total: told.append(what))
    assert weights_digest(supernet.members["wide"].module.state_dict()) == before
    assert weights_digest(supernet.members["thin"].module.state_dict()) != first
    assert set(told) == {"training the supernet: thin"}
    assert training(tmp_path, supernet, one.no_initial).moves is False


def test_one_supernet_alone_or_more_processes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training=joint trains several supernets: supernet=\[a,b\]"):
        training(tmp_path, tiny())  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"training\.member\.processes must be 1"):
        training(tmp_path, processes=2)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    subject = training(tmp_path)
    with pytest.raises(UserError, match=r"supernets/thin/weights/final\.pt and the weights beside it are absent"):
        subject.conclude(one.silent)
    assert torch.get_num_threads() == 1


@pytest.mark.slow
def test_a_trial_adds_up_those_of_all_supernets(tmp_path: Path) -> None:
    supernet = several(*NAMES)
    before = weights_digest(supernet.module.state_dict())
    trial = training(tmp_path, supernet).trial(genomes(0))
    alone = training(tmp_path, supernet)._trainings["thin"].trial(supernet.space.split(genomes(0))[0])
    assert trial.run_bytes > alone.run_bytes > 0
    assert trial.step > 0
    assert weights_digest(supernet.module.state_dict()) == before
    assert list(tmp_path.iterdir()) == []


def test_each_supernet_keeps_the_weights_of_its_training(tmp_path: Path) -> None:
    class Kept(NoTraining):
        def __init__(self, *, supernet: Supernet, folder: Path, **_: Any) -> None:
            super().__init__(supernet=supernet)
            self._path = folder / "w.pt"

        def keep(self) -> dict[Path, str]:
            return {self._path: str(self.weights)}

    digests = training(tmp_path, member=Kept).keep()
    assert list(digests) == [tmp_path / "supernets" / name / "w.pt" for name in NAMES]
    assert all(len(digest) == 64 for digest in digests.values())
