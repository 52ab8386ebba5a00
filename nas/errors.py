"""Exception classes of the project. Each message is one line that tells the user what to do."""

import re
import shlex
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

LAUNCH = Path(__file__).parent.parent / "launch.py"
"""Path of the program in a clone of the repository; it does not exist in an installed wheel."""

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
"""Extras in ``pyproject.toml`` that install optional packages, by the name of the package."""


class NasError(Exception):
    """Base class for all errors of this project; the message is one line.

    Example:
        >>> issubclass(UserError, NasError)
        True
    """


class UserError(NasError):
    """Error in the user's input. Nothing was changed, and the command line ends with exit code 2.

    Example:
        >>> try:
        ...     raise UserError("unknown supernet 'tyni'")
        ... except NasError as error:
        ...     print(error)
        unknown supernet 'tyni'
    """


class InUseError(UserError):
    """Error for a folder that another process is using."""


class ArchiveError(NasError):
    """Error for a damaged file of a run folder. The message names the file, which is never used silently."""


class DiskError(NasError):
    """Error for a file that cannot be written, for example on a full disk. Existing files stay unchanged."""


class RunError(NasError):
    """Error that ends a run, for example if every evaluation of a step failed.

    Example:
        >>> issubclass(RunError, UserError)
        False
    """


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return a suggestion for a mistyped name, or ``""`` if no choice is similar.

    Args:
        name: Mistyped name; only the part after the last dot is compared.
        choices: Valid names.

    Example:
        >>> nearest("nsga4", ["nsga2", "random"])
        "; did you mean 'nsga2'?"
    """
    last = {choice.rpartition(".")[2]: choice for choice in choices}
    match = get_close_matches(name.rpartition(".")[2], list(last), n=1, cutoff=0.5)
    return f"; did you mean '{last[match[0]]}'?" if match else ""


def typed(key: str, value: object) -> str:
    """Return ``key=value`` for a command line, quoted for Hydra and the shell if necessary.

    Args:
        key: Name of the setting.
        value: Value of the setting.

    Example:
        >>> typed("seed", 3)
        'seed=3'
        >>> print(typed("paths.run", "my run"))
        'paths.run='"'"'my run'"'"''
    """
    text = str(value)
    if re.fullmatch(r"[\w./%+@-]+", text, re.ASCII):
        return f"{key}={text}"
    quote = '"' if "'" in text and '"' not in text else "'"
    escaped = text.replace(quote, f"\\{quote}")
    return shlex.quote(f"{key}={quote}{escaped}{quote}")


def counted(n: int, noun: str) -> str:
    """Return a number with its noun in singular or plural.

    Args:
        n: Number, 0 or more.
        noun: Noun in the singular, with a plural on "s".

    Example:
        >>> counted(1, "pair"), counted(2000, "pair")
        ('1 pair', '2,000 pairs')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def unknown(kind: str, name: str, choices: Iterable[str]) -> UserError:
    """Return the error for an unknown name; the message has the name, the most similar choice and all choices.

    Args:
        kind: Kind of the name, for example ``"supernet"``.
        name: Unknown name.
        choices: Valid names.

    Example:
        >>> print(unknown("optimizer", "nsga4", ["random", "nsga2"]))
        unknown optimizer 'nsga4'; did you mean 'nsga2'? (choices: nsga2, random)
    """
    listed = sorted(choices)
    return UserError(f"unknown {kind} '{name}'{nearest(name, listed)} (choices: {', '.join(listed)})")


def missing_package(error: Exception) -> UserError | None:
    """Return the error for an optional package that is not installed; ``None`` for all other errors.

    Args:
        error: Exception of an import.

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
    """Return the command that starts the command line: ``"nas"`` or, in a clone, ``"python launch.py"``."""
    return "python launch.py" if LAUNCH.exists() and Path(sys.argv[0]).name != "nas" else "nas"
