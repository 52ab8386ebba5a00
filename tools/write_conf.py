"""Writes the comments of ``conf/``: behind each setting, the first sentence that its constructor says about it.

``make conf`` runs it; ``tests/test_conf.py`` checks that nothing is left to write. Values, headers and comments
of keys that no constructor describes stay as they are.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

from nas.cli.help import settings_of

CONF = Path(__file__).parent.parent / "conf"
WIDTH = 120
WIDEST_VALUE = 56
"""Columns of key and value up to which comments of a node stand below each other."""


def first_sentence(text: str) -> str:
    """Return the first sentence of a description, without its full stop.

    >>> first_sentence("Seed of the splits, e.g. 3. It is independent of the run's.")
    "Seed of the splits, e.g. 3"
    """
    return re.split(r"(?<!e\.g)(?<!i\.e)\.(?: (?=[A-Z`\"(])|$)", text, maxsplit=1)[0].rstrip(".")


def described(root: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Yield the line of each setting that a constructor describes, and its sentence."""
    task = _value(root, "task")
    if isinstance(task, yaml.MappingNode):  # settings of a task stand at the top of its file
        names = {
            value.value[2:-1]: key.value
            for key, value in task.value
            if isinstance(value, yaml.ScalarNode) and value.value.startswith("${")
        }
        texts = settings_of(str(getattr(_value(task, "_target_"), "value", "")))
        for key, _ in root.value if isinstance(root, yaml.MappingNode) else ():
            if names.get(key.value) in texts:
                yield key.start_mark.line, texts[names[key.value]].text
    yield from _of_nodes(root)


def _of_nodes(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    if not isinstance(node, yaml.MappingNode):
        return
    target = _value(node, "_target_")
    texts = settings_of(target.value) if isinstance(target, yaml.ScalarNode) else {}
    for key, value in node.value:
        block = isinstance(value, yaml.MappingNode | yaml.SequenceNode) and not value.flow_style
        referred = isinstance(value, yaml.ScalarNode) and re.fullmatch(r"\$\{\w+\}", value.value)
        if key.value in texts and not block and not referred:
            yield key.start_mark.line, texts[key.value].text
        yield from _of_nodes(value)


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key, value in pairs if key.value == name), None)


def written(text: str) -> str:
    """Return a file of settings with its comments written anew."""
    sentences = {line: first_sentence(said) for line, said in described(yaml.compose(text)) if said}
    lines = text.splitlines()
    bare = {line: re.sub(r"\s+#.*$", "", lines[line]) for line in sentences}
    result: list[str] = []
    position = 0
    while position < len(lines):
        if position not in sentences:
            result.append(lines[position])
            position += 1
            continue
        near = [len(bare[line]) for line in _block(position, sentences, lines) if len(bare[line]) <= WIDEST_VALUE]
        column = max([*near, 0]) + 1
        column = max(column, len(bare[position]) + 1)
        wrapped = textwrap.wrap(sentences[position], max(40, WIDTH - column - 2), break_on_hyphens=False)
        result.append(f"{bare[position]:<{column}}# {wrapped[0]}")
        result += [f"{'':<{column}}# {rest}" for rest in wrapped[1:]]
        position += 1
        while position < len(lines) and re.match(r"\s+#", lines[position]):  # the rest of the old comment
            position += 1
    return "\n".join(result) + "\n"


def _block(line: int, sentences: dict[int, str], lines: list[str]) -> list[int]:
    """Return the described lines of equal indentation around a line."""
    indent = len(lines[line]) - len(lines[line].lstrip())
    found = [line]
    for step in (-1, 1):
        other = line + step
        while 0 <= other < len(lines) and lines[other].strip():
            own = len(lines[other]) - len(lines[other].lstrip())
            if own < indent:
                break
            found += [other] if other in sentences and own == indent else []
            other += step
    return found


def main() -> None:
    """Write every file of ``conf/`` that has other comments."""
    for file in sorted(CONF.rglob("*.yaml")):
        text = file.read_text()
        if written(text) != text:
            file.write_text(written(text))
            print(file.relative_to(CONF.parent))


if __name__ == "__main__":
    main()
