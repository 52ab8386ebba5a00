"""``scale=small``: every name means a small stand-in, so that any sweep runs on two cores in minutes."""

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

SHELVES = Path(__file__).parent.parent.parent / "sweeps"
"""A folder of each scale: settings that are found there are used instead of those of the same name in ``conf``."""


def scale_of(arguments: Sequence[str]) -> str | None:
    """Return the word behind ``scale=`` on a command line, ``None`` where there is none."""
    words = [argument.partition("=")[2] for argument in arguments if argument.startswith("scale=")]
    return words[-1] if words else None


class Shelf(SearchPathPlugin):
    """Looks for settings on the shelf of the command line's scale first."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the shelf before ``conf``."""
        scale = scale_of(sys.argv[1:])
        if scale is not None and (SHELVES / scale).is_dir():
            place = f"file://{(SHELVES / scale).absolute()}"
            search_path.prepend("scale", place, SearchPathQuery(provider="main"))


def register_scales() -> None:
    """Make the shelves, and ``${shelves:}``, their folder, known to Hydra; a second call does nothing."""
    OmegaConf.register_new_resolver("shelves", lambda: str(SHELVES.absolute()), replace=True)
    if Shelf not in Plugins.instance().discover(SearchPathPlugin):
        Plugins.instance().register(Shelf)
