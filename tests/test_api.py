"""Searches from Python: equal to the command line's, nothing left behind, objects in place of words."""

import logging
import os
import pickle
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from omegaconf.basecontainer import BaseContainer
from threadpoolctl import threadpool_info

import nas
from nas.api import described
from nas.evaluator.base import Evaluator
from tests.small_runs import SMALL

WORDS = tuple(word for word in SMALL if not word.startswith(("tracker", "paths")))
QUICK = (*WORDS, "algorithm.n_doe=6", "training.epochs=1", "training.warmup_epochs=0")


CACHES = {"beside": "a", "alone": "b", "other": "b"}
"""Caches of the searches below: two train the supernet, one finds it."""


def state_of_the_process() -> dict[str, object]:
    """What a library must not change in the process of its caller."""
    root = logging.getLogger()
    return {
        "working folder": Path.cwd(),
        "environment": dict(os.environ),
        "arguments": list(sys.argv),
        "torch's threads": torch.get_num_threads(),
        "threads of linear algebra": {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()},
        "torch's generator": torch.random.get_rng_state().tolist(),
        "numpy's generator": pickle.dumps(np.random.get_state()),
        "signals": {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)},
        "logging": (root.level, tuple(root.handlers), logging.getLogger("nas").level, logging.raiseExceptions),
        "Hydra": (GlobalHydra.instance().hydra, HydraConfig.instance().cfg),
        "resolvers": sorted(set(BaseContainer._resolvers) - {"now", "hydra", "python_version", "version_base"}),
        "threads": sorted(thread.name for thread in threading.enumerate()),
    }


def test_searches_equal_the_command_lines_and_leave_nothing_behind(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nas.search(*QUICK, folder="first", paths={"cache": "cache"}, progress=False)  # libraries start helpers of their own
    before = state_of_the_process()
    words = (*WORDS, "algorithm.iterations=1", "algorithm.n_iter=4")
    found: dict[str, nas.Run] = {}

    def searched(name: str, seed: int) -> None:
        found[name] = nas.search(*words, folder=name, seed=seed, paths={"cache": CACHES[name]}, progress=False)

    thread = threading.Thread(target=searched, args=("beside", 0))
    thread.start()
    searched("alone", 0)
    searched("other", 1)
    thread.join()
    assert state_of_the_process() == before
    expected = (runs / "alone/archive.jsonl").read_bytes()
    for name in ("alone", "beside"):
        assert (found[name].folder / "archive.jsonl").read_bytes() == expected
    assert (found["other"].folder / "archive.jsonl").read_bytes() != expected


def test_runs_are_tables(runs):
    run = nas.load_run(runs / "alone")
    assert run.state == "finished"
    assert repr(run) == f"Run('{runs / 'alone'}', finished, 24 architectures)"
    assert run.settings["algorithm"]["n_iter"] == 4
    archive = run.archive
    assert len(archive) == 24
    assert list(archive.columns[:4]) == ["step", "top1_error", "flops", "predicted"]
    np.testing.assert_allclose(archive["top1_error"], 100 - archive["top1"])
    assert archive["predicted"].isna().sum() == 20  # the initial design
    assert list(run.metrics["evaluations"]) == [20, 24]
    assert run.hypervolume == run.metrics["hypervolume"].iloc[-1]
    front = run.front
    assert front["top1_error"].is_monotonic_increasing
    assert {"test_top1", "architecture"} <= set(front.columns)
    assert [each.folder.name for each in nas.load_runs(runs)] == ["alone", "encas", "ensemble", "greedy"]
    assert [each.folder.name for each in nas.load_runs(f"{runs}/al*")] == ["alone"]
    network = run.model(len(front) - 1)
    assert network(torch.rand(2, 3, 8, 8)).shape == (2, 10)
    with pytest.raises(nas.UserError, match="'nothing' holds no run"):
        nas.load_run("nothing")
    with pytest.raises(nas.UserError, match=r"unknown part 'supernt'; did you mean 'supernet'\?"):
        nas.load_run(runs / "alone", supernt=None)
    with pytest.raises(nas.UserError, match=r"space is a int; it takes a nas\.SpaceSource"):
        nas.load_run(runs / "alone", space=3)


def test_a_folder_without_a_run_has_empty_tables(tmp_path):
    run = nas.Run(tmp_path)
    assert run.state == "new"
    assert len(run.archive) == len(run.front) == len(run.metrics) == 0
    assert np.isnan(run.hypervolume)
    with pytest.raises(nas.UserError, match="holds no run"):
        run.settings  # noqa: B018
    (tmp_path / "front.json").write_text("{")
    with pytest.raises(nas.UserError, match=r"front\.json is damaged"):
        run.front  # noqa: B018


class Guess(Evaluator):
    """An evaluator of the user's: smaller genomes have larger errors."""

    def __call__(self, architectures, split):
        return [{"top1": 10.0 + sum(each.genome), "top5": 90.0, "loss": 1.0} for each in architectures]


class SeenEvaluations(nas.Tracker):
    def __init__(self):
        self.steps = []

    def start(self, run, history):
        self.steps += [summary.step for summary in history]

    def progress(self, what, done, total, failed=0): ...

    def step(self, summary, picture):
        self.steps.append(summary.step)

    def finish(self, error):
        self.steps.append(error)


def test_objects_take_the_place_of_words(tmp_path):
    tracker = SeenEvaluations()
    called: list[tuple[int, int]] = []
    energy = nas.KnownCost("energy", lambda genomes: 1.0 + genomes[:, 0], unit="mJ")
    options = {
        "folder": tmp_path / "run",
        "paths": {"cache": tmp_path / "cache"},
        "evaluator": Guess(),
        "training": "none",
        "algorithm": nas.MSuNAS(n_doe=20, n_iter=4, iterations=2),
        "surrogate": nas.RBF(),
        "objectives": ["params", energy],
        "constraints": {"energy": {"max": 2.0}},
        "progress": False,
    }
    run = nas.search(
        "supernet=tiny_wide",
        **options,
        tracker=tracker,
        on_step=lambda run, s: called.append((len(run.archive), s.step)),
    )
    assert list(run.archive.columns[:5]) == ["step", "top1_error", "params", "energy", "predicted"]
    assert run.archive["energy"].max() <= 2.0
    assert tracker.steps == [0, 1, 2, None]
    assert called == [(20, 0), (24, 1), (28, 2)]
    again = nas.search("supernet=tiny_wide", **options)  # finished: nothing is done
    assert again.archive.equals(run.archive)
    with pytest.raises(nas.UserError, match=r"other settings: constraints\.energy\.max is 2\.0 there"):
        nas.search("supernet=tiny_wide", **{**options, "objectives": ["params"], "constraints": {}})


def test_own_data_and_supernets_are_found_again(tmp_path):
    experiment = described(QUICK, tmp_path / "x", None, {"paths": {"cache": tmp_path / "cache"}})
    data, supernet = experiment.dataset, experiment.supernet
    options = {"folder": tmp_path / "run", "paths": {"cache": tmp_path / "cache"}, "progress": False}
    run = nas.search(*QUICK, **options, dataset=data, supernet=supernet)
    by_words = nas.search(*QUICK, folder=tmp_path / "words", paths={"cache": tmp_path / "cache"}, progress=False)
    assert run.archive.drop(columns="weights", errors="ignore").equals(by_words.archive)
    assert run.settings["dataset"] == {"_target_": "nas.dataset.digits.Digits"}
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(run.model()(images), by_words.model()(images))
    opened = nas.load_run(run.folder, dataset=data, supernet=supernet)
    torch.testing.assert_close(opened.model()(images), by_words.model()(images))


def test_a_search_goes_on_where_a_callback_stopped_it(tmp_path):
    def stop(run, summary):
        if summary.step == 1:
            raise KeyboardInterrupt

    words = (*QUICK, "algorithm=random", "algorithm.n_doe=4", "algorithm.n_iter=2", "algorithm.iterations=3")
    places = {"paths": {"cache": tmp_path / "cache"}, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        nas.search(*words, folder=tmp_path / "run", on_step=stop, **places)
    run = nas.load_run(tmp_path / "run")
    assert run.state == "interrupted"
    assert len(run.archive) == 6
    nas.search(*words, folder=tmp_path / "run", **places)
    whole = nas.search(*words, folder=tmp_path / "whole", **places)
    assert (run.folder / "archive.jsonl").read_bytes() == (whole.folder / "archive.jsonl").read_bytes()


def test_progress_is_a_bar(tmp_path, capsys):
    nas.search(*QUICK, folder=tmp_path / "run", paths={"cache": tmp_path / "cache"})
    out, err = capsys.readouterr()
    assert out == ""
    assert "6/6" in err
    assert "hypervolume 0." in err


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (("supernet=tyni",), {}, "unknown choice for supernet: 'tyni'; did you mean 'tiny'?"),
        (("-m", "seed=0,1"), {}, "'-m' is a flag of the command line; give words, for example 'dataset=digits'"),
        (("seed=0,1",), {}, "seed=0,1 names several values"),
        (("task=report",), {}, "nas.search runs task=search, not task=report: use the command line"),
        ((), {"sede": 3}, "unknown keyword 'sede'; did you mean 'seed'?"),
        ((), {"seed": -1}, "seed=-1 is wrong"),
        ((), {"algorithm": nas.RBF()}, "algorithm=rbf is a choice of group surrogate: give surrogate=..."),
        ((), {"algorithm": nas.MSuNAS(ndoe=3)}, "unknown key 'algorithm.ndoe'; did you mean 'algorithm.n_doe'?"),
        ((), {"supernet": 3}, "supernet is a int; it takes a nas.Supernet, a name or nas.part(...)"),
        ((), {"objectives": []}, "sec_obj is empty"),
        ((), {"objectives": [3]}, "objectives holds 3: give names"),
        ((), {"seed": object()}, "is no value of a setting"),
    ],
)
def test_wrong_input_is_an_exception_of_one_line(tmp_path, words, options, message):
    with pytest.raises(nas.UserError) as caught:
        nas.search(*words, **{"folder": tmp_path / "run", "progress": False, **options})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_objects_need_a_folder():
    with pytest.raises(nas.UserError, match="needs a run folder"):
        nas.search(evaluator=Guess(), progress=False)


def test_searches_of_one_process_use_one_number_of_threads(tmp_path):
    def elsewhere(run, summary):
        with pytest.raises(nas.UserError, match="another search in this process uses threads=1: give threads=1"):
            nas.search(*QUICK, folder=tmp_path / "two", threads=2, progress=False)

    nas.search(*QUICK, folder=tmp_path / "one", on_step=elsewhere, paths={"cache": tmp_path / "cache"}, progress=False)


def test_hydra_of_the_program_around_stays(tmp_path):
    OmegaConf.register_new_resolver("run_group", lambda: "mine", replace=True)
    HydraConfig.instance().cfg = cfg = OmegaConf.create({"hydra": {"verbose": False}})
    try:
        described(QUICK, tmp_path, None, {})
        assert HydraConfig.instance().cfg is cfg
        assert OmegaConf.create({"key": "${run_group:}"}).key == "mine"
    finally:
        HydraConfig.instance().cfg = None
        OmegaConf.clear_resolver("run_group")


def test_public_names_are_there():
    assert {"search", "AskTell", "MSuNAS", "Supernet", "UserError"} <= set(nas.__all__)
    assert [name for name in nas.__all__ if not hasattr(nas, name)] == []
