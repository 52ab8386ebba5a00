"""Search algorithms alone, for networks that are trained and measured elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt

from nas.algorithm.base import Algorithm
from nas.cli.compose import experiment_of
from nas.errors import UserError
from nas.files import read_sealed, sealed, write_json
from nas.objective.base import TOP1_ERROR, Cost, Objective
from nas.parts import Part
from nas.run.archive import Archive, Commit, Entry
from nas.seeding import rng_for
from nas.space.base import SearchSpace
from nas.threads import proposing
from nas.types import Floats, Genomes

if TYPE_CHECKING:
    import pandas as pd


@final
class AskTell:
    """Search algorithm alone: :meth:`ask` returns candidates, :meth:`tell` takes their values.

    All objectives are minimized: the error first, then ``objectives``. Known costs (:class:`nas.Cost`, for example
    :class:`nas.KnownCost`) are computed; all others are told. Where each batch is told before the next one is asked,
    candidates are those of a search with the same seed.

    Example:
        >>> import nas
        >>> space = nas.IntegerSpace([0, 0, 0], [4, 4, 4])
        >>> size = nas.KnownCost("size", lambda genomes: genomes.sum(axis=1) + 1.0)
        >>> search = nas.AskTell(space, [size], algorithm=nas.MSuNAS(n_doe=12, n_iter=4), seed=1)
        >>> for _ in range(3):
        ...     candidates = search.ask()
        ...     search.tell(candidates, 100 / (1 + candidates.sum(axis=1)))
        >>> len(search.archive), search.front.shape[1]
        (20, 7)
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective] = (),
        *,
        seed: int = 0,
        algorithm: Algorithm | Part | None = None,
        surrogate: Part | None = None,
        optimizer: Part | None = None,
        selector: Part | None = None,
    ) -> None:
        """Set what is searched and how.

        Args:
            space: Search space, for example :class:`nas.IntegerSpace`.
            objectives: Objectives besides the error, one or more for most algorithms.
            algorithm: Search algorithm, described (``nas.MSuNAS(n_iter=4)``) or an object; None for MSuNAS.
            surrogate: Surrogate, for example ``nas.RBF()``; None for the default.
            optimizer: Optimizer on the surrogate; None for the default.
            selector: Selector of candidates; None for the default.
            seed: Seed of the search, 0 or more.

        Raises:
            UserError: If the parts do not fit each other, or the algorithm needs networks.
        """
        names = [objective.measure.name for objective in objectives]
        if len({TOP1_ERROR.name, *names}) < 1 + len(names):
            raise UserError(f"objectives have different names, none of them {TOP1_ERROR.name}; got {names}")
        self._space = space
        self._objectives = list(objectives)
        self._seed = seed
        self._algorithm = (
            algorithm
            if isinstance(algorithm, Algorithm)
            else self._built([part for part in (algorithm, surrogate, optimizer, selector) if part is not None])
        )
        if self._algorithm.reevaluates:
            raise UserError("algorithms that adapt weights need a supernet: use nas.search")
        self._told = [i for i, objective in enumerate(objectives) if not isinstance(objective, Cost)]
        self._step = 0
        self._asked: dict[tuple[int, ...], tuple[int, int]] = {}  # step and place in its batch
        self._values: dict[tuple[int, ...], tuple[float, ...] | None] = {}  # None where the evaluation failed
        self._predicted: dict[tuple[int, ...], float | None] = {}
        self._queue: list[tuple[int, ...]] = []

    def _built(self, parts: Sequence[Part]) -> Algorithm:
        words = [word for part in parts for word in part.words()]
        experiment = experiment_of(words).changed(space=self._space, objectives=self._objectives, device="cpu")
        return experiment.algorithm

    def ask(self, n: int | None = None) -> Genomes:
        """Return candidates to evaluate, canonical genomes, shape (k, d).

        Args:
            n: Number of candidates; None for the rest of the algorithm's batch, or its next batch.

        Returns:
            New candidates; fewer than ``n`` where the search space is used up.
        """
        while len(self._queue) < (1 if n is None else n) and self._propose():
            pass
        k = len(self._queue) if n is None else n
        found, self._queue = self._queue[:k], self._queue[k:]
        return np.array(found, dtype=np.int64).reshape(-1, self._space.n_genes)

    def tell(self, candidates: npt.ArrayLike, values: npt.ArrayLike) -> None:
        """Take values of evaluated architectures: candidates in any order and number, and any other architecture.

        Args:
            candidates: Genomes, shape (k, d) or (d,).
            values: Errors, shape (k,); with objectives that are not known costs, shape (k, 1 + their number), the error
                first. NaN for evaluations that failed.

        Raises:
            UserError: If shapes do not fit, or a genome is not of the space; nothing is taken then.
        """
        genomes = np.atleast_2d(np.asarray(candidates, dtype=np.int64))
        self._space.validate(genomes)
        genomes = self._space.canonical(genomes)
        width = 1 + len(self._told)
        found = np.asarray(values, dtype=np.float64)
        if found.size != len(genomes) * width:
            raise UserError(
                f"values have shape {found.shape}; {len(genomes)} candidates need ({len(genomes)}, {width})"
            )
        for key, row in zip(map(tuple, genomes.tolist()), self._rows(genomes, found.reshape(-1, width)), strict=True):
            if key not in self._asked:  # an architecture of the user's own
                self._asked[key] = max(0, self._step - 1), len(self._asked)
            self._values[key] = None if np.isnan(row).any() else tuple(row.tolist())

    def _rows(self, genomes: Genomes, values: Floats) -> Floats:
        """Return the objectives of genomes, (k, d) -> (k, m), from told values, (k, 1 + told)."""
        rows = np.empty((len(genomes), 1 + len(self._objectives)))
        rows[:, [0, *(1 + i for i in self._told)]] = values
        for i, objective in enumerate(self._objectives, 1):
            if isinstance(objective, Cost):
                rows[:, i] = objective(genomes)
        return rows

    def _propose(self) -> bool:
        """Put the next batch into the queue; False where nothing new is left."""
        with proposing():
            batch = self._algorithm.propose(self._archive(), self._step, rng_for(self._seed, self._step, "propose"))
        predicted = [None] * len(batch.genomes) if batch.predicted is None else batch.predicted.tolist()
        new = False
        for place, (key, value) in enumerate(zip(map(tuple, batch.genomes.tolist()), predicted, strict=True)):
            if key not in self._asked:
                self._asked[key], self._predicted[key] = (self._step, place), value
                self._queue.append(key)
                new = True
        self._step += 1
        return new

    def _archive(self) -> Archive:
        """Return what is known as an archive in memory; candidates without values count as failed, so are not new."""
        measures = (TOP1_ERROR, *(objective.measure for objective in self._objectives))
        archive = Archive(Path(), measures, self._space.names)
        archive.commits = [Commit(step) for step in range(self._step)]
        for index, (key, (step, _)) in enumerate(sorted(self._asked.items(), key=lambda item: item[1])):
            architecture = self._space.decode(np.array(key, dtype=np.int64))
            values = self._values.get(key)
            archive.history.append(Entry(step, index, architecture, values, {}, self._predicted.get(key)))
        return archive

    @property
    def archive(self) -> "pd.DataFrame":
        """Table of all told architectures: step, objectives by name, prediction, one column a gene."""
        return self._table([entry for entry in self._archive().entries() if entry.architecture.genome in self._values])

    @property
    def front(self) -> "pd.DataFrame":
        """Table of the Pareto front of what was told, ascending in error; columns as in :attr:`archive`."""
        return self._table(self._archive().front())

    def _table(self, entries: Sequence[Entry]) -> "pd.DataFrame":
        import pandas as pd

        names = [TOP1_ERROR.name, *(objective.measure.name for objective in self._objectives)]
        columns = ["step", *names, "predicted", *self._space.names]
        rows = [
            [e.step, *(e.objectives or (np.nan,) * len(names)), e.predicted, *e.architecture.genome] for e in entries
        ]
        return pd.DataFrame(rows, columns=columns).astype({"predicted": "float64"})

    def save(self, path: str | Path) -> None:
        """Write the state into a file; it is replaced as a whole."""
        rows = [
            [key, *place, self._predicted.get(key), key in self._values, self._values.get(key)]
            for key, place in self._asked.items()
        ]
        state = {"kind": self._kind(), "step": self._step, "queue": self._queue, "architectures": rows}
        write_json(Path(path), sealed(state))

    def restore(self, path: str | Path) -> None:
        """Take the state that :meth:`save` wrote, of a search with the same space, objectives and seed.

        Raises:
            UserError: If the file is missing, damaged or of another search; the state is as before then.
        """
        try:
            state: dict[str, Any] = read_sealed(Path(path))
        except (OSError, ValueError) as error:
            raise UserError(f"'{path}' holds no state of a search ({error})") from error
        if state.get("kind") != self._kind():
            raise UserError(f"'{path}' is the state of a search with another space, other objectives or another seed")
        self._step = int(state["step"])
        self._queue = [tuple(key) for key in state["queue"]]
        rows = [(tuple(row[0]), row[1:]) for row in state["architectures"]]
        self._asked = {key: (step, place) for key, (step, place, *_) in rows}
        self._predicted = {key: row[2] for key, row in rows}
        self._values = {key: None if row[4] is None else tuple(row[4]) for key, row in rows if row[3]}

    def _kind(self) -> dict[str, Any]:
        """Return what must be equal where a state is restored."""
        bounds = [self._space.lower.tolist(), self._space.upper.tolist()]
        names = [objective.measure.name for objective in self._objectives]
        return {"genes": list(self._space.names), "bounds": bounds, "objectives": names, "seed": self._seed}
