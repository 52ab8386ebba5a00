"""A supernet and a data set from outside ``nas``, through a search and everything that comes after one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nas
from nas.errors import UserError
from tests.marks import slow_but
from tests.own_parts import OWN, SEARCH, importable, write_package
from tests.small_runs import exit_code, launched

THERE = ("paths.cache=cache", "device=cpu", "tracker=csv")
ALLOW = "allow=[acme]"
AFTERWARDS = {
    "select": ("task=select", "run=run", "save=again"),
    "validate": ("task=validate", "run=run"),
    "validate a model": ("task=validate", "model=selected/net"),
    "export": ("task=export", "run=run", "arch=0", "format=torchscript"),
    "finetune": ("task=finetune", "run=run", "finetuning=small", "finetuning.epochs=1", "paths.run=tuned"),
    "pool": ("pool=runs", "pool.runs=[run]", "dataset=none", "algorithm=greedy", "paths.run=greedy"),
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run of the package's parts, whose outputs are stored, and one of its models."""
    folder = tmp_path_factory.mktemp("own")
    with importable(folder):
        write_package(folder)
        launched(folder, *OWN, *SEARCH, "store_outputs=true")
        launched(folder, "task=select", "run=run", "save=selected", ALLOW, *THERE)
        next((folder / "selected").iterdir()).rename(folder / "selected/net")
        yield folder


@pytest.mark.parametrize("name", slow_but({"select"}, AFTERWARDS))
def test_results_can_be_used_where_the_command_line_allows_it(searched, capsys, name):
    words = (*AFTERWARDS[name], *THERE)
    assert exit_code(searched, *words) == 2
    refusal = r"error: \S+ names acme\.\S+ as \w+, code from outside nas; add allow=\[acme\] if you trust it\n"
    assert re.fullmatch(refusal, capsys.readouterr().err)
    launched(searched, *words, ALLOW)


@pytest.mark.slow
def test_what_the_command_line_names_itself_is_allowed(searched, tmp_path):
    launched(searched, "task=validate", "run=run", f"save={tmp_path}", *OWN, *THERE)
    launched(searched, *OWN, *SEARCH)


def test_networks_can_be_loaded(searched, monkeypatch):
    monkeypatch.setenv("NAS_CACHE", str(searched / "cache"))
    for folder in (searched / "selected/net", searched / "run"):
        with pytest.raises(UserError, match=r"add allow=\[acme\] if you trust it"):
            nas.load(folder)
        assert type(nas.load(folder, allow=["acme"]).network).__name__ == "MobileNetwork"


def test_commands_on_model_cards_work_as_they_are(searched, monkeypatch):
    text = (searched / "selected/net/README.md").read_text()
    assert re.search(r"task=validate model=\S+ 'allow=\[acme\]'\n", text)
    assert ', allow=["acme"])' in text


@pytest.mark.slow
def test_other_processes_and_sweeps_know_what_is_allowed(searched, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(searched))
    launched(searched, *OWN, *SEARCH[:-1], "executor=process", "executor.cpu_workers=1", "paths.run=elsewhere")
    words = ("pool=runs", "pool.runs=[run]", "dataset=none", "algorithm=greedy", "paths.run=sweep/${seed}", ALLOW)
    launched(searched, "-m", "seed=0,1", *words, *THERE)


def test_a_search_that_would_have_no_way_back_does_not_begin(searched, capsys):
    words = (*OWN, *SEARCH[:-1], "supernet._target_=acme.nets.Greedy", "paths.run=none")
    assert exit_code(searched, *words) == 2
    assert "names acme.nets.Greedy as supernet, which takes 'dataset', but is given" in capsys.readouterr().err
    assert not (searched / "none").exists()
