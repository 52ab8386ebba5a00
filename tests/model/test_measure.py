import numpy as np
import pytest
import torch

from nas.errors import RunError
from nas.model.measure import Answers, Tally


def answers(logits: torch.Tensor, labels: torch.Tensor, **more: object) -> Answers:
    return Answers(logits.log_softmax(dim=1), logits.argmax(dim=1), labels, seconds=0.5, **more)


def test_metrics_are_what_their_definitions_say():
    generator = torch.Generator().manual_seed(0)
    logits, labels = 3 * torch.randn(500, 7, generator=generator), torch.randint(7, (500,), generator=generator)
    tally = Tally(7, 15)
    for part in (slice(0, 200), slice(200, 350), slice(350, 500)):
        tally.add(answers(logits[part], labels[part]))
    metrics = tally.metrics()
    probabilities = logits.double().softmax(dim=1).numpy()
    ranks = np.argsort(-probabilities, axis=1)
    right = ranks[:, 0] == labels.numpy()
    assert metrics["top1"] == pytest.approx(100 * right.mean())
    assert metrics["top5"] == pytest.approx(
        100 * np.mean([label in row[:5] for label, row in zip(labels, ranks, strict=True)])
    )
    assert metrics["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    confidence, error = probabilities.max(axis=1), 0.0
    for low, high in zip(np.linspace(0, 1, 16)[:-1], np.linspace(0, 1, 16)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics["calibration_error"] == pytest.approx(100 * error, rel=1e-5)
    assert tally.n_images == 500
    for row in tally.classes():
        its = labels.numpy() == row["class"]
        assert row["images"] == its.sum() and row["top1"] == pytest.approx(100 * right[its].mean())
        said = ranks[:, 0] == row["class"]
        assert row["answered"] == said.sum() and row["precision"] == pytest.approx(100 * right[said].mean())
        assert row["confidence"] == pytest.approx(100 * confidence[its].mean(), rel=1e-5)
    assert tally.confusion[labels[0], ranks[0, 0]] > 0
    assert tally.images_per_second() == pytest.approx(300 / 1.0)


def test_a_calibrated_and_an_overconfident_model():
    labels = torch.arange(1000) % 2
    sure, unsure = torch.full((1000, 2), -30.0), torch.zeros(1000, 2)
    sure[:, 0] = 30.0
    found = []
    for logits in (sure, unsure):
        tally = Tally(2, 15)
        tally.add(answers(logits, labels))
        found.append(tally.metrics()["calibration_error"])
    assert found == pytest.approx([50.0, 0.0], abs=1e-4)


def test_few_classes_and_classes_without_images():
    tally = Tally(3, 15)
    tally.add(answers(torch.eye(3)[:2], torch.tensor([0, 1])))
    assert tally.metrics()["top5"] == 100
    assert tally.classes()[2] == {
        "class": 2, "images": 0, "right": 0, "answered": 0, "top1": None, "precision": None, "confidence": None
    }  # fmt: skip


def test_cascades_say_what_they_cost_and_who_answers():
    tally = Tally(2, 15)
    stages, costs = torch.tensor([0, 0, 2, 0]), torch.tensor([1.0, 1.0, 7.0, 1.0])
    tally.add(answers(torch.randn(4, 2), torch.zeros(4, dtype=torch.int64), costs=costs, stages=stages))
    metrics = tally.metrics()
    assert metrics["flops"] == 2.5
    assert [metrics[f"answered_{i}"] for i in (1, 2, 3)] == [75.0, 0.0, 25.0]


def test_answers_that_are_no_numbers_are_refused():
    with pytest.raises(RunError, match="the model's answers are not finite"):
        Tally(2, 15).add(answers(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0])))
