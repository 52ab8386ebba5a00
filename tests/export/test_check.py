from functools import partial

import numpy as np
import pytest

from nas.cascade.module import Cascade
from nas.export.check import compare, latencies, original
from tests.export.networks import images, small_cascade, small_prepared
from tests.objective.test_timing import Clock

RUN = original(small_prepared())


def changed(n=1, **changes):
    """Return a run that returns other outputs for the n images behind the first one."""
    pixels = images(9)[1 : 1 + n, 0, 0, 0]

    def run(batch):
        found = {name: value.copy() for name, value in BASE(batch).items()}
        for row in np.flatnonzero(np.isin(batch[:, 0, 0, 0], pixels)):
            for name, change in changes.items():
                found[name][row] = change(found[name][row])
        return found

    return run


BASE = original(small_cascade(Cascade))


def test_a_run_equals_itself():
    parity = compare(RUN, RUN, images(9), 4)
    assert (parity.images, parity.largest_difference, parity.other_answers, parity.other_stages) == (9, 0, 0, 0)
    assert parity.largest_value == pytest.approx(np.abs(RUN(images(9))["logits"]).max())
    assert parity.broken(1e-9) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probabilities": lambda row: row + 0.01}, "outputs differ by up to 0.01, where the largest is"),
        ({"probabilities": lambda row: row * np.nan}, "outputs differ by up to nan"),
        ({"probabilities": lambda row: row[::-1]}, "outputs differ"),
        ({"n": 4, "stages": lambda row: (row + 1) % 3}, "4 of 9 images ask another number of networks"),
    ],
)
def test_what_differs_is_said(changes, message):
    assert message in str(compare(BASE, changed(**changes), images(9), 4).broken(1e-3))


def test_images_at_a_threshold_may_go_either_way():
    """Rounding decides it, and what is answered then has nothing to do with what the network answers."""
    other = {"stages": lambda row: (row + 1) % 3, "probabilities": lambda row: row[::-1]}
    parity = compare(BASE, changed(3, **other), images(9), 4)
    assert (parity.other_stages, parity.other_answers, parity.largest_difference) == (3, 0, 0)
    assert parity.broken(1e-3) is None
    assert parity.answers == "the same answers but for 3, which rounding explains"
    assert compare(BASE, BASE, images(9), 4).answers == "the same answers"


def test_other_answers_count_where_the_difference_is_small():
    def nearly(batch):
        values = np.zeros((len(batch), 4), dtype=np.float32)
        values[:, 1] = 1e-6
        return {"logits": values}

    def other(batch):
        return {"logits": nearly(batch)["logits"][:, ::-1]}

    assert compare(nearly, other, images(9), 4).broken(1e-3) == "9 of 9 images are answered otherwise"


def test_the_tolerance_is_a_share_of_the_largest_value():
    def run(batch):
        return {"logits": 1000 * RUN(batch)["logits"]}

    def shifted(batch):
        return {"logits": run(batch)["logits"] + 0.05}

    assert compare(run, shifted, images(9), 9).broken(1e-3) is None
    assert compare(run, shifted, images(9), 9).broken(1e-6) is not None


def test_latencies_are_medians_of_the_repeats_alone(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("nas.export.check.perf_counter_ns", clock)
    takes = {"a": iter([90, 80, 3, 70, 2]), "b": iter([50, 40, 9, 1, 8])}

    def run(name, batch):
        clock.now += next(takes[name])
        return {}

    assert latencies({name: partial(run, name) for name in takes}, images(2), warmup=2, repeats=3) == {"a": 3, "b": 8}
