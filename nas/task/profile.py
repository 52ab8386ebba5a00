"""``task=profile``: what one architecture costs, without its weights and without data."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from nas.errors import UserError
from nas.supernet.base import Supernet
from nas.task.base import Setup, Task, build
from nas.types import PositiveInt

PUBLISHED_CLASSES = 1000


@final
class ProfileTask(Task):
    """Prints one JSON object: ``macs``, ``params`` and the architecture."""

    def __init__(self, *, setup: Setup, arch: str | dict[str, Any], classes: PositiveInt | None, detail: bool) -> None:
        """Take what to profile.

        Args:
            setup: what the command line says; only ``supernet`` and, for its number of classes, ``dataset`` count.
            arch: an architecture as the original tools write it: JSON, or a file that holds it (``.subnet``).
            classes: outputs of the classifier; ``None`` for the 1,000 of a published supernet, or the data set's
                for one that is trained from scratch.
            detail: whether each part's share is listed too.
        """
        self._setup = setup
        self._arch = arch
        self._classes = classes
        self._detail = detail

    def check(self) -> None:
        """Read the architecture and look it up."""
        self._profile()

    def run(self) -> str:
        """Return the JSON object as one line."""
        return json.dumps(self._profile())

    def _profile(self) -> dict[str, Any]:
        supernet = self._supernet()
        genome = supernet.space.encode(_read(self._arch))
        tables = supernet.costs()
        profile: dict[str, Any] = {name: int(table(genome[None])[0]) for name, table in tables.items()}
        profile["arch"] = dict(supernet.space.decode(genome).config)
        if self._detail:
            profile["detail"] = {
                name: {part: int(value[0]) for part, value in table.parts(genome[None]).items() if value[0]}
                for name, table in tables.items()
            }
        return profile

    def _supernet(self) -> Supernet:
        part = self._setup.parts["supernet"]
        offers: dict[str, Any] = {"cache": self._setup.paths.cache, "device": "cpu"}
        published = "checkpoint" in self._setup.resolved["supernet"]
        if self._classes is not None:
            offers["n_classes"] = self._classes
        elif published:
            offers["n_classes"] = PUBLISHED_CLASSES
        else:
            offers["n_classes"] = build(self._setup.parts["dataset"], offers).n_classes
        if published:
            offers["checkpoint"] = "random"  # costs do not depend on weights
        supernet: Supernet = build(part, offers)
        return supernet


def _read(arch: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(arch, Mapping):
        return arch
    text = arch
    if not arch.lstrip().startswith("{"):
        path = Path(arch).expanduser()
        if not path.is_file():
            raise UserError(f"arch={arch} is neither JSON nor a file that exists")
        text = path.read_text()
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"arch={arch} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"arch={arch} must be a JSON object such as {{'ks': [...], 'e': [...], 'd': [...], 'r': 224}}")
    return config
