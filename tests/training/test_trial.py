import time

import torch

from nas.training.trial import Trial, seconds_each, size_of


def test_the_first_time_does_not_count_and_one_of_the_others_is_enough():
    waits = [0.6, 1.2]

    def action() -> None:
        time.sleep(waits.pop(0))

    assert 1.1 < seconds_each(action, torch.device("cpu")) < 5
    assert waits == []


def test_quick_actions_are_repeated_a_limited_number_of_times():
    calls = []
    assert seconds_each(lambda: calls.append(1), torch.device("cpu")) < 0.1
    assert len(calls) == 51


def test_two_trainings_take_what_both_take_and_share_the_cache():
    one = Trial(first={"a": 2.0}, first_bytes={"a": 10}, step=1.0, warmup=3.0, run_bytes=5, processes=2)
    both = one + Trial(first={"a": 2.0, "b": 1.0}, first_bytes={"a": 10, "b": 4}, step=0.5, run_bytes=6)
    assert both == Trial({"a": 2.0, "b": 1.0}, {"a": 10, "b": 4}, 1.5, 3.0, 11, 2)


def test_the_size_of_tensors():
    assert size_of({"weight": torch.zeros(3, 4), "count": torch.zeros((), dtype=torch.int64), "step": 7}) == 56
