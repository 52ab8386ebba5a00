"""``training=joint``: several supernets, each trained as one alone would be."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import final

from nas.errors import UserError
from nas.seeding import rng_for
from nas.supernet.base import Supernet
from nas.supernet.joint import JointSupernet
from nas.training.base import Training
from nas.training.none import NoTraining
from nas.training.trial import Trial
from nas.types import Genomes, Progress


@final
class JointTraining(Training):
    """One training for each of several supernets (ENCAS-joint, Chebykin et al. 2022).

    With NAT's, they share the steps of an iteration, and each is trained on what the iteration's cascades have of it: a
    network that is in many of them often. Their weights are kept apart, below ``supernets/<name>`` in the run folder.
    """

    def __init__(
        self,
        *,
        supernet: Supernet,
        folder: Path,
        run_seed: int,
        member: Callable[..., Training],
    ) -> None:
        """Describe the trainings; nothing is trained yet.

        Args:
            supernet: Several.
            folder: Run folder.
            run_seed: Seed of all trainings; each gets one of its own that follows from it.
            member: Makes the training of a supernet; takes ``supernet``, ``folder``, ``run_seed``, ``replica`` and
                ``shares``. A supernet that comes with weights is not trained from scratch.

        Raises:
            UserError: If there is one supernet alone.
        """
        if not isinstance(supernet, JointSupernet):
            raise UserError("training=joint trains several supernets: supernet=[a,b], or training=supernet for one")
        self._space = supernet.space
        self._trainings: dict[str, Training] = {}
        for number, (name, each) in enumerate(supernet.members.items()):
            training = member(
                supernet=each,
                folder=folder / "supernets" / name,
                run_seed=int(rng_for(run_seed, number, "supernets").integers(2**31)),
                replica=None,
                shares=len(supernet.members),
            )
            self._trainings[name] = NoTraining(supernet=each) if each.trained and not training.moves else training
        self.moves = any(training.moves for training in self._trainings.values())

    def prepare(self, progress: Progress) -> None:
        """Give all supernets the weights that the search starts from."""
        for name, training in self._trainings.items():
            training.prepare(partial(_told, progress, name))

    def keep(self) -> Mapping[Path, str]:
        """Put the weights of all supernets that were trained from scratch into the run's folder."""
        return {path: digest for each in self._trainings.values() for path, digest in each.keep().items()}

    @property
    def weights(self) -> str | None:
        """The digest of all supernets' weights as they are."""
        digests = [f"{name} {training.weights}" for name, training in self._trainings.items()]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def restore(self, batches: Sequence[Genomes]) -> None:
        """Give all supernets the weights that they had after the steps with these batches, each (n, d)."""
        parts = [self._space.split(batch) for batch in batches]
        for number, training in enumerate(self._trainings.values()):
            training.restore([part[number] for part in parts])

    def adapt(self, genomes: Genomes, step: int) -> None:
        """Train one supernet after the other on its part of the genomes, (n, d)."""
        for part, training in zip(self._space.split(genomes), self._trainings.values(), strict=True):
            training.adapt(part, step)

    def trial(self, genomes: Genomes) -> Trial:
        """Try all trainings, each on its part of the genomes, (n, d)."""
        parts = zip(self._space.split(genomes), self._trainings.values(), strict=True)
        return sum((training.trial(part) for part, training in parts), Trial())

    def wait_until_saved(self) -> None:
        """Wait until all weights are on disk."""
        for training in self._trainings.values():
            training.wait_until_saved()

    def close(self) -> None:
        """Close all trainings."""
        for training in self._trainings.values():
            training.close()

    def conclude(self, progress: Progress) -> None:
        """Give all supernets the weights that the whole search leaves."""
        for name, training in self._trainings.items():
            training.conclude(partial(_told, progress, name))


def _told(progress: Progress, name: str, activity: str, done: int, total: int) -> None:
    progress(f"{activity}: {name}", done, total)
