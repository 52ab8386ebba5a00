"""Command lines that are refused before any part is built: which job it is, what is wrong, what would be right."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from nas.cli import launching
from nas.cli.command import CommandLine, labels, quoted
from nas.cli.compose import Jobs, compose_jobs
from nas.errors import UserError

CONF = Path(__file__).parent.parent.parent / "conf"
REFUSED = {
    "no settings": (
        ["-m", "algorithm=msunas,encas", "algorithm.n_doe=30"],
        "job algorithm=encas: unknown key 'algorithm.n_doe': algorithm=encas has no settings",
    ),
    "other settings": (
        ["-m", "algorithm=greedy,random", "seed=1,2", "algorithm.n_doe=30"],
        "job algorithm=greedy seed=1: unknown key 'algorithm.n_doe' (choices: algorithm.multipliers)",
    ),
    "one job": (["algorithm=encas", "algorithm.n_doe=3"], "unknown key 'algorithm.n_doe': algorithm=encas has no "),
    "bound of no cost": (
        ["constraints.flop.max=3"],
        "unknown key 'constraints.flop'; did you mean 'constraints.flops'? (choices: constraints.flops, ",
    ),
    "no bound": (
        ["constraints.flops.mx=3"],
        "unknown key 'constraints.flops.mx'; did you mean ",
    ),
    "published word": (["sec_obj=cpu"], "unknown choice for sec_obj: 'cpu', which is latency here, measured on this "),
    "published word in a list": (["sec_obj=[flops,gpu]"], "unknown choice for sec_obj: 'gpu', which is latency here"),
    "another task": (
        ["experiment=finetune_imagenet", "task=search"],
        "experiment=finetune_imagenet chooses finetuning, which task=search does not have; leave task=search out",
    ),
    "sweep's folders": (
        ["-m", "seed=1,2", "hydra.sweep.subdir=x"],
        "hydra.sweep.subdir is not used: paths.run is ",
    ),
    "comma in a path": (
        ["dataset=imagefolder", "dataset.path=/x/a,b"],
        "names several values; write python launch.py -m dataset.path=/x/a,b ... to run all of them, or "
        "\"dataset.path='/x/a,b'\" for one text",
    ),
}


def composed(monkeypatch, *words: str) -> Jobs:
    monkeypatch.setattr(sys, "argv", ["launch.py"])
    return compose_jobs(CommandLine.parsed(words))


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_says_what_is_wrong_and_where(case, monkeypatch):
    words, message = REFUSED[case]
    with pytest.raises(UserError) as error:
        composed(monkeypatch, *words)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_costs_of_ones_own_are_bounded_like_the_others(monkeypatch, tmp_path):
    own = tmp_path / "conf" / "sec_obj" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("mine:\n  _target_: acme.Cost\n  _partial_: true\n")
    words = ("-cd", str(tmp_path / "conf"), "sec_obj=[flops,mine]")
    (job,) = composed(monkeypatch, *words, "constraints.mine.max=3", "constraints.flops.max=5").jobs
    assert (job.config.constraints.mine.max, job.config.constraints.flops.max) == (3, 5)
    assert labels([["++constraints.mine.max=3"], ["++constraints.mine.max=4"]])[1] == "constraints.mine.max=4"


@pytest.mark.parametrize(
    "text", ["my photos", "Peter's photos", "'quoted'", 'a "b"', "a,b [c] {d} (e)", "c=d", "$x `y`", "end\\", "a\\'b"]
)
def test_quoted_words_are_what_they_were(text):
    shell = subprocess.run(
        ["sh", "-c", f"printf %s {quoted('dataset.path', text)}"], capture_output=True, text=True, check=True
    )
    value = OverridesParser.create().parse_override(shell.stdout).value()
    assert str(value) == (text[1:-1] if text == "'quoted'" else text)


def test_each_job_of_a_sweep_has_the_run_folder_of_its_own_choices(monkeypatch):
    jobs = composed(monkeypatch, "-m", "optimizer=nsga2,random", "paths.run=x/${hydra:runtime.choices.optimizer}")
    assert [folder.name for folder in launching._folders(jobs)] == ["nsga2", "random"]
