import numpy as np
import pytest
import torch
from torch import nn

from nas.cascade.module import Cascade, GapCascade
from nas.cascade.outputs import StoredOutputs


@pytest.fixture
def images():
    return torch.randn(300, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def networks():
    generator = torch.Generator().manual_seed(1)
    found = [nn.Sequential(nn.Flatten(), nn.Linear(48, 5)).eval() for _ in range(3)]
    for network in found:
        for parameter in network.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / 4
    return found


@pytest.mark.parametrize("thresholds", [(0.5, 0.7), (0.0, 0.3), (1.0, 1.0), (float("inf"), float("inf"))])
def test_a_routed_batch_is_what_stored_outputs_say(images, networks, thresholds):
    with torch.no_grad():
        outputs = torch.stack([network(images).softmax(dim=1) for network in networks])
    labels = outputs.mean(dim=0).argmax(dim=1).numpy()
    routed = Cascade(networks, thresholds, (10, 20, 40))(images)

    half = outputs.numpy().astype(np.float16)
    stored = StoredOutputs(half, labels, 1, 100)
    errors, reached = stored.cascades(np.array([[1, 2, 3]]), np.array([thresholds]))
    asked = [int((routed.stages >= stage).sum()) for stage in range(3)]
    np.testing.assert_allclose(asked, reached[0], atol=1)  # outputs are stored in half precision
    wrong = float((routed.predictions.numpy() != labels).mean())
    assert 100 * wrong == pytest.approx(errors[0], abs=0.7)
    assert routed.costs.tolist() == [[10, 30, 70][stage] for stage in routed.stages]


@pytest.mark.parametrize("gaps", [(0.8, 0.3), (-1.0, 0.3), (float("inf"), 0.5)])
def test_gaps_decide_who_answers(images, networks, gaps):
    with torch.no_grad():
        logits = torch.stack([network(images) for network in networks])
    routed = GapCascade(networks, gaps, (10, 20, 40))(images)
    highest = logits.topk(2, dim=2).values
    sure = highest[:2, :, 0] - highest[:2, :, 1] > torch.tensor(gaps)[:, None]
    stages = torch.where(sure[0], 0, torch.where(sure[1], 1, 2))
    assert routed.stages.tolist() == stages.tolist()
    answers = logits[stages, torch.arange(300)]
    torch.testing.assert_close(routed.probabilities, answers.softmax(dim=1))
    assert routed.predictions.tolist() == answers.argmax(dim=1).tolist()
    assert routed.costs.tolist() == [[10, 30, 70][stage] for stage in stages]


def test_each_network_sees_only_the_images_that_reach_it(images, networks):
    seen = []
    networks[1].register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    routed = Cascade(networks, (0.5, 0.7), (1, 1, 1))(images)
    assert seen == [int((routed.stages >= 1).sum())] and 0 < seen[0] < 300
    alone = Cascade(networks[:1], (), (1,))(images)
    first = routed.stages == 0
    torch.testing.assert_close(routed.probabilities[first], alone.probabilities[first])


def test_lengths_must_fit(networks):
    with pytest.raises(ValueError, match="a threshold less"):
        Cascade(networks, (0.5,), (1, 1, 1))
