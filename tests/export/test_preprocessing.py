import numpy as np
import pytest
import torch

from nas.dataset.batches import centre
from nas.export.preprocessing import Preprocessed, fraction_of, share_of, shorter
from tests.export.networks import CROPS, SIDES, images, small_prepared


def test_the_nearest_integer_and_the_even_one_of_two():
    for numerator, denominator in ((1, 2), (7, 8), (9, 10), (3, 4), (1, 3)):
        for side in range(200):
            assert share_of(side, numerator, denominator) == round(numerator * side / denominator)


@pytest.mark.parametrize("share", [1.0, 0.95, 0.9, 0.875, 0.85, 0.8, 0.75, 0.6, 0.5])
def test_centres_are_the_data_sets(share):
    fraction = fraction_of(share)
    for side in range(2, 2049):
        part = centre(side, share)
        assert share_of(side, *fraction) == part.stop - part.start


def test_the_shorter_side():
    assert [shorter(3, 5), shorter(5, 3), shorter(4, 4)] == [3, 3, 4]


@pytest.mark.parametrize("crop", CROPS, ids=["whole", "centre", "timm"])
def test_it_changes_images_as_the_original(crop):
    prepared = small_prepared(crop=crop)
    changed = Preprocessed(prepared, prepared.network)
    for sides in (*SIDES, (6, 9), (31, 33)):
        batch = torch.from_numpy(images(3, *sides))
        with torch.no_grad():
            np.testing.assert_array_equal(changed(batch).numpy(), prepared(batch).numpy())
