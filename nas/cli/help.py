"""The texts of ``--help``: one screen; the choices of a group; the settings of a choice."""

import ast
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from nas.cli.command import CommandLine
from nas.cli.compose import compose_jobs
from nas.cli.searchpath import own_folders
from nas.errors import program, unknown
from nas.settings import PROVIDED, Settings

NAS = Path(__file__).parent.parent
WIDEST = 100
"""Columns of a text; a narrower terminal has less."""

_ALONE = ("experiment", "hydra", "paths", "scale")
"""Groups that are named after the others, or not at all."""

_EXAMPLES = """\
  PROGRAM                                # MSuNAS on handwritten digits
  PROGRAM supernet=alphanet dataset=cifar100 algorithm=nat
  PROGRAM -m seed='range(10)' algorithm=msunas,random
  PROGRAM task=export run=outputs/demo arch=best"""

_TYPES = {
    "PositiveInt": "whole number, 1 or more",
    "NonNegativeInt": "whole number, 0 or more",
    "Count": "whole number, 1 to 1,000,000",
    "Threads": "whole number, 1 to 1,024",
    "PositiveFloat": "number above 0",
    "NonNegativeFloat": "number, 0 or more",
    "Probability": "number from 0 to 1",
    "Seconds": "seconds, above 0",
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "Path": "path",
    "None": "null",
    "Any": "",
}
"""Types of signatures in words."""

_LIMITS = {"Ge": "from", "Gt": "above", "Le": "to", "Lt": "below"}


@dataclass(frozen=True)
class Described:
    """A setting as a constructor has it.

    Attributes:
        kind: Its type and range in words.
        text: Description, one sentence.
    """

    kind: str
    text: str


def help_text(line: CommandLine, conf: Path) -> str:
    """Return the text of ``--help``.

    Args:
        line: Command line; its words are groups or choices of groups, none for the overview.
        conf: Folder of this project's settings.

    Raises:
        UserError: If there is no such group or choice; it names the nearest.
    """
    folders = (conf, *own_folders(line.config_dirs, conf))
    return "\n\n".join(_of_word(word, folders, line) for word in line.words) if line.words else _overview(folders)


def _width() -> int:
    return min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)


def _overview(folders: Sequence[Path]) -> str:
    groups = [group for group in _groups(folders) if "/" not in group and group not in _ALONE]
    indent = max(map(len, groups)) + 4
    lines = ["Evolutionary multi-objective neural architecture search with supernets.", ""]
    lines += [f"  {program()} [GROUP=CHOICE ...] [KEY=VALUE ...]   one run, or on with it"]
    lines += [f"  {program()} -m KEY=VALUE,VALUE ...               many runs", ""]
    lines += ["Groups and their choices:", ""]
    lines += [_row(group, " ".join(_choices(folders, group)), indent) for group in groups]
    recipes = f"{len(_choices(folders, 'experiment'))} recipes of papers: --help experiment"
    lines += [_row("experiment", recipes, indent), _row("scale", "small: stand-ins that run in minutes", indent)]
    lines += ["", "Settings without a group:", ""]
    comments = _comments(folders[0] / "config.yaml")
    lines += [_row(each.name, comments.get(each.name, "").partition(";")[0], 20) for each in fields(Settings)]
    lines += ["", "Examples:", "", _EXAMPLES.replace("PROGRAM", program()), ""]
    lines += ["More: --help GROUP; --help GROUP=CHOICE: every setting; --cfg job: all settings"]
    lines += [f'Tab completion: eval "$({program()} -sc install=bash)"']
    return "\n".join(lines)


def _row(name: str, text: str, indent: int) -> str:
    lines = textwrap.wrap(text, max(20, _width() - indent), break_on_hyphens=False) or [""]
    first = f"  {name}".ljust(indent)
    return "\n".join([first + lines[0], *(" " * indent + line for line in lines[1:])])


def _of_word(word: str, folders: Sequence[Path], line: CommandLine) -> str:
    group, equals, choice = word.partition("=")
    groups = _groups(folders)
    if group not in groups:
        raise unknown("group", group, groups)
    choices = _choices(folders, group)
    if not equals:
        width = max(map(len, choices)) + 4
        rows = [_row(name, header(_file(folders, group, name))[0], width) for name in choices]
        return "\n".join([f"{group}: its choices", "", *rows, "", f"The settings of one: --help {group}=CHOICE"])
    if choice not in choices:
        raise unknown(f"choice for {group}:", choice, choices)
    return _of_choice(group, choice, folders, line)


def _of_choice(group: str, choice: str, folders: Sequence[Path], line: CommandLine) -> str:
    file = _file(folders, group, choice)
    lines = [*textwrap.wrap(f"{group}={choice}: {' '.join(header(file))}", _width(), break_on_hyphens=False)]
    if group in ("experiment", "scale"):
        plain = {key: value for key, value in (yaml.safe_load(file.read_text()) or {}).items() if key != "defaults"}
        return "\n".join([*lines, "", *textwrap.indent(yaml.safe_dump(plain, sort_keys=False), "  ").splitlines()])
    for path, node, comments in _nodes(group, choice, folders[0], line, file):
        target = str(node["_target_"])
        lines += ["", f"{path or 'of this task alone'}: {target}"]
        described = settings_of(target)
        for key, value in node.items():
            if key.startswith("_") or (key in PROVIDED and key not in described):
                continue
            if isinstance(value, Mapping) and "_target_" in yaml.safe_dump(dict(value)):
                continue  # parts, which follow
            found = described.get(key, Described("", ""))
            text = found.text or comments.get(key, "")
            kind = f"({found.kind})" if found.kind else ""
            name = f"{path}.{key}" if path else key
            line_of = f"  {name}={shown(value, _width() - len(name) - 3)}"
            if len(f"{line_of}   {kind}") <= _width():
                lines += [f"{line_of}   {kind}".rstrip()]
            else:
                lines += [line_of, f"      {kind}"]
            lines += textwrap.wrap(text, _width(), initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def _nodes(
    group: str, choice: str, conf: Path, line: CommandLine, file: Path
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, str]]]:
    """Yield the parts that a choice describes: how they are called, their settings, comments of the file."""
    words = {
        "finetuning": ["task=finetune", f"finetuning={choice}"],
        "sec_obj": [f"sec_obj=[{choice}]"],
        "supernet/members": ["supernet=several", f"supernet/members=[{choice}]"],
    }.get(group, [f"{group}={choice}"])
    multirun = group.startswith("hydra/")
    config = compose_jobs(line.changed(words=tuple(words), multirun=multirun, help=False), conf).jobs[0].config
    node = config
    for name in group.split("/"):
        node = node[name]
    plain = OmegaConf.to_container(node, resolve=False) if isinstance(node, DictConfig) else {}
    assert isinstance(plain, dict)
    comments = _comments(file)
    if group == "task":
        own = OmegaConf.to_container(config, resolve=False)
        assert isinstance(own, dict)
        keys = {key: own[key] for key in comments if key in own and not isinstance(own[key], dict)}
        rest = {key: value for key, value in plain.items() if not str(value).startswith("${")}
        if keys:
            yield "", {"_target_": plain["_target_"], **keys}, comments
        plain = rest
    yield from _parts(group.replace("/", "."), {str(key): value for key, value in plain.items()}, comments)


def _parts(
    path: str, node: Mapping[str, Any], comments: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, str]]]:
    if "_target_" in node:
        yield path, node, comments
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _parts(f"{path}.{key}", value, comments)


def shown(value: Any, width: int) -> str:
    """Return a value as YAML in one line, cut to a width and 60 letters."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()
    widest = max(20, min(60, width))
    return text if len(text) <= widest else f"{text[: widest - 4]} ..."


def _groups(folders: Sequence[Path]) -> list[str]:
    """Return the groups of this project's settings, nested ones as ``dataset/augmentation``."""
    return sorted({str(path.parent.relative_to(folders[0])) for path in folders[0].glob("*/**/*.yaml")})


def _choices(folders: Sequence[Path], group: str) -> list[str]:
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def _file(folders: Sequence[Path], group: str, choice: str) -> Path:
    files = [folder / group / f"{choice}.yaml" for folder in folders]
    return next(file for file in files if file.exists())


def header(file: Path) -> list[str]:
    """Return the lines of the comment at the top of a file of settings."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("# @package")]
    found = list(takewhile(lambda line: line.startswith("#"), lines))
    return [line.lstrip("# ") for line in found] or [""]


def _comments(file: Path) -> dict[str, str]:
    """Return what stands behind the keys of a file of settings; text that goes on in the next lines included."""
    found: dict[str, str] = {}
    last = None
    inside = True
    for line in file.read_text().splitlines():
        if line.startswith("defaults:"):
            inside = False
        elif line and line[0] not in " -#":
            inside = True
        before, mark, comment = line.partition("#")
        key = before.strip().partition(":")[0]
        if inside and key and not key.startswith(("-", "_", "defaults")) and ":" in before:
            last = key
            if mark:
                found[key] = comment.strip()
        elif inside and mark and not before.strip() and last in found and before:
            found[last] += f" {comment.strip()}"
        else:
            last = None if not line.strip() else last
    return found


def settings_of(target: str) -> dict[str, Described]:
    """Return the settings of a class of ``nas`` by name, read off its source without importing it."""
    module, _, name = target.rpartition(".")
    if not module.startswith("nas."):
        return {}
    return _class_settings(module, name)


def _class_settings(module: str, name: str) -> dict[str, Described]:
    tree = _source(module)
    found: dict[str, Described] = {}
    node = next((each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name), None)
    if node is None:
        return {}
    makers = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    texts = _described(ast.get_docstring(node) or "")
    if makers:
        texts |= _described(ast.get_docstring(makers[0]) or "")
        arguments = [(each.arg, each.annotation) for each in makers[0].args.kwonlyargs]
        options = makers[0].args.kwarg
        if options is not None and isinstance(options.annotation, ast.Subscript):
            found |= _imported_settings(tree, module, ast.unparse(options.annotation.slice))
    else:
        arguments = [
            (each.target.id, each.annotation)
            for each in node.body
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        ]
        for base in node.bases:
            found |= _imported_settings(tree, module, ast.unparse(base))
    for key, annotation in arguments:
        kind = "" if annotation is None else _in_words(ast.unparse(annotation), tree)
        found[key] = Described(kind, texts.get(key, ""))
    return found


def _imported_settings(tree: ast.Module, module: str, name: str) -> dict[str, Described]:
    """Return the settings of a class that a module defines or imports from ``nas``."""
    for each in tree.body:
        if isinstance(each, ast.ImportFrom) and str(each.module).startswith("nas."):
            for alias in each.names:
                if (alias.asname or alias.name) == name:
                    return _class_settings(str(each.module), alias.name)
    return _class_settings(module, name)


@cache
def _source(module: str) -> ast.Module:
    return ast.parse((NAS.parent / f"{module.replace('.', '/')}.py").read_text())


def _described(docstring: str) -> dict[str, str]:
    """Return the first sentence of each argument of a docstring."""
    found: dict[str, str] = {}
    inside, last = False, ""
    for line in docstring.splitlines():
        indent = len(line) - len(line.lstrip())
        if line.strip() in ("Args:", "Attributes:"):
            inside, last = True, ""
        elif inside and line.strip() and indent == 0:
            inside = False
        elif inside and indent == 4 and ":" in line:
            last, _, text = line.strip().partition(":")
            for name in last.split(", "):
                found[name] = text.strip()
        elif inside and last and line.strip():
            for name in last.split(", "):
                found[name] += f" {line.strip()}"
    return {name: text.replace("``", "").replace("None", "null") for name, text in found.items()}


def _in_words(annotation: str, tree: ast.Module) -> str:
    """Return a type in words, for example ``whole number, 1 or more, or null``.

    Args:
        annotation: The type's source.
        tree: Syntax tree of the module that holds the annotation.
    """
    words = []
    for part in _alternatives(ast.parse(annotation, mode="eval").body):
        text = ast.unparse(part)
        if text in _TYPES:
            words.append(_TYPES[text])
        elif isinstance(part, ast.Subscript):
            words.append(_subscript_in_words(part, tree))
        else:
            alias, place = _alias(text, tree)
            words.append(_in_words(alias, place) if alias else "")
    return " or ".join(dict.fromkeys(word for word in words if word))


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """Return the types that ``|`` separates."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]


def _subscript_in_words(node: ast.Subscript, tree: ast.Module) -> str:
    """Return a type with brackets in words."""
    name = ast.unparse(node.value)
    inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        return " or ".join(str(ast.literal_eval(each)) for each in inside)
    if name == "Annotated":
        limits = {
            ast.unparse(call.func): ast.unparse(call.args[0]) for call in inside[1:] if isinstance(call, ast.Call)
        }
        words = [f"{word} {limits[key]}" for key, word in _LIMITS.items() if key in limits]
        return " ".join([_in_words(ast.unparse(inside[0]), tree), *words])
    if name in ("dict", "Mapping"):
        return "values by name"
    of_one_kind = len(inside) == 1 or ast.unparse(inside[1]) == "..."
    return f"list of: {_in_words(ast.unparse(inside[0]), tree)}" if of_one_kind else "list"


def _alias(name: str, tree: ast.Module) -> tuple[str | None, ast.Module]:
    """Return what a module, or the one of ``nas`` that it imports from, assigns to a name, and that module."""
    for each in tree.body:
        if isinstance(each, ast.Assign) and [ast.unparse(target) for target in each.targets] == [name]:
            return ast.unparse(each.value), tree
        if isinstance(each, ast.ImportFrom) and str(each.module).startswith("nas."):
            for alias in each.names:
                if (alias.asname or alias.name) == name:
                    return _alias(alias.name, _source(str(each.module)))
    return None, tree
