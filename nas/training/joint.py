"""Training of several supernets, each as if it were alone (``training=joint``)."""

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

    With NAT, the supernets share the steps of an iteration. Each supernet is trained on its subnets in the iteration's
    cascades, so a subnet that is in many cascades is trained often. The weights of each supernet are in
    ``supernets/<name>`` in the run folder.

    Example:
        >>> from pathlib import Path
        >>> from nas.supernet.joint import JointSupernet
        >>> from nas.supernet.tiny import Tiny
        >>> from nas.training.joint import JointTraining
        >>> from nas.training.none import NoTraining
        >>> sizes = dict(stem_width=8, stem_stride=1, stage_widths=(8,), strides=(1,), feature_width=16, widths=(1.0,))
        >>> choices = dict(depths=(1, 2), kernel_sizes=(3,), expand_ratios=(1, 2), resolutions=(8,), dropout=0.0)
        >>> options = dict(n_classes=10, squeeze_excite=(False,), hard_swish=(False,), **sizes, **choices)
        >>> supernet = JointSupernet(members={"first": Tiny(seed=0, **options), "second": Tiny(seed=1, **options)})
        >>> frozen = lambda *, supernet, **_: NoTraining(supernet=supernet)
        >>> JointTraining(supernet=supernet, folder=Path("run"), run_seed=0, member=frozen).moves
        False
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
            supernet: Supernets to train, two or more.
            folder: Run folder.
            run_seed: Seed of the run; each training gets its own seed, derived from it.
            member: Function that makes the training of one supernet. Its arguments are ``supernet``, ``folder``,
                ``run_seed``, ``replica`` and ``shares``. A supernet with trained weights is not trained from scratch.

        Raises:
            UserError: If ``supernet`` is a single supernet.
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
        """Load or train the weights of all supernets that the search starts from."""
        for name, training in self._trainings.items():
            training.prepare(partial(_told, progress, name))

    def keep(self) -> Mapping[Path, str]:
        """Put the weights of all supernets that were trained from scratch into the run folder."""
        return {path: digest for each in self._trainings.values() for path, digest in each.keep().items()}

    @property
    def weights(self) -> str | None:
        """Digest of the current weights of all supernets."""
        digests = [f"{name} {training.weights}" for name, training in self._trainings.items()]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def restore(self, batches: Sequence[Genomes]) -> None:
        """Restore the weights of all supernets after the steps with these batches of genomes, each (n, d)."""
        parts = [self._space.split(batch) for batch in batches]
        for number, training in enumerate(self._trainings.values()):
            training.restore([part[number] for part in parts])

    def adapt(self, genomes: Genomes, step: int) -> None:
        """Train one supernet after the other, each on its part of the genomes, (n, d)."""
        for part, training in zip(self._space.split(genomes), self._trainings.values(), strict=True):
            training.adapt(part, step)

    def trial(self, genomes: Genomes) -> Trial:
        """Estimate the cost of all trainings, each with its part of the genomes, (n, d)."""
        parts = zip(self._space.split(genomes), self._trainings.values(), strict=True)
        return sum((training.trial(part) for part, training in parts), Trial())

    def wait_until_saved(self) -> None:
        """Wait until all checkpoints are on disk."""
        for training in self._trainings.values():
            training.wait_until_saved()

    def close(self) -> None:
        """Close all trainings."""
        for training in self._trainings.values():
            training.close()

    def conclude(self, progress: Progress) -> None:
        """Load the final weights of all supernets after a finished search."""
        for name, training in self._trainings.items():
            training.conclude(partial(_told, progress, name))


def _told(progress: Progress, name: str, activity: str, done: int, total: int) -> None:
    progress(f"{activity}: {name}", done, total)
