"""Measures of the code's structure: sizes, names that stand twice, and how many files a command line walks through.

    python tools/structure.py                                                  # sizes and names, from the source alone
    python tools/structure.py --walk dataset=digits supernet=tiny              # runs launch.py in this process as well
    python tools/structure.py --walk task=export run=FOLDER format=onnx

A walk is what a reader follows from the command line to the parts that it names: the files of ``nas/`` that are on the
stack when a part's constructor is called (a class that ``conf`` names by ``_target_``) or the search's loop begins.
Beside it are counted all files with a called function, the most files on the stack at once, and how often Hydra
composed settings. It ends where the search's loop begins, or the command ends.
"""

import argparse
import ast
import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NAS = ROOT / "nas"
SMALL_FILE = 50
LONG_FUNCTION = 60


class LoopReached(BaseException):
    """The walk is over: the search's loop begins."""


def measures() -> dict[str, object]:
    """Return what the source says: name of a measure -> value."""
    lines = {path: len(path.read_text().splitlines()) for path in sorted(NAS.rglob("*.py"))}
    trees = {path: ast.parse(path.read_text()) for path in lines}
    classes = Counter(node.name for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    constants = Counter(name for tree in trees.values() for name in _constants(tree))
    small = [p for p, n in lines.items() if n < SMALL_FILE and p.name != "__init__.py"]
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name} ({_length(node)})"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and _length(node) > LONG_FUNCTION
    ]
    return {
        "files": len(lines),
        "lines": sum(lines.values()),
        f"files under {SMALL_FILE} lines, __init__ aside": len(small),
        "names of classes that stand more than once": sorted(name for name, n in classes.items() if n > 1),
        "names of constants that stand more than once": sorted(name for name, n in constants.items() if n > 1),
        f"functions over {LONG_FUNCTION} lines": long,
    }


def _length(node: ast.FunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _constants(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        yield from (t.id for t in targets if isinstance(t, ast.Name) and t.id.isupper() and not t.id.startswith("_"))


def walk(words: list[str]) -> dict[str, object]:
    """Run a command line in this process and return what it passed through."""
    called: dict[str, None] = {}
    passed: dict[str, None] = {}
    deepest: list[str] = []
    compositions = 0
    parts = _named_classes()

    def follow(frame: FrameType, event: str, _: Any) -> None:
        nonlocal compositions, deepest
        if event != "call":
            return
        if frame.f_code.co_qualname == "ConfigLoaderImpl.load_configuration":
            compositions += 1
        file = _of_nas(frame)
        if file is None:
            return
        loop_begins = file == "nas/loop.py" and frame.f_code.co_qualname == "Search.run"
        new = file not in called
        built = loop_begins or frame.f_code.co_qualname.removesuffix(".__init__") in parts
        if not (new or built):
            return  # a stack is looked at where it may say something new
        stack = _stack(frame)
        if built:
            passed.update(dict.fromkeys(reversed(stack)))
        if loop_begins:
            raise LoopReached
        called.setdefault(file)
        if len(stack) > len(deepest):
            deepest = stack

    sys.argv[1:] = words
    sys.path.insert(0, str(ROOT))
    from nas.cli.main import main

    sys.setprofile(follow)
    try:
        main(ROOT / "conf")
    except (LoopReached, SystemExit):
        pass
    finally:
        sys.setprofile(None)
    return {
        "compositions of settings": compositions,
        f"files from the command line to its parts: {len(passed)}": list(passed),
        f"of all files, those outside the rooms of parts: {len(_outside(called))}": _outside(called),
        f"files with a function that was called: {len(called)}": list(called),
        f"most files on the stack at once: {len(deepest)}": deepest,
    }


def _outside(files: Iterable[str]) -> list[str]:
    """Return the files of the shell: not in a folder of ``conf``, and no rule of files, words and numbers."""
    rooms = {path.name for path in (ROOT / "conf").iterdir()} - {"task"} | {"objective", "cascade"}
    return [file for file in files if len(Path(file).parts) < 3 or Path(file).parts[1] not in rooms]


def _named_classes() -> set[str]:
    """Return the names of the classes that files of ``conf`` name."""
    texts = (path.read_text() for path in (ROOT / "conf").rglob("*.yaml"))
    return {name for text in texts for name in re.findall(r"_target_: nas\.[\w.]+\.(\w+)", text)}


def _of_nas(frame: FrameType) -> str | None:
    """Return the file of a function of ``nas/``; ``None`` for other code, and for bodies of modules and classes."""
    if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return None
    path = Path(frame.f_code.co_filename)
    return str(path.relative_to(ROOT)) if path.is_relative_to(NAS) else None


def _stack(frame: FrameType | None) -> list[str]:
    found: dict[str, None] = {}
    while frame is not None:
        file = _of_nas(frame)
        if file is not None:
            found.setdefault(file)
        frame = frame.f_back
    return list(found)


def main() -> None:
    """Print the measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walk", nargs=argparse.REMAINDER, help="words of a command line")
    asked = parser.parse_args()
    for name, value in (measures() if asked.walk is None else walk(asked.walk)).items():
        if isinstance(value, list):
            print(f"{name}: {len(value)}" if asked.walk is None else name)
            print("".join(f"  {each}\n" for each in value), end="")
        else:
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
