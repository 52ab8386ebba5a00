"""Checks of own parts: built-in parts pass, and each broken promise is named in one line."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import nas
from nas import testing
from nas.algorithm.msunas import MSuNAS
from nas.algorithm.random import RandomSearch
from nas.dataset.base import Augmentation
from nas.optimizer.ehvi import EHVISearch
from nas.optimizer.mo_gomea import MOGOMEA
from nas.optimizer.nsga2 import NSGA2
from nas.optimizer.random import RandomSampling
from nas.selector.ehvi import EHVI
from nas.selector.hvi import HVI
from nas.selector.reference import Reference
from nas.selector.subset import Subset
from nas.surrogate.additive_gp import AdditiveGP
from nas.surrogate.cart import CART
from nas.surrogate.rbf import RBF
from nas.tracker.callback import CallbackTracker
from nas.tracker.csv import CsvTracker
from tests.tabular import Tabular

ROOT = Path(__file__).parent.parent
SPACE = nas.ChoiceSpace({"d": (1, 2, 3), "w": (8, 16, 24), "k": (3, 5), "e": (1, 2, 3, 4), "r": (8, 12, 16)})


@pytest.fixture
def mylab(monkeypatch):
    """The parts of ``examples/elastic_cnn``."""
    monkeypatch.syspath_prepend(str(ROOT / "examples/elastic_cnn"))
    from mylab import nets, objectives

    yield nets, objectives
    for name in [name for name in sys.modules if name.partition(".")[0] == "mylab"]:
        del sys.modules[name]


def test_the_example_keeps_every_promise(mylab):
    nets, objectives = mylab
    supernet = nets.ElasticCNN(n_classes=10, resolutions=(15, 16))
    testing.check_supernet(supernet)
    testing.check_objective(objectives.ActivationMemory(space=supernet.space), supernet.space)
    testing.check_objective(objectives.CameraLatency(), supernet.space)


@pytest.mark.parametrize("make", [RBF, lambda: AdditiveGP(space=SPACE), lambda: CART(trees=40)])
def test_surrogates_pass(make):
    testing.check_surrogate(make(), SPACE)


@pytest.mark.parametrize(
    "optimizer",
    [
        NSGA2(population=20, generations=4),
        EHVISearch(population=20, generations=4),
        MOGOMEA(evaluations=60, population=8, archive_capacity=50),
        RandomSampling(population=50),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_optimizers_pass(optimizer):
    testing.check_optimizer(optimizer, SPACE)


@pytest.mark.parametrize("selector", [Subset(), EHVI(), HVI(), Reference()], ids=lambda each: type(each).__name__)
def test_selectors_pass(selector):
    testing.check_selector(selector)


def make_msunas(space, objectives):
    return MSuNAS(
        space=space,
        objectives=objectives,
        surrogate=RBF(),
        optimizer=NSGA2(population=12, generations=3),
        selector=Subset(),
        n_doe=14,
        n_iter=4,
        iterations=2,
    )


@pytest.mark.parametrize("make", [make_msunas, lambda space, _: RandomSearch(space=space, n_doe=8, n_iter=4)])
def test_algorithms_pass(make):
    testing.check_algorithm(make, SPACE)


def test_other_parts_pass(space, tmp_path):
    testing.check_space(space)
    testing.check_evaluator(Tabular(space), space)
    testing.check_tracker(CsvTracker(), tmp_path)
    testing.check_tracker(CallbackTracker(lambda summary: None), tmp_path)


class Linear(nas.Supernet):
    """A supernet that keeps every promise; subclasses break one each."""

    trained, fingerprint = False, "1"

    def __init__(self) -> None:
        self.space = nas.ChoiceSpace({"w": (2, 3), "r": (4, 6)})
        with torch.random.fork_rng(devices=[]):
            self.module = nn.Linear(3, 10)

    def forward(self, images, architecture):
        width = architecture.config["w"]
        return images.mean((2, 3))[:, :width] @ self.module.weight[:, :width].T + self.module.bias

    def extract(self, architecture):
        return Slice(self.module, architecture.config["w"]).eval()

    def _cost_tables(self):
        macs = nas.AdditiveTable(2, [([0], np.array([20, 30]))])
        return {"macs": macs, "params": nas.AdditiveTable(2, [([0], np.array([30, 40]))])}


class Slice(nn.Module):
    def __init__(self, module: nn.Linear, width: int) -> None:
        super().__init__()
        self.width = width
        with torch.random.fork_rng(devices=[]):
            self.linear = nn.Linear(width, 10)
        with torch.no_grad():
            self.linear.weight.copy_(module.weight[:, :width])
            self.linear.bias.copy_(module.bias)

    def forward(self, images):
        return self.linear(images.mean((2, 3))[:, : self.width])


def test_a_small_supernet_passes():
    testing.check_supernet(Linear())


class OtherLogits(Linear):
    def forward(self, images, architecture):
        return super().forward(images, architecture) * 1.5


class WrongMacs(Linear):
    def _cost_tables(self):
        return {**super()._cost_tables(), "macs": nas.AdditiveTable(2, [([0], np.array([20, 31]))])}


class NoParams(Linear):
    def _cost_tables(self):
        return {"macs": super()._cost_tables()["macs"]}


class InTraining(Linear):
    def extract(self, architecture):
        return super().extract(architecture).train()


class Shared(Linear):
    def extract(self, architecture):
        network = super().extract(architecture)
        if architecture.config["w"] == 3:
            network.linear = self.module
        return network


class Seeding(Linear):
    def extract(self, architecture):
        torch.manual_seed(0)
        return super().extract(architecture)


class NoSide(Linear):
    def __init__(self):
        super().__init__()
        self.space = nas.ChoiceSpace({"w": (2, 3), "side": (4, 6)})


class Raising(Linear):
    def extract(self, architecture):
        raise RuntimeError("no\nweights")


class NoFingerprint(Linear):
    def __init__(self):
        super().__init__()
        self.fingerprint = None

    def __getattribute__(self, name):
        if name == "fingerprint":
            raise AttributeError(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (OtherLogits, r"logits of .* differ by [\d.]+ between forward and the extracted network"),
        (WrongMacs, r"costs\(\)\['macs'\] of .*'w': 3.* is 31; extracted it is 30"),
        (NoParams, r"costs\(\) has no table 'params'"),
        (InTraining, r"must return a network in eval mode"),
        (Shared, r"extract shares memory with the supernet"),
        (Seeding, r"seeds torch's global random generator"),
        (NoSide, r"architectures need a key 'r'"),
        (Raising, r"extract of .* raises RuntimeError: no weights"),
        (NoFingerprint, r"has no 'fingerprint', which every Supernet has"),
    ],
)
def test_broken_supernets_are_named(broken, message):
    with pytest.raises(testing.ContractError, match=message) as caught:
        testing.check_supernet(broken())
    assert str(caught.value).startswith(f"{broken.__name__}: ")
    assert "\n" not in str(caught.value)


class Plain(nas.SearchSpace):
    """Two genes; subclasses break one promise each."""

    lower, upper, names = np.array([0, 0]), np.array([3, 3]), ("a", "b")

    def canonical(self, genomes):
        return genomes.copy()

    def decode(self, genome):
        return nas.Architecture(tuple(genome.tolist()), {"a": int(genome[0]), "b": int(genome[1])})

    def encode(self, config):
        return np.array([config["a"], config["b"]])


class InPlace(Plain):
    def canonical(self, genomes):
        genomes[:, 1] = 0
        return genomes


class NotIdempotent(Plain):
    def canonical(self, genomes):
        return np.maximum(genomes - 1, 0)


class WrongEncode(Plain):
    def encode(self, config):
        return np.array([config["b"], config["a"]])


class Unseeded(Plain):
    def sample(self, n, rng):
        return np.random.default_rng().integers(0, 4, (n, 2))


class FloatBounds(Plain):
    upper = np.array([3.0, 3.0])


class TwoNames(Plain):
    names = ("a", "a")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (InPlace, "canonical changes its argument"),
        (NotIdempotent, "canonical must leave canonical genomes as they are"),
        (WrongEncode, "encode of .* gives"),
        (Unseeded, "sample must depend on its generator alone"),
        (FloatBounds, r"upper must be an int64 array of shape \(2,\)"),
        (TwoNames, "names must be 2 different texts"),
    ],
)
def test_broken_spaces_are_named(broken, message):
    testing.check_space(Plain())
    with pytest.raises(testing.ContractError, match=message):
        testing.check_space(broken())


class Mean(nas.Surrogate):
    name = "mean"

    def fit(self, genomes, values):
        self.weights = np.linalg.lstsq(np.c_[genomes, np.ones(len(genomes))], values, rcond=None)[0]

    def predict(self, genomes):
        return np.c_[genomes, np.ones(len(genomes))] @ self.weights


class Flat(Mean):
    def predict(self, genomes):
        return super().predict(genomes)[:, 0]


class Random(Mean):
    def predict(self, genomes):
        return super().predict(genomes) + np.random.default_rng().random((len(genomes), 1))


class Relative(Mean):
    def predict(self, genomes):
        found = super().predict(genomes)
        return found - found.mean()


class Scaling(Mean):
    def fit(self, genomes, values):
        super().fit(genomes, values)
        values /= 2


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Flat, r"predict returns shape \(\d+,\); it must be"),
        (Random, "predict returns other values the second time"),
        (Relative, "predictions depend on the other genomes of the call"),
        (Scaling, "fit changes its arguments"),
    ],
)
def test_broken_surrogates_are_named(broken, message):
    testing.check_surrogate(Mean(), SPACE)
    with pytest.raises(testing.ContractError, match=message):
        testing.check_surrogate(broken(), SPACE)


class Good(nas.Optimizer):
    def minimize(self, problem, initial, rng):
        genomes = np.unique(np.concatenate([initial, problem.space.sample(20, rng)]), axis=0)
        return genomes, problem.evaluate(genomes)


class Twice(Good):
    def minimize(self, problem, initial, rng):
        genomes, values = super().minimize(problem, initial, rng)
        return np.repeat(genomes, 2, axis=0), np.repeat(values, 2, axis=0)


class OtherValues(Good):
    def minimize(self, problem, initial, rng):
        genomes, values = super().minimize(problem, initial, rng)
        return genomes, values[::-1]


class OwnGenerator(Good):
    def minimize(self, problem, initial, rng):
        return super().minimize(problem, initial, np.random.default_rng())


class Forgetting(Good):
    def minimize(self, problem, initial, rng):
        genomes = problem.space.sample(1, rng)
        values = problem.evaluate(genomes)
        worst = problem.evaluate(initial).sum(axis=1).argmax()
        return (initial[[worst]], problem.evaluate(initial[[worst]])) if len(values) else (genomes, values)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Twice, "minimize returns a genome twice"),
        (OtherValues, "objectives of other genomes"),
        (OwnGenerator, "equal seeds give different results"),
        (Forgetting, "the result is worse than the initial genomes"),
    ],
)
def test_broken_optimizers_are_named(broken, message):
    testing.check_optimizer(Good(), SPACE)
    with pytest.raises(testing.ContractError, match=message):
        testing.check_optimizer(broken(), SPACE)


class First(nas.Selector):
    def choose(self, candidates, front, n, rng, covariance):
        return np.arange(n)


class Backwards(First):
    def choose(self, candidates, front, n, rng, covariance):
        return np.arange(n)[::-1]


class TooFew(First):
    def choose(self, candidates, front, n, rng, covariance):
        return np.arange(max(1, n - 1))


class Same(First):
    def choose(self, candidates, front, n, rng, covariance):
        return np.zeros(n, dtype=np.int64)


@pytest.mark.parametrize(
    ("broken", "message"),
    [(Backwards, "ascending"), (TooFew, "select of 8 candidates returns 7, not 8"), (Same, "different indices")],
)
def test_broken_selectors_are_named(broken, message):
    testing.check_selector(First())
    with pytest.raises(testing.ContractError, match=message):
        testing.check_selector(broken())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda genomes: genomes, "the call raises UserError: the function of cost"),
        (lambda genomes: np.full(len(genomes), np.nan), "values that are not finite"),
        (lambda genomes: np.arange(len(genomes)), "depend on the other genomes"),
        (lambda genomes: np.random.default_rng().random(len(genomes)), "other values for the same genomes"),
    ],
)
def test_broken_costs_are_named(function, message):
    with pytest.raises(testing.ContractError, match=message):
        testing.check_objective(nas.KnownCost("x", function), SPACE)


class Guess(nas.Evaluator):
    top1 = 50.0

    def __call__(self, architectures, split):
        return [{"top1": self.top1, "top5": 90.0, "loss": float(len(architectures) > 0)} for _ in architectures]


class Share(Guess):
    top1 = 150.0


class Crowd(Guess):
    def __call__(self, architectures, split):
        return [{**each, "loss": float(len(architectures))} for each in super().__call__(architectures, split)]


class Lost(Guess):
    def __call__(self, architectures, split):
        return super().__call__(architectures, split)[1:]


class NoLoss(Guess):
    def __call__(self, architectures, split):
        return [{"top1": 1.0, "top5": 2.0} for _ in architectures]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Share, r"top1 is 150\.0; it is percent"),
        (Crowd, "depend on the other architectures"),
        (Lost, "returns 3 results for 4 architectures"),
        (NoLoss, "metric 'loss' is None"),
    ],
)
def test_broken_evaluators_are_named(broken, message):
    testing.check_evaluator(Guess(), SPACE)
    with pytest.raises(testing.ContractError, match=message):
        testing.check_evaluator(broken(), SPACE)


class Repeating(nas.Algorithm):
    steps, evaluations = 3, 6

    def propose(self, archive, step, rng):
        from nas.types import Batch

        return Batch(np.array([[0] * 5, [1] * 5]))


class Counting(Repeating):
    calls = 0

    def propose(self, archive, step, rng):
        from nas.types import Batch

        type(self).calls += 1
        return Batch(np.array([[type(self).calls % 3, 0, 0, 0, 0]]))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Repeating, "step 1 proposes what an earlier step evaluated"),
        (Counting, "a new instance proposes others"),
    ],
)
def test_broken_algorithms_are_named(broken, message):
    with pytest.raises(testing.ContractError, match=message):
        testing.check_algorithm(lambda *_: broken(), SPACE)


class Noise(nas.Dataset):
    class_names, resolutions = ("a", "b"), (8,)
    mean, std, fingerprint = (0.5, 0.5, 0.5), (0.3, 0.3, 0.3), "1"
    augmentation = Augmentation(shift=0.0, flip=False, cutout=0.0)

    def split(self, name):
        rng = np.random.default_rng(len(name))
        return nas.Images(rng.integers(0, 256, (6, 3, 8, 8), dtype=np.uint8), np.arange(6) % 2)


class Leaking(Noise):
    def split(self, name):
        return super().split("x")


class Channels(Noise):
    def split(self, name):
        images = super().split(name)
        return nas.Images(images.pixels.transpose(0, 2, 3, 1), images.labels)


class ThirdClass(Noise):
    class_names = ("a", "b")

    def split(self, name):
        return nas.Images(super().split(name).pixels, np.arange(6) % 3)


class Pixels255(Noise):
    mean = (127.0, 127.0, 127.0)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Leaking, "an image is in both 'train' and 'validation'"),
        (Channels, r"they must be uint8, \(n, 3, h, w\)"),
        (ThirdClass, "labels of 'train' must be one or more of 0 to 1"),
        (Pixels255, "mean must be 3 values of pixels scaled to 0..1"),
    ],
)
def test_broken_data_sets_are_named(broken, message):
    testing.check_dataset(Noise())
    with pytest.raises(testing.ContractError, match=message):
        testing.check_dataset(broken())


def test_broken_trackers_are_named(tmp_path):
    with pytest.raises(testing.ContractError, match=re.escape("CallbackTracker: step raises ZeroDivisionError")):
        testing.check_tracker(CallbackTracker(lambda summary: 1 / 0), tmp_path)


def test_other_objects_are_no_parts():
    with pytest.raises(testing.ContractError, match=r"int: is no nas\.SearchSpace"):
        testing.check_space(3)
