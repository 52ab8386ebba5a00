"""The weights of a run's iterations on disk."""

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
    """A folder with ``iter_<k>.pt``, what the training goes on from after step k, and ``final.pt``.

    Those of whole steps are written in a thread, while the networks are evaluated. The last two stay: where the last
    one is damaged, the training goes on from the one before.
    """

    def __init__(self, folder: Path, keep_every: int | None) -> None:
        """Name the folder.

        Args:
            folder: Made with the first file.
            keep_every: Iterations whose files stay beside the last two; ``None`` for none.
        """
        self._folder = folder
        self.keep_every = keep_every
        self._writer = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def save(self, step: int, genomes: Genomes, content: Mapping[str, Any]) -> None:
        """Write the file of a step in the background.

        Args:
            step: Step of the search.
            genomes: That the step evaluates, (n, d).
            content: Nested dictionaries and lists of tensors and plain values; not to be changed any more.
        """
        self.wait_until_saved()
        whole = {"genomes": torch.from_numpy(genomes.copy()), "content": content}
        self._writing = self._writer.submit(self._write, step, whole)

    def load(self, step: int, genomes: Genomes) -> dict[str, Any] | None:
        """Return what was saved of a step with these genomes; ``None`` where that is absent or damaged."""
        self.wait_until_saved()
        return _of(genomes, checkpoint.load(self._path(step)))

    def last(self, step: int) -> dict[str, Any] | None:
        """Return what was saved of a step, whatever its genomes; ``None`` where that is absent or damaged."""
        self.wait_until_saved()
        stored = checkpoint.load(self._path(step))
        return None if stored is None else stored["content"]

    def save_part(self, step: int, genomes: Genomes, content: Mapping[str, Any]) -> None:
        """Write what a step goes on from that is not complete."""
        self.wait_until_saved()
        checkpoint.save(
            self._part, {"step": step, "genomes": torch.from_numpy(genomes.copy()), "content": dict(content)}
        )

    def load_part(self, step: int, genomes: Genomes) -> dict[str, Any] | None:
        """Return what was saved of a part of this step with these genomes, if anything."""
        stored = checkpoint.load(self._part)
        return _of(genomes, stored) if stored is not None and stored["step"] == step else None

    def save_final(self, weights: Mapping[str, Tensor]) -> None:
        """Write the weights that the search leaves."""
        self.wait_until_saved()
        checkpoint.save(self.final_path, {"weights": dict(weights)})

    def load_final(self) -> dict[str, Tensor] | None:
        """Return the weights that the search left; ``None`` where they are absent or damaged."""
        stored = checkpoint.load(self.final_path)
        return None if stored is None else stored["weights"]

    def wait_until_saved(self) -> None:
        """Wait until everything is on disk; an error while writing is raised here."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    @property
    def final_path(self) -> Path:
        """Where the weights are that the search leaves."""
        return self._folder / "final.pt"

    @property
    def _part(self) -> Path:
        return self._folder / "part.pt"

    def _path(self, step: int) -> Path:
        return self._folder / f"iter_{step}.pt"

    def _write(self, step: int, content: Mapping[str, Any]) -> None:
        checkpoint.save(self._path(step), content)
        self._part.unlink(missing_ok=True)
        for path in self._folder.glob(".*.tmp"):  # of a process that was killed while it wrote
            path.unlink()
        for path in self._folder.glob("iter_*.pt"):
            older = int(path.stem.removeprefix("iter_"))
            kept = self.keep_every is not None and (older + 1) % self.keep_every == 0
            if older < step - 1 and not kept:
                path.unlink()


def _of(genomes: Genomes, stored: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the content of a file that belongs to these genomes."""
    if stored is None or not torch.equal(stored["genomes"], torch.from_numpy(genomes)):
        return None
    content: dict[str, Any] = stored["content"]
    return content
