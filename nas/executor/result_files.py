"""What jobs on other machines found out: one file an architecture."""

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, final

from nas.files import read_json, write_json
from nas.types import Architecture, Evaluation

log = logging.getLogger(__name__)


@final
class ResultFiles:
    """A folder of JSON files with checksums, each named after its genome, of one split and one state of the weights."""

    def __init__(self, folder: Path, split: str, weights: str | None) -> None:
        """Name the folder.

        Args:
            folder: where results are; splits and weights have folders of their own in it.
            split: of the data.
            weights: digest of those that were evaluated.
        """
        self._folder = folder / f"{split}-{(weights or 'none')[:16]}"
        self._facts = {"split": split, "weights": weights}

    def write(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """Write a result; its file is whole or absent."""
        content = self._facts | {"genome": list(architecture.genome), "metrics": dict(evaluation.metrics)}
        content |= {"error": evaluation.error}
        write_json(self._path(architecture), content | {"sha256": _checksum(content)})

    def names(self) -> set[str]:
        """Return the names of all files that are there."""
        return {path.name for path in self._folder.iterdir()} if self._folder.exists() else set()

    def read(self, architecture: Architecture, names: set[str]) -> Evaluation | None:
        """Return a result if its file is among ``names`` and good; a damaged one is removed, with a warning."""
        path = self._path(architecture)
        if path.name not in names:
            return None
        try:
            content: dict[str, Any] = read_json(path)
            good = content.pop("sha256") == _checksum(content)
            if good and content.items() >= (self._facts | {"genome": list(architecture.genome)}).items():
                return Evaluation(content["metrics"], error=content["error"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, AttributeError, TypeError):
            pass
        log.warning("%s is damaged; the architecture is evaluated again", path)
        path.unlink(missing_ok=True)
        return None

    def remove(self, architectures: Iterable[Architecture]) -> None:
        """Remove results that are kept elsewhere."""
        for architecture in architectures:
            self._path(architecture).unlink(missing_ok=True)

    def _path(self, architecture: Architecture) -> Path:
        name = hashlib.sha256(json.dumps(list(architecture.genome)).encode()).hexdigest()[:32]
        return self._folder / f"{name}.json"


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
