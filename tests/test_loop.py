import hashlib
import json
import shutil
from contextlib import contextmanager

import numpy as np
import pytest

import nas.files
import nas.plotting.run
import nas.run.results
from nas.algorithm.msunas import MSuNAS
from nas.errors import RunError
from nas.evaluator.subnet import SubnetEvaluator
from nas.executor.base import Executor
from nas.executor.serial import Serial
from nas.loop import Search
from nas.objective.base import TOP1_ERROR
from nas.objective.cost import TableCost
from nas.optimizer.ehvi import EHVISearch
from nas.pareto import hypervolume
from nas.run.archive import Archive
from nas.run.box import Box
from nas.run.folder import RunFolder
from nas.selector.ehvi import EHVI
from nas.surrogate.additive_gp import AdditiveGP
from nas.tracker.together import Together
from nas.training.supernet import SupernetTraining
from tests.small import Bars, tiny
from tests.tabular import Tabular

SMALL = {"n_doe": 13, "n_iter": 2, "iterations": 2}


class Killed(BaseException):
    """Like kill -9: nothing catches it."""


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(nas.plotting.run, "front_figure", lambda *_, **__: None)
    monkeypatch.setattr(nas.plotting.run, "hypervolume_figure", lambda *_, **__: None)


def contents(folder):
    """All files that do not hold times."""
    skipped = {"metrics.csv", "status.json", "times.jsonl"}
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in skipped
    }


def test_leaves_the_files_of_the_original_tool(make_search, tmp_path, space):
    search, archive = make_search(tmp_path, **SMALL)
    search.run(retry_failed=False)
    stats = json.loads((tmp_path / "iter_2.stats").read_text())
    assert stats.keys() == {"archive", "candidates", "hv", "surrogate"}
    assert stats["surrogate"].keys() == {"model", "name", "winner", "rmse", "rho", "tau"}
    assert len(stats["archive"]) == 17
    assert stats["candidates"] == stats["archive"][-2:]
    config, error, flops = stats["archive"][0]
    assert space.encode(config).tolist() == space.smallest.tolist()
    assert [error, flops] == list(archive.history[0].objectives)
    assert json.loads((tmp_path / "iter_0" / "net_0.subnet").read_text()) == config
    net = json.loads((tmp_path / "iter_0" / "net_0.stats").read_text())
    assert net.keys() >= {"params", "flops", "gpu", "cpu", "loss", "top1", "top5"}
    assert 100 - net["top1"] == error


def test_the_accelerator_is_never_held_while_an_executor_evaluates(make_search, tmp_path):
    class Watched(Executor):
        elsewhere = False
        held, times, closed = False, 0, False

        @contextmanager
        def device(self):
            assert not self.held
            self.held, self.times = True, self.times + 1
            yield
            self.held = False

        def map(self, work, architectures):
            assert not self.held
            yield from Serial(device="cpu", workers_per_gpu=None).map(work, architectures)

        def close(self):
            self.closed = True

    search, _ = make_search(tmp_path, **SMALL)
    search._executor = watched = Watched()
    search.run(retry_failed=True)
    assert watched.times == 1 + 3 + 1  # for the first weights, those of each step, and the last ones
    assert watched.closed


def test_front_json_says_what_the_numbers_are(make_search, tmp_path):
    search, archive = make_search(tmp_path, **SMALL)
    search.run(retry_failed=False)
    front = json.loads((tmp_path / "front.json").read_text())
    assert front["finished"] is True
    assert [o["name"] for o in front["objectives"]] == ["top1_error", "flops"]
    assert front["reference_point"] == archive.reference_point().tolist()
    assert 0 < front["hypervolume"] < 1
    assert [tuple(m["objectives"].values()) for m in front["front"]] == [e.objectives for e in archive.front()]
    for member in front["front"]:
        assert member["test"]["top1"] == member["metrics"]["top1"] - 1


def test_a_failure_is_kept_beside_the_run_and_never_a_number(make_search, tmp_path, space):
    bad = tuple(space.largest.tolist())
    search, archive = make_search(tmp_path, evaluator=Tabular(space, lambda a: a.genome == bad), **SMALL)
    search.run(retry_failed=False)
    assert [e.architecture.genome for e in archive.entries() if e.objectives is None] == [bad]
    assert "FloatingPointError: no such luck" in (tmp_path / "failed" / "it_0_net_1.traceback").read_text()
    assert json.loads((tmp_path / "failed" / "it_0_net_1").read_text()) == space.decode(space.largest).config
    assert not (tmp_path / "iter_0" / "net_1.stats").exists()
    assert len(json.loads((tmp_path / "iter_2.stats").read_text())["archive"]) == 16

    search, archive = make_search(tmp_path, **SMALL)
    search.run(retry_failed=True)
    assert all(entry.objectives is not None for entry in archive.entries())
    assert len(archive.history) == 18
    assert list((tmp_path / "failed").iterdir()) == []
    assert len(json.loads((tmp_path / "iter_2.stats").read_text())["archive"]) == 17


def test_a_step_without_any_result_ends_the_run(make_search, tmp_path, space):
    search, archive = make_search(tmp_path, evaluator=Tabular(space, lambda _: True), **SMALL)
    with pytest.raises(RunError, match="all 13 evaluations of step 0 failed, the first with: FloatingPointError"):
        search.run(retry_failed=False)
    assert archive.next_step == 0


def test_a_killed_run_evaluates_nothing_twice(make_search, tmp_path, space):
    evaluator = Tabular(space)
    whole, _ = make_search(tmp_path / "whole", evaluator=evaluator, **SMALL)
    whole.run(retry_failed=False)
    everything = evaluator.calls
    evaluator.calls = 0

    def dies_at_call_15(_):
        if evaluator.calls == 15:
            raise Killed

    evaluator.fails = dies_at_call_15
    with pytest.raises(Killed):
        make_search(tmp_path / "killed", evaluator=evaluator, **SMALL)[0].run(retry_failed=False)
    evaluator.fails = lambda _: False
    make_search(tmp_path / "killed", evaluator=evaluator, **SMALL)[0].run(retry_failed=False)
    assert evaluator.calls == everything + 1


@pytest.mark.slow
def test_killed_at_every_boundary_it_ends_the_same(make_search, tmp_path, space, monkeypatch, no_pictures):
    """Boundaries: before and after every file, every archived step and every evaluation."""
    ticks, deadly = 0, -1

    def tick():
        nonlocal ticks
        ticks += 1
        if ticks == deadly:
            raise Killed

    def between_ticks(function):
        def wrapped(*args, **kwargs):
            tick()
            result = function(*args, **kwargs)
            tick()
            return result

        return wrapped

    monkeypatch.setattr(nas.files, "write_atomic", between_ticks(nas.files.write_atomic))
    monkeypatch.setattr(Archive, "extend", between_ticks(Archive.extend))
    monkeypatch.setattr(Tabular, "__call__", between_ticks(Tabular.__call__))

    make_search(tmp_path / "whole", **SMALL)[0].run(retry_failed=False)
    expected, total = contents(tmp_path / "whole"), ticks
    assert total > 100
    for boundary in range(1, total + 1, 1 if total < 400 else 2):
        folder = tmp_path / str(boundary)
        ticks, deadly = 0, boundary
        with pytest.raises(Killed):
            make_search(folder, **SMALL)[0].run(retry_failed=False)
        deadly = -1
        make_search(folder, **SMALL)[0].run(retry_failed=False)
        assert contents(folder) == expected, f"killed at boundary {boundary}"


def test_a_step_torn_in_the_archive_is_done_again(make_search, tmp_path):
    search, archive = make_search(tmp_path / "whole", **SMALL)
    search.run(retry_failed=False)
    data = archive.path.read_bytes()
    for share in (0.3, 0.7, 0.95):
        folder = tmp_path / str(share)
        folder.mkdir()
        (folder / "archive.jsonl").write_bytes(data[: int(share * len(data))])
        make_search(folder, **SMALL)[0].run(retry_failed=False)
        assert (folder / "archive.jsonl").read_bytes() == data


def test_the_summary_of_a_past_step_does_not_change(make_search, tmp_path):
    search, archive = make_search(tmp_path, **SMALL)
    search.run(retry_failed=False)
    results = nas.run.results.Results(archive, tmp_path, None)
    values = [results.summary(step).hypervolume for step in range(3)]
    assert values == sorted(values)
    assert json.loads((tmp_path / "iter_1.stats").read_text())["hv"] == values[1]
    assert archive.measures[0] == TOP1_ERROR


def test_a_damaged_result_is_evaluated_again(make_search, tmp_path, space, caplog):
    make_search(tmp_path / "whole", **SMALL)[0].run(retry_failed=False)
    shutil.copytree(tmp_path / "whole" / "iter_0", tmp_path / "killed" / "iter_0")
    damaged, torn = (tmp_path / "killed" / "iter_0" / f"net_{i}.stats" for i in (3, 4))
    damaged.write_text(damaged.read_text().replace('top1": 7', 'top1": 9'))
    torn.write_text(torn.read_text()[:30])
    evaluator = Tabular(space)
    make_search(tmp_path / "killed", evaluator=evaluator, **{**SMALL, "iterations": 0})[0].run(retry_failed=False)
    assert "net_4.stats is damaged" in caplog.text
    assert contents(tmp_path / "killed" / "iter_0") == contents(tmp_path / "whole" / "iter_0")


def test_a_number_that_is_none_is_a_failure(make_search, tmp_path, space, monkeypatch):
    real = Tabular.metrics

    def with_nan(self, architecture, split):
        bad = architecture.genome == tuple(space.largest.tolist())
        return dict(real(self, architecture, split)) | ({"loss": float("nan")} if bad else {})

    monkeypatch.setattr(Tabular, "metrics", with_nan)
    search, archive = make_search(tmp_path, **SMALL)
    search.run(retry_failed=False)
    assert sum(entry.objectives is None for entry in archive.entries()) == 1
    assert "not finite: {'loss': nan}" in (tmp_path / "failed" / "it_0_net_1.traceback").read_text()


def test_one_step_without_results_is_passed_over_two_in_a_row_are_not(make_search, tmp_path, space):
    evaluator = Tabular(space)
    evaluator.fails = lambda _: evaluator.calls in (14, 15)
    search, archive = make_search(tmp_path / "one", evaluator=evaluator, **SMALL)
    search.run(retry_failed=False)
    assert [e.step for e in archive.entries() if e.objectives is None] == [1, 1]

    evaluator.calls, evaluator.fails = 0, lambda _: evaluator.calls > 13
    search, archive = make_search(tmp_path / "two", evaluator=evaluator, **SMALL)
    with pytest.raises(RunError, match="all 2 evaluations of step 2 failed"):
        search.run(retry_failed=False)


def test_a_retry_that_fails_again_adds_nothing(make_search, tmp_path, space):
    bad = tuple(space.largest.tolist())
    for retry in (False, True, True):
        search, archive = make_search(tmp_path, evaluator=Tabular(space, lambda a: a.genome == bad), **SMALL)
        search.run(retry_failed=retry)
    assert len(archive.history) == 17
    assert (tmp_path / "failed" / "it_0_net_1.traceback").exists()


def test_hypervolumes_are_shares_of_the_given_box(make_search, tmp_path):
    """Not of what the run's own initial design says, which depends on its seed."""
    search, archive = make_search(tmp_path, **SMALL)
    box = Box((50.0, 2.0), (10.0, 0.0), "space")
    search._results = results = nas.run.results.Results(archive, tmp_path, box, {"validation": 450, "test": 400})
    search.run(retry_failed=False)
    front = json.loads((tmp_path / "front.json").read_text())
    assert (front["reference_point"], front["ideal_point"], front["box_rule"]) == ([50.0, 2.0], [10.0, 0.0], "space")
    points = np.array([entry.objectives for entry in archive.front()])
    assert front["hypervolume"] == hypervolume(points, np.array([50.0, 2.0]), np.array([10.0, 0.0]))
    assert front["images"] == {"validation": 450, "test": 400}
    assert json.loads((tmp_path / "status.json").read_text())["box"] == box.words(archive.measures)
    assert results.summary(1).box == box


def test_the_end_says_what_is_known_on_which_images(make_search, tmp_path):
    search, archive = make_search(tmp_path, **SMALL)
    images = {"train": 897, "validation": 1450, "test": 400}
    search._results = results = nas.run.results.Results(archive, tmp_path, None, images)
    told = {}

    class Listening(Together):
        def outcome(self, values):
            told.update(values)

    search._tracker = Listening([])
    search.run(retry_failed=False)
    lowest = archive.front()[0].objectives[0]
    lines = results.conclusion("nothing is left").splitlines()
    assert lines[1] == "  nothing is left"
    assert lines[2] == (
        f"  most accurate: top-1 error {lowest:.2f} % on 1,450 validation images, {lowest + 1:.2f} % on 400 test images"
    )
    assert told == results.outcome()
    assert told["test/top1_error"] == pytest.approx(told["validation/top1_error"] + 1)
    assert told["test/images"] == 400
    assert 0 < told["test/hypervolume"] < told["validation/hypervolume"] == results.summary(2).hypervolume


def test_weights_that_moved_since_are_said_too(make_search, tmp_path):
    search, archive = make_search(tmp_path, **SMALL)
    search.run(retry_failed=False)
    best = archive.front()[0].architecture.genome
    results = nas.run.results.Results(archive, tmp_path, None)
    results.measured({best: {"top1": 70.0}}, {best: {"top1": 60.0}})
    assert (
        "% on the validation split (30.00 % with the final weights), 40.00 % on the test split" in results.conclusion()
    )


def test_a_search_is_put_together_in_python(tmp_path):
    dataset, supernet, folder = Bars(), tiny(), tmp_path / "run"
    space, objectives = supernet.space, [TableCost(cost="flops", tables=supernet.costs())]
    parts = {"surrogate": AdditiveGP(space=space), "optimizer": EHVISearch(generations=2), "selector": EHVI()}
    places = {"device": "cpu", "cache": tmp_path / "cache", "folder": folder, "kept": {}}
    search = Search(
        folder=RunFolder(folder),
        space=space,
        objectives=objectives,
        algorithm=MSuNAS(space=space, objectives=objectives, **parts, n_doe=20, n_iter=2, iterations=1),
        training=SupernetTraining(supernet=supernet, dataset=dataset, **places, epochs=2, warmup_epochs=1),
        evaluator=SubnetEvaluator(supernet=supernet, dataset=dataset, device="cpu", objectives=objectives),
    )
    search.run()
    front = json.loads((folder / "front.json").read_text())["front"]
    assert all({"metrics", "test"} <= member.keys() for member in front)
