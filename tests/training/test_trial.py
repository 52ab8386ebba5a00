import pytest
import torch

from nas.training.trial import Trial, seconds_each, size_of


@pytest.mark.parametrize(
    ("takes", "each", "counted"),
    [
        ([0.6, 1.2, 9.0], 1.2, 1),  # the first time does not count, and one of the others is enough
        ([5.0, 0.5, 0.3, 0.7, 9.0], 0.5, 3),  # until a second is over
        ([5.0] + [1 / 1024] * 99, 1 / 1024, 50),  # quick ones are repeated a limited number of times
    ],
)
def test_an_action_is_timed_for_about_a_second(monkeypatch, takes, each, counted):
    now, calls = [0.0], []

    def action() -> None:
        now[0] += takes[len(calls)]
        calls.append(1)

    monkeypatch.setattr("nas.training.trial.perf_counter", lambda: now[0])
    assert seconds_each(action, torch.device("cpu")) == pytest.approx(each)
    assert len(calls) == 1 + counted


def test_two_trainings_take_what_both_take_and_share_the_cache():
    one = Trial(first={"a": 2.0}, first_bytes={"a": 10}, step=1.0, warmup=3.0, run_bytes=5, processes=2)
    both = one + Trial(first={"a": 2.0, "b": 1.0}, first_bytes={"a": 10, "b": 4}, step=0.5, run_bytes=6)
    assert both == Trial({"a": 2.0, "b": 1.0}, {"a": 10, "b": 4}, 1.5, 3.0, 11, 2)


def test_the_size_of_tensors():
    assert size_of({"weight": torch.zeros(3, 4), "count": torch.zeros((), dtype=torch.int64), "step": 7}) == 56
