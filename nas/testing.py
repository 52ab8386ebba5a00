"""Checks of own parts: each promise of a base class that a search relies on, and one line where it is broken.

Call them in tests of your package; every check raises :class:`ContractError`, an ``AssertionError``:

    def test_my_net():
        nas.testing.check_supernet(MyNet(n_classes=10, resolutions=(32,)))
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nas.algorithm.base import Algorithm
from nas.dataset.base import Dataset, Images
from nas.evaluator.base import ArrayEvaluator, Evaluator
from nas.objective.base import TOP1_ERROR, Cost, Objective
from nas.optimizer.base import Optimizer, Problem
from nas.run.archive import Archive, Commit, Entry
from nas.run.box import Box
from nas.run.results import StepSummary
from nas.seeding import rng_for
from nas.selector.base import Selector
from nas.space.base import SearchSpace
from nas.supernet.base import Supernet
from nas.surrogate.base import Surrogate
from nas.tracker.base import RunInfo, Tracker
from nas.types import Architecture, Floats, Genomes, Measure

SAMPLE = 40
"""Architectures that a check looks at."""

METRICS = ("top1", "top5", "loss")
"""Metrics of every evaluation: percent, percent, nats."""


class ContractError(AssertionError):
    """A part that breaks a promise of its base class; the message is one line."""


def _require(condition: object, part: object, message: str) -> None:
    if not condition:
        raise ContractError(f"{type(part).__name__}: {message}")


def _attempt(part: object, what: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns; ContractError with its error's last line if it raises."""
    try:
        return call(*arguments)
    except ContractError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ContractError(f"{type(part).__name__}: {what} raises {reason}") from error


def _has(part: object, kind: type[Any], names: Sequence[str]) -> None:
    _require(isinstance(part, kind), part, f"is no nas.{kind.__name__}; derive the class from it")
    for name in names:
        _require(hasattr(part, name), part, f"has no '{name}', which every {kind.__name__} has")


def check_space(space: SearchSpace, seed: int = 0) -> None:
    """Check a search space: bounds, sampling, canonical genomes, decode and encode.

    Args:
        space: Search space.
        seed: Seed of the sampled architectures.

    Raises:
        ContractError: If a promise is broken.

    Example:
        >>> import nas
        >>> check_space(nas.ChoiceSpace({"depth": (1, 2, 3), "r": (24, 32)}))
    """
    _has(space, SearchSpace, ("lower", "upper", "names"))
    d = len(space.lower)
    for name in ("lower", "upper"):
        bound = getattr(space, name)
        right = isinstance(bound, np.ndarray) and bound.dtype == np.int64 and bound.shape == (d,)
        _require(right, space, f"{name} must be an int64 array of shape ({d},)")
    _require(len(space.names) == len(set(space.names)) == d, space, f"names must be {d} different texts, one a gene")
    wrong = np.flatnonzero(space.lower > space.upper)
    _require(len(wrong) == 0, space, f"gene {wrong[:1]}: lower is above upper")
    rng = np.random.default_rng(seed)
    raw = rng.integers(space.lower, space.upper, size=(SAMPLE, d), endpoint=True)
    before = raw.copy()
    genomes = _attempt(space, "canonical", space.canonical, raw)
    _require((raw == before).all(), space, "canonical changes its argument; return a copy")
    _require(genomes.shape == raw.shape, space, f"canonical returns shape {genomes.shape}, not {raw.shape}")
    _attempt(space, "validate of canonical genomes", space.validate, genomes)
    _require((space.canonical(genomes) == genomes).all(), space, "canonical must leave canonical genomes as they are")
    for genome, other in zip(genomes, raw, strict=True):
        architecture = _attempt(space, "decode", space.decode, genome)
        _require(isinstance(architecture, Architecture), space, "decode must return a nas.Architecture")
        same = architecture.genome == tuple(genome.tolist())
        _require(same, space, f"decode({genome.tolist()}).genome is {architecture.genome}, not the canonical genome")
        _require(
            space.decode(other).config == architecture.config,
            space,
            f"genomes {other.tolist()} and {genome.tolist()} have one canonical genome but different architectures",
        )
        again = _attempt(space, f"encode({dict(architecture.config)})", space.encode, architecture.config)
        same = np.array_equal(again, genome)
        _require(same, space, f"encode of {dict(architecture.config)} gives {list(again)}, not {genome.tolist()}")
    draws = [space.sample(5, np.random.default_rng(seed)) for _ in range(2)]
    _require(
        np.array_equal(draws[0], draws[1]),
        space,
        "sample must depend on its generator alone: equal seeds gave other genomes",
    )


def check_supernet(supernet: Supernet, architectures: int = 8, seed: int = 0) -> None:
    """Check a supernet: its space, shared forward against extracted networks, exact costs, untouched weights.

    Args:
        supernet: Supernet on the CPU; its weights may be random.
        architectures: Number of random architectures to look at, beside the smallest and the largest.
        seed: Seed of architectures and images.

    Raises:
        ContractError: If a promise is broken.

    Example:
        >>> from nas.supernet.tiny import Tiny
        >>> sizes = dict(stem_width=8, stem_stride=1, stage_widths=(8,), strides=(1,), feature_width=16, widths=(1.0,))
        >>> choices = dict(depths=(1, 2), kernel_sizes=(3,), expand_ratios=(1, 2), resolutions=(6, 8), dropout=0.0)
        >>> check_supernet(Tiny(n_classes=10, squeeze_excite=(False,), hard_swish=(False,), seed=0, **sizes, **choices))
    """
    _has(supernet, Supernet, ("space", "module", "fingerprint", "trained", "checkpoints"))
    space = supernet.space
    check_space(space, seed)
    tables = _attempt(supernet, "costs", supernet.costs)
    for name in ("macs", "params"):
        _require(name in tables, supernet, f"costs() has no table '{name}'")
    genomes = np.unique(
        np.stack([space.smallest, space.largest, *space.sample(architectures, np.random.default_rng(seed))]), axis=0
    )
    values = {name: np.asarray(tables[name](genomes)) for name in ("macs", "params")}
    generator = torch.Generator().manual_seed(seed)
    supernet.module.eval()
    weights = {key: value.clone() for key, value in supernet.module.state_dict().items()}
    for row, genome in enumerate(genomes):
        costs = {name: found[row] for name, found in values.items()}
        _check_subnet(supernet, space.decode(genome), costs, generator)
    changed = [key for key, value in supernet.module.state_dict().items() if not torch.equal(value, weights[key])]
    _require(not changed, supernet, f"extract shares memory with the supernet ({changed[:1]}); copy the weights")
    _require(
        not _reseeds(supernet), supernet, "seeds torch's global random generator: use a torch.Generator or fork_rng"
    )


def _check_subnet(
    supernet: Supernet, architecture: Architecture, costs: Mapping[str, Any], generator: torch.Generator
) -> None:
    """Check one architecture: logits of forward and of the extracted network, and costs; its weights are changed."""
    side: Any = architecture.config.get("r")
    _require(isinstance(side, int), supernet, "architectures need a key 'r', the side of the square input in pixels")
    images = torch.randn(2, 3, side, side, generator=generator)
    said = f"of {dict(architecture.config)}"
    with torch.no_grad():
        shared = _attempt(supernet, f"forward {said}", supernet.forward, images, architecture)
        network = _attempt(supernet, f"extract {said}", supernet.extract, architecture)
        _require(isinstance(network, nn.Module), supernet, "extract must return an nn.Module")
        _require(not network.training, supernet, "extract must return a network in eval mode: end with .eval()")
        alone = _attempt(supernet, f"the network {said}", network, images)
    _require(
        shared.shape == alone.shape and shared.ndim == 2,
        supernet,
        f"logits {said} have shape {tuple(shared.shape)} in forward and {tuple(alone.shape)} extracted; "
        f"both must be (images, classes)",
    )
    difference = float((shared - alone).abs().max())
    close = difference <= 1e-4 * max(1.0, float(shared.abs().max()))
    _require(close, supernet, f"logits {said} differ by {difference:.3g} between forward and the extracted network")
    counted = {"macs": multiply_adds(network, images[:1]), "params": sum(p.numel() for p in network.parameters())}
    for name, count in counted.items():
        table = costs[name]
        _require(table == count, supernet, f"costs()['{name}'] {said} is {table}; extracted it is {count}")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)


def _reseeds(supernet: Supernet) -> bool:
    """Return whether an extraction leaves torch's global generator in one state, whatever it was in before."""
    states = []
    with torch.random.fork_rng(devices=[]):
        for seed in (1, 2):
            torch.manual_seed(seed)
            supernet.extract(supernet.space.decode(supernet.space.smallest))
            states.append(torch.random.get_rng_state())
    return torch.equal(states[0], states[1])


def multiply_adds(network: nn.Module, images: torch.Tensor) -> int:
    """Return the multiply-adds of a network's convolutions and linear layers for a batch.

    Args:
        network: Network in eval mode.
        images: Batch, shape (n, 3, height, width).

    Example:
        >>> multiply_adds(nn.Conv2d(3, 8, 3, padding=1).eval(), torch.zeros(1, 3, 4, 4))
        3456
    """
    total = 0

    def count(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        nonlocal total
        weight: Any = module.weight
        total += output.numel() * weight.numel() // weight.shape[0]

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear)
    ]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return total


def check_dataset(dataset: Dataset) -> None:
    """Check a data set: splits, shapes, types, labels, statistics, no image in two splits.

    Args:
        dataset: Data set; all of its images are read.

    Raises:
        ContractError: If a promise is broken.

    Example:
        >>> from nas.dataset.base import Augmentation
        >>> from nas.dataset.digits import Digits
        >>> plain = Augmentation(shift=0.0, flip=False, cutout=0.0)
        >>> check_dataset(Digits(mean=None, std=None, resolutions=(8,), augmentation=plain))
    """
    _has(dataset, Dataset, ("class_names", "mean", "std", "augmentation", "fingerprint", "resolutions"))
    _require(dataset.n_classes >= 2, dataset, f"class_names has {dataset.n_classes} classes; it must have 2 or more")
    for name in ("mean", "std"):
        values = getattr(dataset, name)
        right = len(values) == 3 and all(0 <= value <= 1 for value in values)
        _require(right, dataset, f"{name} must be 3 values of pixels scaled to 0..1, not {values}")
    _require(all(value > 0 for value in dataset.std), dataset, "std must be above 0 in every channel")
    _require(isinstance(dataset.fingerprint, str) and dataset.fingerprint, dataset, "fingerprint must be a text")
    seen: dict[bytes, str] = {}
    for split in ("train", "validation", "test"):
        images = _attempt(dataset, f"split('{split}')", dataset.split, split)
        _require(isinstance(images, Images), dataset, f"split('{split}') must return nas.Images")
        pixels = np.asarray(images.pixels[slice(0, len(images))])
        _require(
            pixels.dtype == np.uint8 and pixels.ndim == 4 and pixels.shape[1] == 3,
            dataset,
            f"pixels of '{split}' are {pixels.dtype} of shape {pixels.shape}; they must be uint8, (n, 3, h, w)",
        )
        labels = images.labels
        right = labels.dtype == np.int64 and labels.shape == (len(pixels),)
        _require(right, dataset, f"labels of '{split}' must be int64, ({len(pixels)},)")
        inside = len(labels) > 0 and labels.min() >= 0 and labels.max() < dataset.n_classes
        _require(inside, dataset, f"labels of '{split}' must be one or more of 0 to {dataset.n_classes - 1}")
        _require(dataset.size(split) == len(labels), dataset, f"size('{split}') is not {len(labels)}")
        for image in pixels:
            other = seen.setdefault(image.tobytes(), split)
            _require(other == split, dataset, f"an image is in both '{other}' and '{split}'")


def check_objective(objective: Objective, space: SearchSpace, seed: int = 0) -> None:
    """Check an objective: its measure; of a known cost values, shapes and determinism.

    Args:
        objective: Objective.
        space: Search space that it is used with.
        seed: Seed of the sampled architectures.

    Raises:
        ContractError: If a promise is broken.

    Example:
        >>> import nas
        >>> space = nas.IntegerSpace([0, 0], [3, 3])
        >>> check_objective(nas.KnownCost("size", lambda genomes: genomes.sum(axis=1) + 1.0), space)
    """
    _has(objective, Objective, ("measure",))
    measure = objective.measure
    right = isinstance(measure, Measure) and measure.name.isidentifier() and measure.name != TOP1_ERROR.name
    _require(right, objective, f"measure must be a nas.Measure with a name like 'energy', not {measure}")
    if not isinstance(objective, Cost):
        return
    genomes = space.sample(SAMPLE, np.random.default_rng(seed))
    before = genomes.copy()
    values = np.asarray(_attempt(objective, "the call", objective, genomes))
    right = values.shape == (SAMPLE,)
    _require(right, objective, f"returns shape {values.shape} for {SAMPLE} genomes; it must be ({SAMPLE},)")
    _require(np.isfinite(values).all(), objective, "returns values that are not finite")
    _require((genomes == before).all(), objective, "changes the genomes")
    _require(np.array_equal(values, objective(genomes)), objective, "returns other values for the same genomes")
    none = np.asarray(_attempt(objective, "the call without genomes", objective, genomes[:0]))
    _require(none.shape == (0,), objective, f"returns shape {none.shape} for no genomes; it must be (0,)")
    one = np.concatenate([np.asarray(objective(genome[None])) for genome in genomes[:5]])
    _require(np.allclose(one, values[:5]), objective, "values depend on the other genomes of the call")
    limits = objective.limits()
    if limits is not None and not any(map(math.isnan, limits)):
        inside = limits[0] <= values.min() and values.max() <= limits[1]
        _require(inside, objective, f"limits() is {limits}, but values go from {values.min():g} to {values.max():g}")


def check_surrogate(surrogate: Surrogate, space: SearchSpace, seed: int = 0) -> None:
    """Check a surrogate: fit and predict, shapes, equal results of equal fits, ranking of a simple function.

    Args:
        surrogate: Surrogate, not fitted.
        space: Search space of the genomes, of two architectures or more.
        seed: Seed of the sampled architectures.

    Raises:
        ContractError: If a promise is broken.

    Example:
        >>> import nas
        >>> from nas.surrogate.rbf import RBF
        >>> check_surrogate(RBF(), nas.IntegerSpace([0] * 4, [5] * 4))
    """
    _has(surrogate, Surrogate, ("name", "metrics"))
    n = max(60, 2 * surrogate.minimum_points(space.n_genes))
    genomes = space.sample_unseen(n + 20, np.zeros((0, space.n_genes), dtype=np.int64), np.random.default_rng(seed))
    known, new = genomes[: 3 * len(genomes) // 4], genomes[3 * len(genomes) // 4 :]
    span = np.maximum(space.upper - space.lower, 1)
    score = ((genomes - space.lower) / span).mean(axis=1)
    columns = 1 + len(surrogate.metrics)
    values = np.stack([50 - 20 * score + column for column in range(columns)], axis=1)[: len(known)]
    before = known.copy(), values.copy()
    untouched = copy.deepcopy(surrogate)
    _attempt(surrogate, "fit", surrogate.fit, known, values)
    right = np.array_equal(known, before[0]) and np.array_equal(values, before[1])
    _require(right, surrogate, "fit changes its arguments")
    predicted = np.asarray(_attempt(surrogate, "predict", surrogate.predict, new))
    shape = (len(new), columns)
    _require(predicted.shape == shape, surrogate, f"predict returns shape {predicted.shape}; it must be {shape}")
    _require(np.isfinite(predicted).all(), surrogate, "predict returns values that are not finite")
    _require(
        np.array_equal(predicted, surrogate.predict(new)), surrogate, "predict returns other values the second time"
    )
    untouched.fit(known, values)
    again = np.asarray(untouched.predict(new))
    _require(np.array_equal(predicted, again), surrogate, "equal fits predict differently: take a seed as a setting")
    one = np.asarray(surrogate.predict(new[:1]))
    _require(np.allclose(one, predicted[:1]), surrogate, "predictions depend on the other genomes of the call")
    deviation = surrogate.deviation(new)
    if deviation is not None:
        right = deviation.shape == shape and bool((deviation >= 0).all())
        _require(right, surrogate, f"deviation must be {shape}, 0 or more")
    actual = 50 - 20 * score[len(known) :]
    ranks = [np.argsort(np.argsort(each)) for each in (predicted[:, 0], actual)]
    rho = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    _require(rho > 0.5, surrogate, f"ranks a linear function with correlation {rho:.2f}; more than 0.5 is expected")


def _two_objectives(space: SearchSpace) -> Problem:
    """Return a problem with a known trade-off: genes high are good for one objective, low for the other."""
    span = np.maximum(space.upper - space.lower, 1)

    def evaluate(genomes: Genomes) -> Floats:
        share = (genomes - space.lower) / span
        return np.stack([1 - share.mean(axis=1), share.mean(axis=1) ** 2], axis=1)

    return Problem(space, evaluate, 2, lambda genomes, _: space.violation(genomes))


def check_optimizer(optimizer: Optimizer, space: SearchSpace, seed: int = 0) -> None:
    """Check an optimizer: canonical and different genomes, true objectives, determinism, better than its start.

    Args:
        optimizer: Optimizer.
        space: Search space, with some hundred architectures or more.
        seed: Seed of the initial genomes and of the search.

    Raises:
        ContractError: If a promise is broken.

    Example:
        >>> import nas
        >>> from nas.optimizer.nsga2 import NSGA2
        >>> check_optimizer(NSGA2(population=20, generations=5), nas.IntegerSpace([0] * 6, [4] * 6))
    """
    _has(optimizer, Optimizer, ())
    problem = _two_objectives(space)
    initial = space.sample(4, np.random.default_rng(seed))
    initial = np.unique(initial, axis=0)

    def run() -> tuple[Genomes, Floats]:
        found: tuple[Genomes, Floats] = optimizer.minimize(problem, initial, np.random.default_rng(seed))
        return found

    genomes, values = _attempt(optimizer, "minimize", run)
    _require(genomes.ndim == 2 and len(genomes) > 0, optimizer, f"minimize returns genomes of shape {genomes.shape}")
    _attempt(optimizer, "validate of the result", space.validate, genomes)
    _require((space.canonical(genomes) == genomes).all(), optimizer, "minimize must return canonical genomes")
    _require(len(np.unique(genomes, axis=0)) == len(genomes), optimizer, "minimize returns a genome twice")
    _require(np.allclose(values, problem.evaluate(genomes)), optimizer, "minimize returns objectives of other genomes")
    again = run()
    same = np.array_equal(genomes, again[0])
    _require(same, optimizer, "equal seeds give different results: take all random numbers from the generator")
    best = problem.evaluate(initial).sum(axis=1).min()
    _require(values.sum(axis=1).min() <= best + 1e-12, optimizer, "the result is worse than the initial genomes")


def check_selector(selector: Selector, seed: int = 0) -> None:
    """Check a selector: number, range and order of the chosen indices, determinism.

    Args:
        selector: Selector.
        seed: Seed of candidates and choice.

    Raises:
        ContractError: If a promise is broken.

    Example:
        >>> from nas.selector.subset import Subset
        >>> check_selector(Subset())
    """
    _has(selector, Selector, ("uses_covariance",))
    rng = np.random.default_rng(seed)
    candidates, front = rng.random((30, 2)), np.array([[0.1, 0.9], [0.5, 0.5], [0.9, 0.1]])
    root = rng.random((30, 30)) / 30
    covariance = root @ root.T if selector.uses_covariance else None

    def choose(n: int) -> Genomes:
        chosen: Genomes = selector.select(candidates, front, n, np.random.default_rng(seed), covariance)
        return chosen

    for n in (1, 8, 30, 40):
        chosen = _attempt(selector, f"select of {n}", choose, n)
        expected = min(n, 30)
        _require(len(chosen) == expected, selector, f"select of {n} candidates returns {len(chosen)}, not {expected}")
        inside = len(set(chosen.tolist())) == expected and chosen.min() >= 0 and chosen.max() < 30
        _require(inside, selector, "select must return different indices of candidates")
        _require((np.diff(chosen) > 0).all(), selector, "select must return ascending indices")
        _require(np.array_equal(chosen, choose(n)), selector, "equal seeds choose differently: use the generator alone")


def check_evaluator(evaluator: Evaluator | ArrayEvaluator, space: SearchSpace, seed: int = 0) -> None:
    """Check an evaluator: metrics of each architecture, groups, results that do not depend on what is beside them.

    Args:
        evaluator: Evaluator.
        space: Search space of the architectures.
        seed: Seed of the sampled architectures.

    Raises:
        ContractError: If a promise is broken.

    Example:
        >>> import nas
        >>> class Guess(nas.Evaluator):
        ...     def __call__(self, architectures, split):
        ...         return [{"top1": 50.0, "top5": 90.0, "loss": 1.0} for _ in architectures]
        >>> check_evaluator(Guess(), nas.IntegerSpace([0], [9]))
    """
    kinds = isinstance(evaluator, Evaluator | ArrayEvaluator)
    _require(kinds, evaluator, "is no nas.Evaluator and no nas.ArrayEvaluator; derive the class from one")
    genomes = space.sample_unseen(4, np.zeros((0, space.n_genes), dtype=np.int64), np.random.default_rng(seed))
    architectures = [space.decode(genome) for genome in genomes]

    def measured(rows: Sequence[int]) -> Sequence[Mapping[str, float]]:
        if isinstance(evaluator, ArrayEvaluator):
            return evaluator.measure(genomes[list(rows)], "validation")
        return evaluator([architectures[row] for row in rows], "validation")

    everything = range(len(genomes))
    found = _attempt(evaluator, "the evaluation", measured, everything)
    _require(len(found) == len(genomes), evaluator, f"returns {len(found)} results for {len(genomes)} architectures")
    for metrics in found:
        for name in METRICS:
            value = metrics.get(name)
            right = isinstance(value, int | float | np.floating) and math.isfinite(value)
            _require(right, evaluator, f"metric '{name}' is {value}; it must be a finite number")
        _require(0 <= metrics["top1"] <= 100, evaluator, f"top1 is {metrics['top1']}; it is percent, 0 to 100")
    alone = _attempt(evaluator, "the evaluation", measured, [1])[0]
    same = all(math.isclose(alone[name], found[1][name], rel_tol=1e-6) for name in METRICS)
    _require(same, evaluator, "results depend on the other architectures of the call")
    if isinstance(evaluator, Evaluator):
        groups = evaluator.groups(architectures)
        right = sorted(index for group in groups for index in group) == list(everything)
        _require(right, evaluator, f"groups returns {groups}; each index must be there once")


def check_algorithm(
    make: Callable[[SearchSpace, Sequence[Objective]], Algorithm], space: SearchSpace, steps: int = 3, seed: int = 0
) -> None:
    """Check an algorithm: batches that follow from archive, step and generator, in an instance of their own too.

    Args:
        make: Function that builds the algorithm from a space and objectives.
        space: Search space, with more architectures than the steps evaluate.
        steps: Number of steps to run.
        seed: Seed of the search.

    Raises:
        ContractError: If a promise is broken.

    Example:
        >>> import nas
        >>> from nas.algorithm.random import RandomSearch
        >>> def make(space, objectives):
        ...     return RandomSearch(space=space, n_doe=8, n_iter=4)
        >>> check_algorithm(make, nas.IntegerSpace([0] * 5, [5] * 5))
    """
    from nas.objective.known import KnownCost

    problem = _two_objectives(space)
    cost = KnownCost("cost", lambda genomes: problem.evaluate(genomes)[:, 1])
    algorithm = make(space, [cost])
    _has(algorithm, Algorithm, ("steps", "evaluations", "reevaluates"))
    archive = Archive(Path(), (TOP1_ERROR, cost.measure), space.names)
    for step in range(min(steps, algorithm.steps)):
        known = copy.deepcopy(archive.history)
        generator = rng_for(seed, step, "propose")
        batch = _attempt(algorithm, f"propose of step {step}", algorithm.propose, archive, step, generator)
        _require(archive.history == known, algorithm, "propose changes the archive")
        genomes = batch.genomes
        right = genomes.ndim == 2 and genomes.shape[1] == space.n_genes and genomes.dtype == np.int64
        _require(right, algorithm, f"step {step}: genomes must be int64, (n, {space.n_genes}), not {genomes.shape}")
        _attempt(algorithm, f"validate of step {step}", space.validate, genomes)
        _require((space.canonical(genomes) == genomes).all(), algorithm, f"step {step}: genomes are not canonical")
        different = len(np.unique(genomes, axis=0)) == len(genomes)
        _require(different, algorithm, f"step {step} proposes an architecture twice")
        seen = {entry.architecture.genome for entry in archive.history}
        new = not any(tuple(genome) in seen for genome in genomes.tolist())
        _require(new or algorithm.reevaluates, algorithm, f"step {step} proposes what an earlier step evaluated")
        again = make(space, [cost]).propose(archive, step, rng_for(seed, step, "propose"))
        same = np.array_equal(again.genomes, genomes)
        _require(
            same, algorithm, f"step {step}: a new instance proposes others; candidates must follow from the archive"
        )
        values = problem.evaluate(genomes) * [100, 1]
        entries = [
            Entry(step, index, space.decode(genome), tuple(row), {"top1": 100 - row[0]})
            for index, (genome, row) in enumerate(zip(genomes, values.tolist(), strict=True))
        ]
        archive.commits.append(Commit(step))
        archive.history += entries


def check_tracker(tracker: Tracker, folder: Path) -> None:
    """Check a tracker: all calls of a run, its end after an error, and a second run.

    Args:
        tracker: Tracker.
        folder: Empty folder in place of a run folder.

    Raises:
        ContractError: If a call raises.

    Example:
        >>> import tempfile
        >>> from nas.tracker.csv import CsvTracker
        >>> check_tracker(CsvTracker(), Path(tempfile.mkdtemp()))
    """
    _has(tracker, Tracker, ("reported", "background_seconds"))
    measures = (TOP1_ERROR, Measure("flops", "M multiply-adds"))
    run = RunInfo(folder, "id0", "group", "group-seed0", "search", ("digits",), {"seed": 0}, measures, 2, 12)
    member = {"architecture": {"d": [1]}, "step": 0, "objectives": {"top1_error": 9.0, "flops": 1.0}}
    box = Box((90.0, 10.0), (0.0, 0.0), "space")
    none = (None,) * 6
    summaries: list[StepSummary] = [
        StepSummary(step, 8 + 4 * step, 0, 0.5, 1, (9.0, 1.0), *none, {}, {"search": 0.1}, [member], box)
        for step in range(2)
    ]
    for history, error in (((), None), (summaries[:1], "killed")):
        _attempt(tracker, "start", tracker.start, run, history)
        _attempt(tracker, "progress", tracker.progress, "evaluating step 1", 1, 2)
        _attempt(tracker, "step", tracker.step, summaries[1], None)
        _attempt(tracker, "outcome", tracker.outcome, {"test/top1_error": 9.0})
        _attempt(tracker, "finish", tracker.finish, error)
