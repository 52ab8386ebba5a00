"""Hooks of mkdocs: the settings page is written from the constructors' signatures and docstrings."""

from pathlib import Path
from typing import Any

import yaml

from nas.cli.help import settings_of
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
    text = file.read_text()
    header = " ".join(line.lstrip("# ") for line in _header(text))
    lines = [f"### `{group}={file.stem}`\n", f"{header}\n"]
    for path, node in _nodes(group, yaml.safe_load(text) or {}):
        described = settings_of(str(node["_target_"]))
        rows = [
            f"| `{path}.{key}` | `{_shown(value)}` | {_cell(described[key].kind)} | {_cell(described[key].text)} |"
            for key, value in node.items()
            if key in described and key not in PROVIDED and not _is_node(value)
        ]
        if rows:
            lines += ["| Setting | Value | Type and range | Description |", "|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _header(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.startswith("# @package")]
    end = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:end]


def _nodes(path: str, node: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the nodes that name a class, with their paths."""
    found = [(path, node)] if "_target_" in node else []
    for key, value in node.items():
        if isinstance(value, dict) and key != "hydra":
            found += _nodes(f"{path}.{key}" if path != "task" or key != "task" else "task", value)
    return found


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and "_target_" in value


def _shown(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()
    return text if len(text) <= 60 else f"{text[:56]} ..."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
