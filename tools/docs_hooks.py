"""Hooks of mkdocs: the settings page is written from the constructors' signatures and docstrings."""

from pathlib import Path
from typing import Any

import yaml

from nas.cli.help import header, settings_of, shown
from nas.settings import PROVIDED

CONF = Path(__file__).parent.parent / "conf"
MARK = "<!-- tools/docs_hooks.py writes the rest from the constructors -->"
NO_PARTS = ("experiment", "hydra", "paths", "scale", "members")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables of settings in the place of the mark."""
    return markdown.replace(MARK, settings_page()) if MARK in markdown else markdown


def settings_page() -> str:
    """Return a section for each group, with a table for each choice."""
    parts: list[str] = []
    for folder in sorted(path for path in CONF.iterdir() if path.is_dir() and path.name not in NO_PARTS):
        parts.append(f"## {folder.name}\n")
        parts += [_choice(folder.name, file) for file in sorted(folder.glob("*.yaml"))]
    return "\n".join(parts)


def _choice(group: str, file: Path) -> str:
    content = yaml.safe_load(file.read_text()) or {}
    lines = [f"### `{group}={file.stem}`\n", f"{' '.join(header(file))}\n"]
    for path, node in _nodes(group, content):
        described = settings_of(str(node["_target_"]))
        rows = []
        for key, value in node.items():
            if key not in described or key in PROVIDED or _is_node(value):
                continue
            name, own = f"{path}.{key}", value
            if isinstance(value, str) and value[2:-1] in content and value.startswith("${"):  # at the top of the file
                name, own = value[2:-1], content[value[2:-1]]
            said = described[key]
            rows.append(f"| `{name}` | `{shown(own, 60)}` | {_cell(said.kind)} | {_cell(said.text)} |")
        if rows:
            lines += ["| Setting | Value | Type and range | Description |", "|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _nodes(path: str, node: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the nodes that name a class, with their paths; the node of a task is below its group's name already."""
    found = [(path, node)] if "_target_" in node else []
    for key, value in node.items():
        if isinstance(value, dict) and key != "hydra":
            found += _nodes(path if key == path else f"{path}.{key}", value)
    return found


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and "_target_" in value


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
