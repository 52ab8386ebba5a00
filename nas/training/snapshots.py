"""Checkpoints of the iterations of a run."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from nas.training import checkpoint
from nas.types import Genomes


@final
class Snapshots:
    """Folder with a checkpoint ``iter_<k>.pt`` for each step k, and the final weights in ``final.pt``.

    Checkpoints of complete steps are written in a thread, while the networks are evaluated. The last two are kept. If
    the last one is damaged, the training resumes from the one before.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from nas.training.snapshots import Snapshots
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     snapshots, genomes = Snapshots(Path(folder), keep_every=None), np.zeros((2, 3), dtype=np.int64)
        ...     for step in range(3):
        ...         snapshots.save(step, genomes, {"step": step})
        ...     snapshots.load(2, genomes), snapshots.load(0, genomes)
        ({'step': 2}, None)
    """

    def __init__(self, folder: Path, keep_every: int | None) -> None:
        """Store the folder.

        Args:
            folder: Folder of the checkpoints; the first checkpoint creates it.
            keep_every: Interval of steps whose checkpoints are kept besides the last two; ``None`` for none.
        """
        self._folder = folder
        self.keep_every = keep_every
        self._writer = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def save(self, step: int, genomes: Genomes, content: Mapping[str, Any]) -> None:
        """Write the checkpoint of a step in the background.

        Args:
            step: Number of the search step, from 0.
            genomes: Genomes that the step evaluates, shape (n, d).
            content: Nested dictionaries and lists of tensors and plain values. The caller must not change them anymore.
        """
        self.wait_until_saved()
        whole = {"genomes": torch.from_numpy(genomes.copy()), "content": content}
        self._writing = self._writer.submit(self._write, step, whole)

    def load(self, step: int, genomes: Genomes) -> dict[str, Any] | None:
        """Return the checkpoint of a step with these genomes; ``None`` if it is absent or damaged."""
        self.wait_until_saved()
        return _of(genomes, checkpoint.load(self._path(step)))

    def last(self, step: int) -> dict[str, Any] | None:
        """Return the checkpoint of a step with any genomes; ``None`` if it is absent or damaged."""
        self.wait_until_saved()
        stored = checkpoint.load(self._path(step))
        return None if stored is None else stored["content"]

    def save_part(self, step: int, genomes: Genomes, content: Mapping[str, Any]) -> None:
        """Write the checkpoint of an incomplete step."""
        self.wait_until_saved()
        checkpoint.save(
            self._part, {"step": step, "genomes": torch.from_numpy(genomes.copy()), "content": dict(content)}
        )

    def load_part(self, step: int, genomes: Genomes) -> dict[str, Any] | None:
        """Return the checkpoint of this incomplete step with these genomes; ``None`` if there is none."""
        stored = checkpoint.load(self._part)
        return _of(genomes, stored) if stored is not None and stored["step"] == step else None

    def save_final(self, weights: Mapping[str, Tensor]) -> None:
        """Write the final weights of the search."""
        self.wait_until_saved()
        checkpoint.save(self.final_path, {"weights": dict(weights)})

    def load_final(self) -> dict[str, Tensor] | None:
        """Return the final weights of the search; ``None`` if they are absent or damaged."""
        stored = checkpoint.load(self.final_path)
        return None if stored is None else stored["weights"]

    def wait_until_saved(self) -> None:
        """Wait until all checkpoints are on disk; raise an error that occurred while writing."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    @property
    def final_path(self) -> Path:
        """Path of the final weights."""
        return self._folder / "final.pt"

    @property
    def _part(self) -> Path:
        return self._folder / "part.pt"

    def _path(self, step: int) -> Path:
        return self._folder / f"iter_{step}.pt"

    def _write(self, step: int, content: Mapping[str, Any]) -> None:
        checkpoint.save(self._path(step), content)
        self._part.unlink(missing_ok=True)
        for path in self._folder.glob(".*.tmp"):  # temporary files of killed processes
            path.unlink()
        for path in self._folder.glob("iter_*.pt"):
            older = int(path.stem.removeprefix("iter_"))
            kept = self.keep_every is not None and (older + 1) % self.keep_every == 0
            if older < step - 1 and not kept:
                path.unlink()


def _of(genomes: Genomes, stored: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the content of a checkpoint if it belongs to these genomes; otherwise ``None``."""
    if stored is None or not torch.equal(stored["genomes"], torch.from_numpy(genomes)):
        return None
    content: dict[str, Any] = stored["content"]
    return content
