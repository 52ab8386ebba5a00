import pytest

from nas.evaluator.base import Evaluator
from nas.executor.base import Work
from nas.executor.serial import Serial
from nas.types import Architecture

ARCHITECTURES = [Architecture((i,), {"i": i}) for i in range(3)]
SERIAL = Serial(device="cpu", workers_per_gpu=1)


class Grouped(Evaluator):
    def __init__(self, groups, error):
        self.grouped = groups
        self.error = error
        self.calls = []

    def groups(self, architectures):
        return self.grouped

    def __call__(self, architectures, split):
        self.calls.append(len(architectures))
        if self.error and (1,) in [architecture.genome for architecture in architectures]:
            raise self.error
        return [{"top1": float(architecture.genome[0])} for architecture in architectures]


@pytest.mark.parametrize("groups", [[[0], [1], [2]], [[0, 1], [2]], [[2, 1, 0]]], ids=str)
def test_an_exception_becomes_a_traceback_of_the_one_to_blame(groups):
    evaluator = Grouped(groups, ZeroDivisionError("bad one"))
    results = dict(SERIAL.map(Work(evaluator, "validation", None), ARCHITECTURES))
    assert [results[i].ok for i in range(3)] == [True, False, True]
    assert "ZeroDivisionError: bad one" in results[1].error
    assert results[1].metrics == {}
    assert results[2].metrics == {"top1": 2.0}
    assert len(evaluator.calls) == len(groups) + sum(len(group) for group in groups if 1 in group and len(group) > 1)


def test_an_interrupt_is_passed_on():
    with pytest.raises(KeyboardInterrupt):
        list(SERIAL.map(Work(Grouped([[0], [1]], KeyboardInterrupt()), "test", None), ARCHITECTURES[:2]))


def test_the_cpu_is_not_held():
    with SERIAL.device(), Serial(device="cpu", workers_per_gpu=1).device():
        pass
