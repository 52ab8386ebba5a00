import numpy as np
import pytest

from nas.cascade.joint_surrogate import JointSurrogate
from nas.errors import UserError
from nas.space.base import SearchSpace, SpaceSource
from nas.space.supernet import SupernetSpace
from nas.surrogate.gp import GP
from nas.surrogate.rbf_ensemble import RBFEnsemble
from tests.products import several
from tests.small import tiny


def rbf(members: int = 60) -> RBFEnsemble:
    return RBFEnsemble(members=members, seed=0, device="cpu")


def rbf_of(space: SearchSpace) -> RBFEnsemble:
    return rbf()


def gp_of(space: SearchSpace) -> GP:
    return GP(kernel="matern")


def source() -> SpaceSource:
    return SupernetSpace(supernet=several())


def surrogate(errors: str = "combined", **changes) -> JointSurrogate:
    parts = {"member": rbf_of, "combining": rbf(), "cost": rbf()} | changes
    return JointSurrogate(source=source(), errors=errors, **parts)


def truth(genomes: np.ndarray) -> np.ndarray:
    """Cascades whose networks answer the better the more they cost, and are asked as thresholds say."""
    whole = source().space
    macs = np.stack(list(source().costs()["each_macs"].parts(genomes).values()), axis=1) / 1e6
    own = 40 - 25 * (macs / macs.max()) ** 0.5
    order, limits = whole.order(genomes), whole.limits(genomes)
    asked = np.concatenate([np.ones((len(genomes), 1)), np.cumprod(limits, axis=1)], axis=1)
    shares = asked - np.concatenate([asked[:, 1:], np.zeros((len(genomes), 1))], axis=1)
    error = (np.take_along_axis(own, order, axis=1) * shares).sum(axis=1)
    flops = (np.take_along_axis(macs, order, axis=1) * asked).sum(axis=1)
    return np.column_stack([error, flops, own])


def data(n: int = 150, k: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    genomes = source().space.sample(n + k, np.random.default_rng(0))
    return genomes[:n], truth(genomes[:n]), genomes[n:]


@pytest.mark.parametrize("errors", ["combined", "averaged"])
def test_few_cascades_or_none(errors):
    genomes, values, points = data()
    subject = surrogate(errors)
    subject.fit(genomes, values)
    assert [subject.predict(points[:k]).shape for k in (0, 1, 2)] == [(k, values.shape[1]) for k in (0, 1, 2)]


def ranks(subject: JointSurrogate) -> list[float]:
    from scipy.stats import spearmanr

    genomes, values, points = data()
    subject.fit(genomes, values)
    predicted = subject.predict(points)
    assert predicted.shape == (len(points), 5)
    return [spearmanr(a, b).statistic for a, b in zip(predicted.T, truth(points).T, strict=True)]


def test_all_parts_rank_new_cascades():
    found = ranks(surrogate())
    assert found[0] > 0.75
    assert found[1] > 0.85
    assert min(found[2:]) > 0.7


def test_averaged_errors_are_simpler_and_know_no_order():
    genomes, values, points = data()
    subject = surrogate("averaged")
    subject.fit(genomes, values)
    predicted = subject.predict(points)
    np.testing.assert_allclose(predicted[:, 0], predicted[:, 2:].mean(axis=1))
    np.testing.assert_array_equal(predicted[:, 1:], surrogate_fitted(genomes, values).predict(points)[:, 1:])


def surrogate_fitted(genomes: np.ndarray, values: np.ndarray) -> JointSurrogate:
    subject = surrogate()
    subject.fit(genomes, values)
    return subject


def test_the_parts_see_what_was_published():
    seen = {}

    class Watching(RBFEnsemble):  # type: ignore[misc]
        def fit(self, genomes, values):
            seen[self.key] = genomes, values
            super().fit(genomes, values)

    def watching(key: str) -> RBFEnsemble:
        made = Watching(members=5, seed=0, device="cpu")
        made.key = key
        return made

    genomes, values, _ = data(40)
    subject = surrogate(combining=watching("combining"), cost=watching("cost"))
    subject.fit(genomes, values)
    positions, thresholds = source().space.decisions(genomes)
    for key, each in (("combining", values[:, 2:] / 100), ("cost", None)):
        inputs, outputs = seen[key]
        np.testing.assert_array_equal(inputs[:, 3:6], positions / 3)
        np.testing.assert_array_equal(inputs[:, 6:], thresholds / 10)
        np.testing.assert_array_equal(outputs[:, 0], values[:, 0 if key == "combining" else 1])
        if each is not None:
            np.testing.assert_array_equal(inputs[:, :3], each)
        else:
            assert 0 < inputs[:, :3].min() < inputs[:, :3].max() <= 1


def test_a_network_is_predicted_the_same_in_all_its_cascades():
    genomes, values, points = data()
    subject = surrogate_fitted(genomes, values)
    first = subject.predict(points)
    changed = points.copy()
    changed[:, source().space._thresholds] = (changed[:, source().space._thresholds] + 1) % 10
    again = subject.predict(source().space.canonical(changed))
    np.testing.assert_array_equal(again[:, 2:], first[:, 2:])
    subject.fit(genomes, values + 1)  # forgets what it predicted
    assert (np.abs(subject.predict(points)[:, 2:] - first[:, 2:]) > 0.5).all()


def test_a_supernets_surrogate_may_be_of_another_kind():
    genomes, values, points = data(40)
    subject = surrogate(member=gp_of)
    subject.fit(genomes, values)
    assert subject.predict(points).shape == (60, 5)
    assert subject.metrics == ("thin_error", "plain_error", "wide_error")
    assert subject.minimum_points(10) == max(GP(kernel="matern").minimum_points(10), 2)


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match=r"surrogate=cascade predicts cascades of several supernets: choose them"):
        JointSurrogate(
            source=SupernetSpace(supernet=tiny()), errors="combined", member=rbf_of, combining=rbf(),
            cost=rbf(),
        )  # fmt: skip
    with pytest.raises(UserError, match=r"surrogate\.cost must be rbf_ensemble"):
        surrogate(cost=GP(kernel="matern"))
