"""The error tree: what went wrong, in one line that a user can act on."""

import re
import shlex
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

LAUNCH = Path(__file__).parent.parent / "launch.py"
"""The program in a clone; a wheel has none."""

EXTRAS = {
    "gdown": "supernets",
    "hydra_plugins": "slurm",
    "llvmlite": "cascades",
    "numba": "cascades",
    "ofa": "supernets",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "submitit": "slurm",
    "timm": "supernets",
}
"""The extra of ``pyproject.toml`` that installs a package, by the package."""


class NasError(Exception):
    """Base class for failures that this project explains; the message is one line.

    Example:
        >>> issubclass(UserError, NasError)
        True
    """


class UserError(NasError):
    """Error in the input; nothing was done, and the command line ends with exit code 2.

    Example:
        >>> try:
        ...     raise UserError("unknown supernet 'tyni'")
        ... except NasError as error:
        ...     print(error)
        unknown supernet 'tyni'
    """


class InUseError(UserError):
    """Another process is at work in the folder."""


class ArchiveError(NasError):
    """A file of a run folder is damaged: it is named and never silently used."""


class DiskError(NasError):
    """A file cannot be written, for example because the disk is full; what was there before is as it was."""


class RunError(NasError):
    """Error that ends a run, for example because every evaluation of a step failed.

    Example:
        >>> issubclass(RunError, UserError)
        False
    """


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the choice most like ``name``, or ``""``; the last part counts."""
    last = {choice.rpartition(".")[2]: choice for choice in choices}
    match = get_close_matches(name.rpartition(".")[2], list(last), n=1, cutoff=0.5)
    return f"; did you mean '{last[match[0]]}'?" if match else ""


def typed(key: str, value: object) -> str:
    """Return ``key=value`` as it is typed on a command line: quoted for Hydra and for the shell where they want it."""
    text = str(value)
    if re.fullmatch(r"[\w./%+@-]+", text, re.ASCII):
        return f"{key}={text}"
    quote = '"' if "'" in text and '"' not in text else "'"
    escaped = text.replace(quote, f"\\{quote}")
    return shlex.quote(f"{key}={quote}{escaped}{quote}")


def counted(n: int, noun: str) -> str:
    """Return a number and what it counts: ``1 pair``, ``2 pairs``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def unknown(kind: str, name: str, choices: Iterable[str]) -> UserError:
    """Build the error for a name that does not exist: the name, the nearest one and all choices."""
    listed = sorted(choices)
    return UserError(f"unknown {kind} '{name}'{nearest(name, listed)} (choices: {', '.join(listed)})")


def missing_package(error: Exception) -> UserError | None:
    """Return the error for an optional package that is not installed; ``None`` for every other error.

    Example:
        >>> print(missing_package(ModuleNotFoundError("no timm", name="timm")))
        package 'timm' is not installed: pip install 'nas[supernets]', or 'nas[all]' for every optional package
    """
    package = str(error.name).partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package not in EXTRAS:
        return None
    return UserError(
        f"package '{package}' is not installed: pip install 'nas[{EXTRAS[package]}]', or 'nas[all]' for every optional "
        f"package"
    )


def program() -> str:
    """Return how the command line is called here: ``"nas"`` where it is installed, else ``"python launch.py"``."""
    return "python launch.py" if LAUNCH.exists() and Path(sys.argv[0]).name != "nas" else "nas"
