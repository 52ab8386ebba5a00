import numpy as np
import pytest
import torch

from nas.cascade.module import OUTPUTS, Cascade, GapCascade, ScriptedStages, confidences, first_values, later_values
from nas.export.check import original
from tests.export.networks import images, small_cascade

LOGITS = torch.tensor([[0.0, 2.0, 1.0], [3.0, 3.0, 0.0]])


def test_values_and_confidences():
    probabilities = LOGITS.softmax(dim=1)
    torch.testing.assert_close(first_values(LOGITS, True), probabilities)
    torch.testing.assert_close(first_values(LOGITS, False), LOGITS)
    third = later_values(probabilities, LOGITS.flip(1), 2, True)
    torch.testing.assert_close(third, (2 * probabilities + probabilities.flip(1)) / 3)
    torch.testing.assert_close(later_values(probabilities, LOGITS, 2, False), LOGITS)
    torch.testing.assert_close(confidences(probabilities, True), probabilities.amax(dim=1))
    assert confidences(LOGITS, False).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("kind", [Cascade, GapCascade])
def test_the_compiled_stages_are_the_cascade_before_they_are_compiled_too(kind):
    cascade, batch = small_cascade(kind), images(40)
    expected = original(cascade)(batch)
    with torch.no_grad():
        found = ScriptedStages(cascade, list(cascade.networks))(torch.from_numpy(batch))
    assert np.bincount(expected["stages"]).tolist() == [20, 10, 10]
    for name, value in zip(OUTPUTS, found, strict=True):
        np.testing.assert_array_equal(value.numpy(), expected[name])
