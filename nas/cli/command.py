"""One command line: its flags and words, parsed once, and short spellings written out."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import nas
from nas.errors import UserError, program
from nas.parts import escaped

_PACKAGE = Path(nas.__file__).parent
_HOME = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent  # a wheel holds them, a clone has them beside nas

CONF = _HOME / "conf"
"""Folder of the settings."""

SHELVES = _HOME / "sweeps"
"""Folder of the sweeps, with a folder for each scale, whose settings replace those of the same name in ``conf``."""

RENAMED = {"save": "path"}
"""Keys that had another name."""

_LATENCY = "which is latency here, measured on this machine, or latency_table, read off a file: sec_obj=[latency]"
PUBLISHED_WORDS = {
    **{("sec_obj", word): _LATENCY for word in ("cpu", "gpu", "lat")},
    **{("sec_obj", word): "which are flops here: sec_obj=[flops]" for word in ("macs", "madds", "avg_flops")},
    ("surrogate", "as"): "adaptive switching, which is adaptive here: surrogate=adaptive",
}
"""What words of the published programs and papers for a group's choice are called here."""

_SUPERNETS = re.compile(r"supernet=(\[[^\[\]]*\](?:,\[[^\[\]]*\])*)")
_WANTED = r"[a-z]\w*#[\d.]+"
_PREFERENCES = re.compile(rf"prefer=(['\"]?)({_WANTED}(?:\+{_WANTED})*)\1")
_LIMIT = re.compile(r"constraints(\.\w+)+=.*", re.DOTALL)
_SEARCHPATH = "hydra.searchpath"
_SHOWN_BY_HYDRA = ("hydra_help", "info", "shell_completion", "cfg")


@dataclass(frozen=True)
class CommandLine:
    """Flags and words of a command line.

    Attributes:
        words: ``group=choice`` and ``key=value``, spelled out.
        flags: All flags as they were typed, ``hydra.searchpath=...`` among them.
        multirun: Whether ``-m`` is among the flags.
        help: Whether ``--help`` is.
        cfg: Whether ``--cfg`` is: settings are shown, not used.
        shown: Whether Hydra itself answers: ``--cfg``, ``--info``, ``--hydra-help``, tab completion.
        config_path: Folder of settings in place of ``conf``.
        config_name: Primary file of settings, without ``.yaml``.
        config_dirs: Folders of the user's own settings: paths, ``file://PATH`` or ``pkg://PACKAGE``.
    """

    words: tuple[str, ...]
    flags: tuple[str, ...] = ()
    multirun: bool = False
    help: bool = False
    cfg: bool = False
    shown: bool = False
    config_path: str | None = None
    config_name: str | None = None
    config_dirs: tuple[str, ...] = ()

    @classmethod
    def parsed(cls, arguments: Sequence[str]) -> "CommandLine":
        """Return what the arguments of a process say; flags and words may stand in any order.

        Raises:
            SystemExit: If there is a flag that is unknown, or after ``--version``.
        """
        found = _parser().parse_intermixed_args(list(arguments))
        own = [place for word in found.words if key_of(word) == _SEARCHPATH for place in _listed(word)]
        words = [word for word in found.words if key_of(word) != _SEARCHPATH]
        return cls(
            tuple(spelled for word in words for spelled in spelled_out(word)),
            tuple(argument for argument in arguments if argument not in words),
            found.multirun,
            found.help,
            bool(found.cfg),
            any(getattr(found, name) for name in _SHOWN_BY_HYDRA),
            found.config_path,
            found.config_name,
            (*found.config_dirs, *own),
        )

    def changed(self, **changes: Any) -> "CommandLine":
        """Return a command line with some of its values replaced."""
        return replace(self, **changes)

    @property
    def scale(self) -> str | None:
        """The word behind ``scale=``; ``None`` where there is none."""
        scales = [word.partition("=")[2] for word in self.words if word.startswith("scale=")]
        return scales[-1] if scales else None

    @property
    def task(self) -> str | None:
        """The word behind ``task=``; ``None`` where there is none."""
        tasks = [word.partition("=")[2] for word in self.words if key_of(word) == "task"]
        return tasks[-1] if tasks else None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong with a flag."""
        print(f"error: {message}; see {program()} --help", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=program(), add_help=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--version", action="version", version=f"nas {nas.__version__}")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--run", "-r", action="store_true")
    parser.add_argument("--config-path", "-cp")
    parser.add_argument("--config-name", "-cn")
    parser.add_argument("--config-dir", "-cd", action="append", default=[], dest="config_dirs")
    parser.add_argument("--cfg", "-c", choices=("job", "hydra", "all"))
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--package", "-p")
    parser.add_argument("--hydra-help", action="store_true")
    kinds = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
    parser.add_argument("--info", "-i", const="all", nargs="?", choices=kinds)
    parser.add_argument("--shell-completion", "-sc", action="store_true")
    return parser


def spelled_out(word: str) -> list[str]:
    """Return what a word of the command line stands for, usually itself.

    ``supernet=[a,b]`` is ``supernet=several supernet/members=[a,b]``, so that several supernets are nodes of the
    settings by their names; with ``-m`` there may be several lists. ``prefer=top1#80+flops#150``, as the original tool
    writes it, is ``prefer.top1=80 prefer.flops=150``, and its ``prefer=None`` is nothing.
    ``constraints.NAME.max=3`` is ``++constraints.NAME.max=3``, so that costs of the user's own are bounded like the
    others. Keys that had another name get their new one, and JSON is quoted as Hydra's grammar wants it.
    """
    key, equals, value = word.partition("=")
    if _is_json(value):
        word = f"{key}='{value}'"
    if _LIMIT.fullmatch(word):
        return [f"++{word}"]
    if several := _SUPERNETS.fullmatch(word):
        return ["supernet=several", f"supernet/members={several[1]}"]
    if preferences := _PREFERENCES.fullmatch(word):
        return [f"prefer.{wanted.replace('#', '=')}" for wanted in preferences[2].split("+")]
    if word in ("prefer=None", "prefer=null"):
        return []
    return [f"{RENAMED[key]}={word.partition('=')[2]}"] if equals and key in RENAMED else [word]


def _listed(word: str) -> list[str]:
    """Return the folders that ``hydra.searchpath=[FOLDER,...]`` names; one folder needs no brackets."""
    value = word.partition("=")[2].strip()
    inside = value[1:-1] if value[:1] == "[" and value[-1:] == "]" else value
    return [part.strip().strip("'\"") for part in inside.split(",") if part.strip()]


def _is_json(value: str) -> bool:
    """Return whether a value is an object of JSON."""
    try:
        return value.startswith("{") and json.loads(value) is not None
    except json.JSONDecodeError:
        return False


def check_spelling(word: str) -> None:
    """Raise UserError if preferences are given as a text that :func:`spelled_out` does not understand."""
    if word.startswith("prefer=") and not word.startswith("prefer={"):
        raise UserError(f"{word} is wrong: write prefer.top1=80 prefer.flops=150, or prefer=top1#80+flops#150")


def quoted(key: str, value: str) -> str:
    """Return a word of the shell that gives a key one text, whatever letters are in it."""
    for mark in ("'", '"'):
        if value[:1] == value[-1:] == mark and len(value) > 1:
            value = value[1:-1]
    word = f"{key}='{escaped(value)}'"
    return '"' + re.sub(r'([\\"$`])', r"\\\1", word) + '"'


def key_of(word: str) -> str:
    """Return the key of a word."""
    return word.partition("=")[0].lstrip("+~")


def labels(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return what sets each line of words apart, for example ``seed=3``; ``""`` where there is nothing."""
    common = set.intersection(*map(set, lines))
    return [" ".join(word.lstrip("+") for word in line if word not in common) for line in lines]
