import pytest

from nas.executor.serial import Serial
from nas.types import Architecture

ARCHITECTURES = [Architecture((i,), {"i": i}) for i in range(3)]


def test_an_exception_becomes_a_traceback():
    def evaluate(architecture):
        if architecture.genome == (1,):
            raise ZeroDivisionError("bad one")
        return {"top1": 1.0}

    results = dict(Serial().map(evaluate, ARCHITECTURES))
    assert [results[i].ok for i in range(3)] == [True, False, True]
    assert "ZeroDivisionError: bad one" in results[1].error
    assert results[1].metrics == {}


def test_an_interrupt_is_passed_on():
    def evaluate(architecture):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(Serial().map(evaluate, ARCHITECTURES))
