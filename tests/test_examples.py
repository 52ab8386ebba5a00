"""Examples in docstrings run, and public names have one."""

import doctest
import inspect
import os
from importlib import import_module
from pathlib import Path

import pytest

import nas
from nas.parts import Part

ROOT = Path(nas.__file__).parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)


WITH_EXAMPLES = [module_of(path) for path in sorted(ROOT.rglob("*.py")) if ">>> " in path.read_text()]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "NAS_CACHE", str(tmp_path / "cache"))
    failed, attempted = doctest.testmod(import_module(module), optionflags=OPTIONS)
    assert attempted > 0
    assert failed == 0


PUBLIC = [name for name in nas.__all__ if inspect.getmodule(getattr(nas, name)) is not import_module("nas.parts")]


@pytest.mark.parametrize("name", [*PUBLIC, "part", "Part"])
def test_public_names_have_an_example(name):
    assert ">>> " in inspect.getdoc(getattr(nas, name)), f"nas.{name} has no example in its docstring"


def test_described_parts_exist():
    for name in set(nas.__all__) - set(PUBLIC) - {"part", "Part"}:
        described = getattr(nas, name)()
        assert isinstance(described, Part)
        assert (ROOT.parent / "conf" / described.group / f"{described.choice}.yaml").is_file()
