"""The front of a finished search, and its members as models."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.files import expanded
from nas.model.base import ModelSource
from nas.space.joint import is_cascade
from nas.types import Measure

BEST = "best"
"""The word for the most accurate member."""


@dataclass(frozen=True)
class Member:
    """One architecture or cascade of a front.

    Attributes:
        architecture: as ``front.json`` says it.
        objectives: in the order of the front's measures, all minimised; the error is that with the final weights.
        facts: what else the run knows: ``metrics``, ``test``, ``step``, ...
    """

    architecture: Mapping[str, Any]
    objectives: tuple[float, ...]
    facts: Mapping[str, Any]

    @property
    def is_cascade(self) -> bool:
        """Whether it is a cascade: of a pool's networks, or of one network from each of several supernets."""
        return is_cascade(self.architecture)


class Front(ABC):
    """Members in the order of ``front.json``.

    Attributes:
        folder: of the run.
        measures: names and units of the objectives, the top-1 error first.
        members: at least one.
    """

    folder: Path
    measures: tuple[Measure, ...]
    members: Sequence[Member]

    @abstractmethod
    def source(self, index: int) -> ModelSource:
        """Return where the model of a member comes from.

        Raises:
            UserError: if it has no network.
        """

    @abstractmethod
    def source_of(self, config: Mapping[str, Any], name: str) -> ModelSource:
        """Return where the model of any architecture of the run's supernet comes from.

        Raises:
            UserError: if it is none, or the run searched no subnets.
        """

    @property
    def best(self) -> int:
        """The index of the most accurate member, with the final weights."""
        return min(range(len(self.members)), key=lambda index: self.members[index].objectives)

    def index(self, arch: str | int | Mapping[str, Any]) -> int:
        """Return the index of the member that a command line names.

        Raises:
            UserError: if there is no such member.
        """
        if arch == BEST:
            return self.best
        index, last = int(str(arch)), len(self.members) - 1
        if not 0 <= index <= last:
            raise UserError(f"arch={index} is no member of the front in '{self.folder}', which has 0 to {last}")
        return index

    def chosen(self, arch: str | int | Mapping[str, Any]) -> ModelSource:
        """Return where the model that a command line names comes from.

        Args:
            arch: ``"best"``, an index, or an architecture as JSON, as a file (``.subnet``) or as it is.

        Raises:
            UserError: if there is no such member, file or architecture.
        """
        if is_member(arch):
            return self.source(self.index(arch))
        assert not isinstance(arch, int)
        name = Path(str(arch)).stem if is_file(arch) else "net"
        config = read_architecture(arch, f"an index, {BEST}")
        try:
            return self.source_of(config, name)
        except UserError as error:
            raise UserError(f"'{arch}': {error}" if is_file(arch) else str(error)) from error


def is_member(arch: str | int | Mapping[str, Any]) -> bool:
    """Return whether a command line names a member of a front, and not an architecture."""
    return arch == BEST or isinstance(arch, int) or (isinstance(arch, str) and arch.lstrip("-").isdigit())


def is_file(arch: str | Mapping[str, Any]) -> bool:
    """Return whether an architecture is given as a file, and not as JSON or as it is."""
    return isinstance(arch, str) and not arch.lstrip().startswith("{")


def read_architecture(arch: str | Mapping[str, Any], others: str, key: str = "arch") -> Mapping[str, Any]:
    """Return an architecture that is given as JSON, as a file that holds it, or as it is.

    Args:
        arch: what is given.
        others: what could have been given besides, for messages.
        key: the setting, for messages.

    Raises:
        UserError: if there is no such file, or it holds no JSON object.
    """
    if isinstance(arch, Mapping):
        return arch
    text = arch
    if not arch.lstrip().startswith("{"):
        path = expanded(arch, "arch")
        if not path.is_file():
            raise UserError(f"{key}={arch} is no file that exists; give {others}, JSON or a file")
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{key}={arch} cannot be read: {error}") from error
    try:
        config = json.loads(text)
    except ValueError as error:
        raise UserError(f"{key}={arch} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"{key}={arch} must hold a JSON object")
    return config
