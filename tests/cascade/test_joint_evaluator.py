import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from nas.cascade.joint_evaluator import JointEvaluator
from nas.errors import UserError
from nas.evaluator.subnet import SubnetEvaluator
from nas.objective.base import Measurement
from nas.supernet.joint import JointSupernet, of_supernet
from nas.types import Architecture, Measure
from tests.evaluator import test_subnet as single
from tests.products import evaluator, sampled, several
from tests.small import Bars, tiny


def decoded(supernet: JointSupernet, genomes: np.ndarray) -> list[Architecture]:
    return [supernet.space.decode(genome) for genome in genomes]


def by_definition(supernet: JointSupernet, architecture: Architecture, split: str) -> dict[str, float]:
    """Ask one network after the other, image by image."""
    labels = Bars().split(split).labels
    outputs, found = {}, {}
    for name, each in supernet.members.items():
        config = architecture.config[name]
        own = each.space.decode(
            each.space.encode({k: v for k, v in config.items() if k not in ("position", "threshold")})
        )
        logits = single.evaluator(each).logits(own, split).numpy()
        outputs[name] = softmax(logits.astype(np.float64), axis=1).astype(np.float16).astype(np.float32)
        found[f"{name}_error"] = 100 * float((logits.argmax(axis=1) != labels).mean())
        found[f"{name}_flops"] = int(each.costs()["macs"](np.array([own.genome]))[0]) / 1e6
        found[f"{name}_answered"] = 0.0
    order = sorted(supernet.members, key=lambda name: -architecture.config[name]["position"])
    wrong, flops = 0, 0.0
    for image, label in enumerate(labels):
        mean = np.zeros(4, dtype=np.float32)
        for asked, name in enumerate(order, 1):
            flops += found[f"{name}_flops"]
            mean = mean * np.float32((asked - 1) / asked) + outputs[name][image] * np.float32(1 / asked)
            if asked == len(order) or mean.max() > np.float32(architecture.config[name]["threshold"]):
                wrong += mean.argmax() != label
                found[f"{name}_answered"] += 100 / len(labels)
                break
    return found | {"top1": 100 - 100 * wrong / len(labels), "flops": flops / len(labels)}


@pytest.fixture(scope="module")
def supernet() -> JointSupernet:
    found = several()
    for each in found.members.values():  # sharper answers: some images go on, some do not
        with torch.no_grad():
            each.module.classifier.weight.mul_(300)
    return found


@pytest.mark.parametrize("split", ["validation", "test"])
def test_cascades_are_what_they_are_by_definition(supernet: JointSupernet, split: str) -> None:
    architectures = decoded(supernet, sampled(supernet, 12))
    answered = []
    for architecture, metrics in zip(architectures, evaluator(supernet)(architectures, split), strict=True):
        expected = by_definition(supernet, architecture, split)
        assert set(metrics) == set(expected) | {"params"}
        for name, value in expected.items():
            assert metrics[name] == pytest.approx(value, abs=1e-9), name
        answered.append([metrics[f"{name}_answered"] for name in supernet.members])
    np.testing.assert_allclose(np.sum(answered, axis=1), 100)
    assert (np.count_nonzero(answered, axis=1) > 1).any()  # cascades, not single networks


def test_a_networks_error_is_counted_from_its_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits that half precision cannot tell apart: its probabilities are equal, and the first class would win."""
    supernet = several("thin", "wide")
    labels = torch.from_numpy(np.array(Bars().split("validation").labels))
    nearly = torch.zeros(len(labels), 4).scatter(1, labels[:, None], 1e-5)
    assert len(set(softmax(nearly[0].numpy()).astype(np.float16).tolist())) == 1
    monkeypatch.setattr(SubnetEvaluator, "all_logits", lambda _, networks, split: [nearly] * len(networks))
    metrics = evaluator(supernet)(decoded(supernet, sampled(supernet, 1)), "validation")[0]
    assert metrics["thin_error"] == metrics["wide_error"] == 0


def test_a_result_does_not_depend_on_what_is_evaluated_beside_it(supernet: JointSupernet) -> None:
    architectures = decoded(supernet, sampled(supernet, 6))
    together = evaluator(supernet)(architectures, "validation")
    alone = [metrics for a in reversed(architectures) for metrics in evaluator(supernet)([a], "validation")]
    assert list(reversed(alone)) == list(together)


def count_runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, str]]:
    runs: list[tuple[str, Any, str]] = []
    real = SubnetEvaluator.all_logits

    def counted(self: SubnetEvaluator, architectures: Sequence[Architecture], split: str) -> Any:
        runs.extend((a.config["supernet"], a.genome, split) for a in architectures)
        assert len({a.config["r"] for a in architectures}) == 1
        return real(self, architectures, split)

    monkeypatch.setattr(SubnetEvaluator, "all_logits", counted)
    return runs


def shared(supernet: JointSupernet) -> list[Architecture]:
    """Cascades that differ in nothing but the first supernet's network, or in thresholds alone."""
    genomes = np.repeat(sampled(supernet, 2), 4, axis=0)
    genomes[:4, :-1] = genomes[0, :-1]
    genomes[2, 0] = 1 - genomes[2, 0]
    genomes[3, supernet.space._thresholds] = (genomes[3, supernet.space._thresholds] + 3) % 10
    return decoded(supernet, supernet.space.canonical(genomes))


def test_no_network_runs_twice_for_a_batch(supernet: JointSupernet, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = count_runs(monkeypatch)
    subject, architectures = evaluator(supernet), shared(supernet)
    groups = subject.groups(architectures)
    assert [len(group) for group in groups] == [4, 4]
    for group in groups:
        subject([architectures[i] for i in group], "validation")
    assert len(runs) == len(set(runs)) <= 8
    subject(architectures, "test")
    assert len(set(runs)) == len(runs)


def test_other_weights_are_other_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = count_runs(monkeypatch)
    supernet = several("thin", "wide")
    subject, architectures = evaluator(supernet), decoded(supernet, sampled(supernet, 1))
    before = subject(architectures, "validation")
    with torch.no_grad():
        supernet.members["wide"].module.classifier.weight.mul_(-1)
    after = subject(architectures, "validation")
    assert len(runs) == 4
    assert before[0]["thin_error"] == after[0]["thin_error"]
    assert before[0]["wide_error"] != after[0]["wide_error"]
    assert list(after) == list(evaluator(supernet)(architectures, "validation"))


def test_what_does_not_fit_in_memory_runs_again(supernet: JointSupernet, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = count_runs(monkeypatch)
    subject, architectures = evaluator(supernet), shared(supernet)
    subject._outputs_bytes = 48 * 4 * 2  # one network's
    found = [metrics for a in architectures for metrics in subject([a], "validation")]
    assert len(runs) > len(set(runs))
    assert found == list(evaluator(supernet)(architectures, "validation"))


def test_networks_of_one_resolution_share_a_pass_over_the_images(supernet: JointSupernet) -> None:
    own = [of_supernet(name, each.space.decode(each.space.largest)) for name, each in supernet.members.items()]
    found = single.evaluator(supernet).all_logits(own, "validation")  # type: ignore[arg-type]
    for name, logits, architecture in zip(supernet.members, found, own, strict=True):
        alone = single.evaluator(supernet.members[name]).logits(architecture, "validation")  # type: ignore[arg-type]
        assert torch.equal(logits, alone)
        assert torch.equal(supernet.forward(torch.ones(2, 3, 8, 8), architecture)[0].isfinite(), torch.ones(4) > 0)


def test_answers_that_are_no_numbers_fail_and_are_not_kept() -> None:
    supernet = several("thin", "wide")
    subject, architectures = evaluator(supernet), decoded(supernet, sampled(supernet, 1))
    with torch.no_grad():
        supernet.members["wide"].module.classifier.bias.fill_(math.nan)
    for _ in range(2):
        with pytest.raises(FloatingPointError, match="what a network of wide answers is not finite"):
            subject(architectures, "validation")


class Slow(Measurement):
    measure = Measure("latency", "ms")

    def of(self, network: Any, resolution: int) -> float:
        return math.nan


def test_what_cascades_do_not_have_is_refused() -> None:
    with pytest.raises(UserError, match=r"evaluator=joint measures cascades of several supernets: supernet=\[a,b\]"):
        evaluator(tiny())  # type: ignore[arg-type]
    with pytest.raises(UserError, match="sec_obj=latency is measured on single networks, not on cascades"):
        evaluator(several(), objectives=[Slow()])


def test_it_is_sent_to_workers() -> None:
    import pickle

    supernet = several("thin", "wide")
    architectures = decoded(supernet, sampled(supernet, 1))
    copy: JointEvaluator = pickle.loads(pickle.dumps(evaluator(supernet)))
    metrics: Mapping[str, float] = copy(architectures, "validation")[0]
    assert metrics == evaluator(supernet)(architectures, "validation")[0]


def test_weights_are_handed_over() -> None:
    """As from a run to its workers."""
    trained, fresh = several(), several()
    for parameter in trained.module.parameters():
        with torch.no_grad():
            parameter.mul_(1.5)
    cascades = decoded(trained, sampled(trained, 3))
    worker, wanted = evaluator(fresh), evaluator(trained)(cascades, "validation")
    assert worker(cascades, "validation") != wanted
    worker.load(evaluator(trained).weights())
    assert worker(cascades, "validation") == wanted
