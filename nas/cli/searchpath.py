"""Folders of settings beside ``conf``: a scale's, the user's own, and those that installed packages declare."""

import os
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from nas.errors import UserError
from nas.files import expanded

VARIABLE = "NAS_CONFIG_PATH"
"""Environment variable: folders of settings, separated like those of ``PATH``; ``pkg://`` names packages."""

ENTRY_POINTS = "nas.conf"
"""Group of entry points in which a package names its package of settings, for example ``"mylab.conf"``."""

_PACKAGE, _FILE = "pkg://", "file://"


class SearchPath(SearchPathPlugin):
    """Hydra's search path: the folder of a scale, then ``conf``, then the user's folders in their order."""

    shelf: ClassVar[Path | None] = None
    own: ClassVar[tuple[Path, ...]] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the scale's folder before ``conf`` and the user's folders behind it."""
        if self.shelf is not None:
            search_path.prepend("scale", f"{_FILE}{self.shelf}", SearchPathQuery(provider="main"))
        for folder in self.own:
            search_path.append("own", f"{_FILE}{folder}")

    @classmethod
    def use(cls, shelf: Path | None, own: Sequence[Path]) -> None:
        """Set the folders for all compositions that follow.

        Args:
            shelf: Folder of a scale; it is left out where it does not exist.
            own: Folders of the user.
        """
        cls.shelf, cls.own = shelf if shelf is not None and shelf.is_dir() else None, tuple(own)
        if cls not in Plugins.instance().discover(SearchPathPlugin):
            Plugins.instance().register(cls)


def own_folders(typed: Sequence[str], conf: Path) -> tuple[Path, ...]:
    """Return the user's folders of settings, absolute: of the command line, of ``NAS_CONFIG_PATH``, of packages.

    Args:
        typed: Folders of the command line (``--config-dir``, ``hydra.searchpath``): paths, ``file://PATH`` or
            ``pkg://PACKAGE``.
        conf: Folder of this project's settings.

    Raises:
        UserError: If a folder does not exist, or if it holds a choice that ``conf`` holds too.
    """
    found = list(dict.fromkeys(_named(typed)))
    for folder in found:
        for choice in sorted(conf.glob("*/**/*.yaml")):
            name = choice.relative_to(conf)
            if (folder / name).exists() and not choice.samefile(folder / name):
                raise UserError(
                    f"{folder / name} would not be used: {name.parent}={name.stem} exists already; choose another file "
                    f"name"
                )
    return tuple(found)


def _named(typed: Sequence[str]) -> Iterator[Path]:
    for text in typed:
        yield _folder(text, "--config-dir" if "://" not in text else "hydra.searchpath")
    for text in _listed(os.environ.get(VARIABLE, "")):
        yield _folder(text, VARIABLE)
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        yield _folder(f"{_PACKAGE}{point.value}", f"entry point {point.name} of {ENTRY_POINTS}")


def _listed(text: str) -> list[str]:
    """Return the parts of a list like ``PATH``; the colons of ``pkg://`` and ``file://`` separate nothing."""
    for scheme in (_PACKAGE, _FILE):
        text = text.replace(scheme, scheme.replace("://", "\0"))
    return [part.replace("\0", "://") for part in text.split(os.pathsep) if part.strip()]


def _folder(text: str, source: str) -> Path:
    """Return a folder that a path, ``file://PATH`` or ``pkg://PACKAGE`` names."""
    if text.startswith(_PACKAGE):
        return _package_folder(text.removeprefix(_PACKAGE).replace("/", "."), f"{source}: {text}")
    folder = expanded(text.removeprefix(_FILE), source).absolute()
    if not folder.is_dir():
        raise UserError(f"{source}: {text} is no folder; it takes folders of settings, file://PATH or pkg://PACKAGE")
    return folder


def _package_folder(name: str, source: str) -> Path:
    try:
        found = find_spec(name)
    except Exception as error:  # code of the user's package may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{source} cannot be imported ({reason}); install it or add its folder to PYTHONPATH"
        ) from error
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise UserError(f"{source} is no package; install it or add its folder to PYTHONPATH")
    return Path(places[0]).absolute()
