import json

import numpy as np
import pytest

from nas.run.box import Box, of_space, recorded, stated
from nas.types import Measure

MEASURES = (Measure("top1_error", "%"), Measure("flops", "M"))


def test_errors_reach_to_that_of_guessing_and_costs_to_the_extremes():
    box = of_space(10, [(0.5, 2.0), (4.0, 4.0)])
    assert box == Box((90.0, 2.02, 4.04), (0.0, 0.5, 4.0), "space")
    assert box.comparable
    assert (
        box.words((*MEASURES, Measure("params", "M")))
        == "top-1 error 0 to 90 %, FLOPs 0.5 to 2.02 M, params 4 to 4.04 M"
    )


def test_a_box_has_room_whatever_is_searched():
    for box in (of_space(1, [(1.0, 1.0)]), of_space(2, [(0.0, 0.0)])):
        reference, ideal = box.corners()
        assert (reference > ideal).all()
        assert box.reference[0] == 50.0


@pytest.mark.parametrize("unknown", [None, (float("nan"), float("nan"))])
def test_without_limits_of_an_objective_there_is_none(unknown):
    assert of_space(10, [(1.0, 2.0), unknown]) is None


def test_what_settings_state_is_taken_as_it_is():
    assert stated(None, None) is None
    assert stated((40.0, 4000.0), None) == Box((40.0, 4000.0), (0.0, 0.0), "settings")
    assert stated((40.0, 4000.0), (1.0, 2.0)) == Box((40.0, 4000.0), (1.0, 2.0), "settings")


def test_it_is_recorded_and_read_again():
    box = Box((90.0, 2.02), (0.0, 0.5), "space")
    assert recorded(json.loads(json.dumps(box.record()))) == box
    assert recorded(None) is recorded({}) is recorded({"reference_point": [1.0], "ideal_point": [0.0]}) is None


def test_a_runs_own_box_says_that_it_cannot_be_compared():
    own = Box((13.7, 0.4), (0.0, 0.0), "initial design")
    assert not own.comparable
    assert own.words(MEASURES).endswith("(this run's own, not comparable: set reference_point)")
    np.testing.assert_array_equal(own.corners()[0], [13.7, 0.4])
