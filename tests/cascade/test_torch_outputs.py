import numpy as np
import pytest
import torch

from nas.cascade import outputs as stored_torch
from nas.cascade.outputs import StoredOutputs, TorchOutputs
from tests.cascade.test_outputs import random_cascades
from tests.cascades import made_up, reference

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("elements", [2**26, 3000])
def test_same_results_as_on_the_cpu(device, elements, monkeypatch):
    monkeypatch.setattr(stored_torch, "_ELEMENTS", elements)
    for steps in (None, 4):
        probabilities, labels, _ = made_up(n=300, steps=steps)
        networks, thresholds = random_cascades(7, 80)
        thresholds[::7] = np.inf
        expected = StoredOutputs(probabilities, labels, 1, 100).cascades(networks, thresholds)
        found = TorchOutputs(probabilities, labels, device).cascades(networks, thresholds)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("device", DEVICES)
def test_equals_the_published_code(device):
    arrays, expected = reference("cascade")
    stored = TorchOutputs(arrays["outputs"], arrays["labels"].astype(np.int64), device)
    networks = np.array([row["nets"] for row in expected])
    errors, _ = stored.cascades(networks, np.array([row["thresholds"] for row in expected]))
    np.testing.assert_allclose(errors, [row["cascade_error"] for row in expected], rtol=0, atol=1e-9)
