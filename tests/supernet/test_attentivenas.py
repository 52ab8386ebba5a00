import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from nas.errors import UserError
from nas.evaluator.recalibration import recalibrate
from nas.supernet.attentivenas import PUBLISHED, AttentiveNas
from nas.supernet.attentivenas_network import DropPath, ResidualBottleneck
from nas.types import Architecture

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("NAS_REFERENCE", ROOT.parent / "shared" / "reference"))
REFERENCE = ROOT / "tests" / "reference"
ROWS = json.loads((REFERENCE / "attentivenas_forward.json").read_text())
MODELS = json.loads((REFERENCE / "attentivenas_published.json").read_text())
ILL_CONDITIONED = ("max", "r3", "r6")  # with filled weights the original's own logits depend on the number of threads
SMALL: dict[str, Any] = {
    "n_classes": 4,
    "weights": "attentivenas",
    "checkpoint": "random",
    "resolutions": (13, 16),
    "widths": ((8, 16), (8, 16), (8, 16, 24), (16, 24), (32, 40)),
    "depths": ((1, 2), (1, 2, 3), (1, 2)),
    "kernel_sizes": ((3, 5),) * 3,
    "expand_ratios": ((1,), (2, 4), (3,)),
    "stem_stride": 2,
    "strides": (1, 2, 2),
    "squeeze_excite": (False, True, True),
    "dropout": 0.0,
    "drop_path": 0.0,
    "gradient_checkpointing": False,
    "seed": 0,
}


def rows(quick: tuple[str, ...], leave_out: tuple[str, ...] = ()) -> list[Any]:
    """Return the reference rows, those that are not quick for the slow suite."""
    chosen = [row for row in ROWS if row["name"] not in leave_out]
    return [pytest.param(row, id=row["name"], marks=[] if row["name"] in quick else pytest.mark.slow) for row in chosen]


def small(tmp_path: Path, **changes: Any) -> AttentiveNas:
    return AttentiveNas(cache=tmp_path, **(SMALL | changes))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> AttentiveNas:
    """The published network, each tensor filled from its name."""
    settings = yaml.safe_load((ROOT / "conf" / "supernet" / "attentivenas.yaml").read_text())
    settings = {key: value for key, value in settings.items() if key not in {"_target_", "_partial_", "defaults"}}
    cache = tmp_path_factory.mktemp("cache")
    supernet = AttentiveNas(**settings | {"n_classes": 1000, "cache": cache, "checkpoint": "random"})
    for name, tensor in supernet.module.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.from_numpy(filling(name, tuple(tensor.shape))))
    supernet.module.eval()
    return supernet


def filling(name: str, shape: tuple[int, ...]) -> Any:
    noise = np.random.default_rng(crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        return (np.abs(noise) * 0.5 + 0.75).astype(np.float32)
    if name.endswith("bn.weight"):
        return (1 + 0.1 * noise).astype(np.float32)
    if name.endswith(("running_mean", "bias")):
        return (0.1 * noise).astype(np.float32)
    return (noise * np.sqrt(2 / np.prod(shape[1:] if len(shape) > 1 else shape))).astype(np.float32)


def scramble(supernet: AttentiveNas) -> AttentiveNas:
    for name, tensor in supernet.module.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.from_numpy(filling(name, tuple(tensor.shape))))
    return supernet


def architectures(supernet: AttentiveNas, n: int, seed: int = 0) -> Iterator[Architecture]:
    space = supernet.space
    for genome in (space.smallest, space.largest, *space.sample(n, np.random.default_rng(seed))):
        yield space.decode(genome)


def images(architecture: Architecture, n: int = 3) -> Tensor:
    side = architecture.config["r"]
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(2))


def layer_macs(network: nn.Module, batch: Tensor) -> list[int]:
    """Return the multiply-adds of each convolution and linear layer that runs, in their order."""
    counts = []

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        weight = module.weight
        assert isinstance(weight, Tensor)
        counts.append(output[0].numel() * weight[0].numel())

    handles = [
        module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        network(batch)
    for handle in handles:
        handle.remove()
    return counts


def assert_costs_are_exact(supernet: AttentiveNas, n: int, seed: int = 0) -> None:
    costs = supernet.costs()
    for architecture in architectures(supernet, n, seed):
        network = supernet.extract(architecture).to("meta")
        genome = np.array([architecture.genome])
        counted = sum(layer_macs(network, images(architecture, 1).to("meta")))
        for name, expected in (("macs", counted), ("params", sum(p.numel() for p in network.parameters()))):
            assert costs[name](genome).tolist() == [expected]
            assert sum(part[0] for part in costs[name].parts(genome).values()) == expected
            assert np.issubdtype(costs[name](genome).dtype, np.integer)


def test_names_and_shapes_are_the_published_ones(filled: AttentiveNas) -> None:
    shapes = {name: list(tensor.shape) for name, tensor in filled.module.state_dict().items()}
    expected = json.loads((REFERENCE / "attentivenas_state_dict.json").read_text())
    assert len(shapes) == expected["tensors"]
    digest = hashlib.sha256(json.dumps(sorted(shapes.items())).encode()).hexdigest()
    assert digest == expected["sha256_of_sorted_items"]


def test_names_and_shapes_one_by_one(filled: AttentiveNas) -> None:
    path = SHARED / "attentivenas_state_dict.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    assert {name: list(t.shape) for name, t in filled.module.state_dict().items()} == json.loads(path.read_text())


@pytest.mark.parametrize("row", rows(("min", "r4"), leave_out=ILL_CONDITIONED))
def test_logits_are_the_originals(filled: AttentiveNas, row: dict[str, Any]) -> None:
    architecture = filled.space.decode(filled.space.encode(row["arch"]))
    side = row["arch"]["r"]
    batch = torch.from_numpy(np.random.default_rng(side).standard_normal((2, 3, side, side)).astype(np.float32))
    with torch.no_grad():
        logits = filled.extract(architecture)(batch)
        in_place = filled.forward(batch, architecture)
    assert np.abs(logits[0, :8].numpy() - row["logits8"]).max() < 1e-4 * row["std"]
    torch.testing.assert_close(in_place, logits, rtol=0, atol=1e-5 * row["std"])


@pytest.mark.parametrize("row", rows(("max", "r3", "r6")))
def test_logits_are_the_originals_in_double_precision(filled: AttentiveNas, row: dict[str, Any]) -> None:
    side = row["arch"]["r"]
    batch = torch.from_numpy(np.random.default_rng(side).standard_normal((2, 3, side, side)).astype(np.float32))
    network = filled.extract(filled.space.decode(filled.space.encode(row["arch"]))).double()
    with torch.no_grad():
        logits = network(batch[:1].double())[0, :8].numpy()
    assert np.abs(logits - row["logits8_float64"]).max() < 1e-9 * row["std"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_costs_are_the_references(filled: AttentiveNas, row: dict[str, Any]) -> None:
    """The reference summed the layers' multiply-adds one by one in float32, which rounds them."""
    genome = filled.space.encode(row["arch"])
    architecture = filled.space.decode(genome)
    assert filled.costs()["params"](genome[None]).tolist() == [row["params"]]
    counts = layer_macs(filled.extract(architecture).to("meta"), images(architecture, 1).to("meta"))
    rounded = np.float32(0)
    for count in counts:
        rounded += np.float32(count)
    assert int(rounded) == row["macs_float32"]
    assert filled.costs()["macs"](genome[None]).tolist() == [sum(counts)]


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row["name"])
def test_published_flops(filled: AttentiveNas, row: dict[str, Any]) -> None:
    macs = filled.costs()["macs"](filled.space.encode(row["arch"])[None])[0]
    assert round(macs / 1e6) == row["mflops"]


@pytest.mark.slow
def test_costs_are_exact(filled: AttentiveNas) -> None:
    assert_costs_are_exact(filled, 48)


@pytest.mark.slow
def test_costs_of_many_are_exact(filled: AttentiveNas) -> None:
    assert_costs_are_exact(filled, 998, seed=1)


@pytest.mark.parametrize("resolutions", [(1, 2, 3), (15, 17), (32, 33)])
def test_costs_are_exact_for_small_images(tmp_path: Path, resolutions: tuple[int, ...]) -> None:
    assert_costs_are_exact(small(tmp_path, resolutions=resolutions, n_classes=7), 20)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_extracted_networks_compute_what_the_supernet_does(tmp_path: Path, training: bool) -> None:
    supernet = scramble(small(tmp_path))
    for architecture in architectures(supernet, 20):
        network = supernet.extract(architecture)
        assert not network.training
        network.train(training)
        supernet.module.train(training)
        batch = images(architecture)
        expected = supernet.forward(batch, architecture)
        assert expected.shape == (3, 4)
        torch.testing.assert_close(network(batch), expected, rtol=1e-5, atol=1e-5)


def test_extracted_networks_are_ordinary_copies(tmp_path: Path) -> None:
    supernet = small(tmp_path)
    architecture = supernet.space.decode(supernet.space.smallest)
    network = supernet.extract(architecture)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in network.parameters())
    assert not any("bn_tracking" in name for name in network.state_dict())
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.1)}
    batch = images(architecture)
    before = network(batch)
    with torch.no_grad():
        for parameter in supernet.module.parameters():
            parameter.zero_()
    assert torch.equal(network(batch), before)


@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointing"])
def test_training_in_place_reaches_exactly_the_shared_weights_in_use(tmp_path: Path, checkpointing: bool) -> None:
    supernet = scramble(small(tmp_path, gradient_checkpointing=checkpointing))
    supernet.module.train()
    before = {name: buffer.clone() for name, buffer in supernet.module.named_buffers() if "running" in name}
    architecture = supernet.space.decode(supernet.space.smallest)
    supernet.forward(images(architecture), architecture).square().sum().backward()
    stem = supernet.module.get_parameter("first_conv.conv.conv.weight").grad
    depthwise = supernet.module.get_parameter("blocks.0.mobile_inverted_conv.depth_conv.conv.conv.weight").grad
    assert stem is not None
    assert depthwise is not None
    assert stem[:8].abs().sum(dim=(1, 2, 3)).min() > 0
    assert stem[8:].abs().max() == 0
    assert depthwise[:8, :, 1:4, 1:4].abs().max() > 0
    assert depthwise[:, :, 0].abs().max() == 0
    absent = "blocks.1.mobile_inverted_conv.depth_conv.conv.conv.weight"
    assert supernet.module.get_parameter(absent).grad is None
    assert all(torch.equal(supernet.module.get_buffer(name), value) for name, value in before.items())


def test_gradient_checkpointing_changes_nothing_but_memory(tmp_path: Path) -> None:
    results = []
    for checkpointing in (False, True):
        supernet = scramble(small(tmp_path, gradient_checkpointing=checkpointing, dropout=0.5, drop_path=0.5))
        architecture = supernet.space.decode(supernet.space.largest)
        network = supernet.extract(architecture).train()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network(images(architecture)).square().sum().backward()
        gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        results.append((gradients, dict(network.named_buffers())))
    for plain, recomputed in zip(*results, strict=True):
        assert plain.keys() == recomputed.keys()
        for name, value in plain.items():
            torch.testing.assert_close(recomputed[name], value, msg=name)


def test_recomputation_happens_in_training_alone(tmp_path: Path) -> None:
    supernet = small(tmp_path, gradient_checkpointing=True)
    architecture = supernet.space.decode(supernet.space.largest)
    network = supernet.extract(architecture)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    next(m for m in network.modules() if isinstance(m, ResidualBottleneck)).shortcut.register_forward_hook(count)
    network(images(architecture)).sum().backward()
    assert calls == 1
    network.train()(images(architecture)).sum().backward()
    assert calls == 3


def test_paths_are_dropped_for_whole_images_and_scaled_up() -> None:
    drop = DropPath(0.75)
    x = torch.ones(4000, 2, 3, 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = drop(x)[:, 0, 0, 0]
        rows = drop(x).flatten(1)
        assert torch.equal(rows.amin(dim=1), rows.amax(dim=1))
    assert set(kept.tolist()) == {0.0, 4.0}
    assert abs(kept.mean().item() - 1) < 0.1
    assert drop.eval()(x) is x


def test_paths_are_dropped_late_and_beside_unchanged_inputs_alone(tmp_path: Path) -> None:
    supernet = small(tmp_path, drop_path=0.7)
    network = supernet.extract(supernet.space.decode(supernet.space.largest))
    rates = [module.drop_path.probability for module in network.modules() if isinstance(module, ResidualBottleneck)]
    assert rates == pytest.approx([0, 0, 0, 0.3, 0.4, 0, 0.6])


def test_dropout_acts_in_training_alone(tmp_path: Path) -> None:
    supernet = small(tmp_path, dropout=0.5)
    architecture = supernet.space.decode(supernet.space.largest)
    network, batch = supernet.extract(architecture), images(architecture)
    assert torch.equal(network(batch), network(batch))
    network.train()
    assert not torch.equal(network(batch), network(batch))


def test_random_weights_depend_on_the_seed_and_tell_architectures_apart(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    first, second, other = small(tmp_path), small(tmp_path), small(tmp_path, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in first.module.state_dict().items():
        assert torch.equal(tensor, second.module.state_dict()[name])
    stem = "first_conv.conv.conv.weight"
    assert not torch.equal(first.module.state_dict()[stem], other.module.state_dict()[stem])
    space = first.space
    logits = []
    for gene in (None, *np.flatnonzero(space.upper[1:]) + 1):
        genome = space.smallest.copy()
        if gene is not None:
            genome[gene] = space.upper[gene]
        architecture = space.decode(genome)
        network, batch = first.extract(architecture), images(architecture, 16)
        recalibrate([network], [batch])
        logits.append(network(batch).detach())
        assert torch.isfinite(logits[-1]).all()
        assert 1e-4 < logits[-1].std() < 100
    assert all((a - b).abs().max() > 1e-5 for i, a in enumerate(logits) for b in logits[:i])


def test_fingerprint_tells_networks_apart(tmp_path: Path) -> None:
    same = [small(tmp_path), small(tmp_path / "elsewhere"), small(tmp_path, weights="alphanet")]
    assert len({supernet.fingerprint for supernet in same}) == 1
    others = [small(tmp_path, **changes) for changes in ({}, {"seed": 1}, {"strides": (1, 1, 2)}, {"dropout": 0.1})]
    assert len({supernet.fingerprint for supernet in others}) == 4


@pytest.mark.parametrize("name", ["attentivenas", "alphanet"])
def test_published_files_load_from_the_cache(tmp_path: Path, name: str) -> None:
    source = small(tmp_path, seed=1)
    path = tmp_path / "checkpoints" / PUBLISHED[name].name
    path.parent.mkdir()
    torch.save({"state_dict": {f"module.{key}": value for key, value in source.module.state_dict().items()}}, path)
    loaded = small(tmp_path, checkpoint=None, weights=name)
    for key, value in source.module.state_dict().items():
        assert torch.equal(loaded.module.state_dict()[key], value)
    copy = tmp_path / "copy.pt"
    copy.write_bytes(path.read_bytes())
    assert small(tmp_path, checkpoint=str(copy)).fingerprint == loaded.fingerprint
    assert loaded.fingerprint != small(tmp_path).fingerprint


def test_another_number_of_classes_resets_the_classifier_alone(tmp_path: Path) -> None:
    source = small(tmp_path, seed=1)
    path = tmp_path / "weights.pt"
    torch.save(source.module.state_dict(), path)
    loaded = small(tmp_path, checkpoint=str(path), n_classes=9).module.state_dict()
    fresh = small(tmp_path, n_classes=9).module.state_dict()
    for key, value in source.module.state_dict().items():
        assert torch.equal(loaded[key], fresh[key] if key.startswith("classifier.") else value)
    assert loaded["classifier.linear.linear.weight"].shape == (9, 40)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(small(tmp_path).module.state_dict(), path)
    with pytest.raises(UserError, match=r"first_conv\.conv\.conv\.weight"):
        small(tmp_path, checkpoint=str(path), widths=((8, 24), *SMALL["widths"][1:]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": (1, 2)}, "strides has 2 values; depths has 3, one a stage"),
        ({"squeeze_excite": (True,)}, "squeeze_excite has 1 values"),
        ({"kernel_sizes": ((3, 4),) * 3}, r"kernel_sizes must be odd, got \[\[3, 4\], "),
        ({"resolutions": (32, 16)}, "resolutions must be different numbers in ascending order"),
    ],
)
def test_settings_must_fit(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        small(tmp_path, **changes)
