import pytest

from nas.executor.serial import Serial
from nas.types import Architecture

ARCHITECTURES = [Architecture((i,), {"i": i}) for i in range(3)]
SERIAL = Serial(device="cpu", workers_per_gpu=1)


@pytest.mark.parametrize("groups", [[[0], [1], [2]], [[0, 1], [2]], [[0, 1, 2]]], ids=str)
def test_an_exception_becomes_a_traceback_of_the_one_to_blame(groups):
    calls = []

    def evaluate(architectures):
        calls.append(len(architectures))
        if (1,) in [architecture.genome for architecture in architectures]:
            raise ZeroDivisionError("bad one")
        return [{"top1": float(architecture.genome[0])} for architecture in architectures]

    found = SERIAL.map(evaluate, [[ARCHITECTURES[i] for i in group] for group in groups])
    results = {i: e for number, evaluations in found for i, e in zip(groups[number], evaluations, strict=True)}
    assert [results[i].ok for i in range(3)] == [True, False, True]
    assert "ZeroDivisionError: bad one" in results[1].error
    assert results[1].metrics == {}
    assert results[2].metrics == {"top1": 2.0}
    assert len(calls) == len(groups) + sum(len(group) for group in groups if 1 in group and len(group) > 1)


def test_an_interrupt_is_passed_on():
    def evaluate(architectures):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(SERIAL.map(evaluate, [[architecture] for architecture in ARCHITECTURES]))


def test_the_cpu_is_not_held():
    with SERIAL.device(), Serial(device="cpu", workers_per_gpu=1).device():
        pass
