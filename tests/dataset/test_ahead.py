import threading

import pytest

from nas.dataset.ahead import ahead


def test_items_come_in_order():
    assert list(ahead(iter(range(5)))) == list(range(5))
    assert list(ahead(iter([]))) == []


def test_the_next_item_is_made_while_this_one_is_used():
    made = [threading.Event() for _ in range(3)]

    def items():
        for number, event in enumerate(made):
            event.set()
            yield number

    found = ahead(items())
    assert next(found) == 0
    assert made[1].wait(10)
    assert not made[2].wait(0.1)
    assert list(found) == [1, 2]


def test_errors_reach_the_user_in_their_place():
    def items():
        yield 1
        raise ValueError("broken")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)


def test_it_may_be_left_early():
    made = []
    found = ahead(made.append(number) or number for number in range(100))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    found.close()
    assert len(made) <= 4
