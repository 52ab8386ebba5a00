from functools import partial

from nas.parts import build


def test_a_constructor_gets_what_it_names_and_nothing_else():
    def part(*, a, b, c=3):
        return a, b, c

    assert build(partial(part, a=1), {"b": 2, "d": 4}) == (1, 2, 3)
