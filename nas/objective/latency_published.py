"""Reading of the published latency tables of Once-for-All's MobileNetV3.

Two layouts exist. NSGANetV2's ``i7-8700K_lut.yaml`` (Lu et al. 2020) is one file for all resolutions and both widths.
OFA's tables of a Note 10 (Cai et al. 2020) have one file for each resolution, for width 1.2. A key names a part of a
network with the shapes of its input and output. Its ``mean`` is in milliseconds for one image. The measured classifier
has ImageNet's 1000 classes; for other numbers of classes, all latencies differ by the same constant.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np

from nas.dataset.classes import IMAGENET_CLASSES
from nas.errors import UserError
from nas.space.base import SearchSpace
from nas.space.ofa import OfaSpace
from nas.space.table import AdditiveTable, CostTable

STEM, FIRST, WIDTHS = 16, 16, (24, 40, 80, 112, 160)
PUBLISHED_WIDTHS = (1.0, 1.2)
"""Width multipliers of the networks in published tables."""

EXPANDED, FEATURES = 960, 1280
STRIDES = (2, 2, 2, 1, 2)
SQUEEZE = (False, True, False, True, True)
HARD_SWISH = (False, False, True, True, True)
_DIVISOR = 8
_PROBES = 64
_STEM_KEY = re.compile(r"(?:first_conv|Conv)-input:(\d+)x\1x3-output:\d+x\d+x(\d+)")

Lut = Mapping[str, Any]


@dataclass(frozen=True)
class _Block:
    side: int
    inputs: int
    outputs: int
    kernel: int
    stride: int
    expand: float
    squeeze: bool
    hard_swish: bool

    @property
    def hidden(self) -> int:
        return round(self.inputs * self.expand)

    @property
    def shapes(self) -> str:
        after = (self.side - 1) // self.stride + 1
        return f"{_shape('input', self.side, self.inputs)}-{_shape('output', after, self.outputs)}"

    @property
    def identity(self) -> bool:
        return self.stride == 1 and self.inputs == self.outputs

    @property
    def macs(self) -> int:
        after = ((self.side - 1) // self.stride + 1) ** 2
        squeezed = 2 * self.hidden * _divisible(self.hidden // 4) if self.squeeze else 0
        return self.hidden * (self.inputs * self.side**2 + (self.kernel**2 + self.outputs) * after) + squeezed


def is_i7(lut: Lut) -> bool:
    """Return whether a table has the layout of ``i7-8700K_lut.yaml``."""
    return any(str(key).startswith("MBConv-") for key in lut)


def is_note10(lut: Lut) -> bool:
    """Return whether a table has the layout of OFA's tables."""
    return any(str(key).startswith("expanded_conv-") for key in lut)


def published_table(luts: Mapping[str, Lut], path: object, space: SearchSpace, macs: CostTable) -> AdditiveTable:
    """Return the cost table of a search space in milliseconds.

    Args:
        luts: Contents of the files by name, all of one layout.
        path: Path of the files, for messages.
        space: Search space of the supernet.
        macs: Multiply-adds of the supernet, used to detect other networks than OFA's MobileNetV3.

    Raises:
        UserError: If the supernet is another network, or has resolutions, widths or choices that the files lack.
    """
    if not isinstance(space, OfaSpace) or space.n_stages != len(WIDTHS):
        raise UserError(f"{path} is for OFA's MobileNetV3: choose supernet=ofa_w10, ofa_w12 or nat, or measure a table")
    of = {(r, stem): lut for lut in luts.values() for r, stem in _covered(lut)}
    lacking = [(r, w) for r, w in product(space.resolutions, space.widths) if (r, _divisible(STEM * w)) not in of]
    if lacking:
        raise UserError(_other_network(path, of, lacking[0][1]) or _coverage(path, of, *lacking[0]))
    try:
        terms, counted, names = _terms(space, of)
    except KeyError as error:
        raise UserError(f"{path} lacks {error}: choices of the supernet that were not measured") from error
    genomes = space.sample(_PROBES, np.random.default_rng(0))
    expected = macs.parts(genomes)
    found = AdditiveTable(space.n_genes, counted, names).parts(genomes)
    if not all((found[name] == expected.get(name)).all() for name in names[1:]):
        raise UserError(f"{path} is for OFA's MobileNetV3; this supernet has other blocks: measure a table")
    return AdditiveTable(space.n_genes, terms, names)


def _covered(lut: Lut) -> Iterable[tuple[int, int]]:
    """Return the pairs of resolution and stem channels in a file."""
    matches = (_STEM_KEY.fullmatch(str(key)) for key in lut)
    return [(int(match[1]), int(match[2])) for match in matches if match]


def _other_network(path: object, of: Mapping[tuple[int, int], Lut], width: float) -> str:
    """Return a message if the files time another network than OFA's MobileNetV3, else an empty string."""
    stems = sorted({stem for _, stem in of})
    if {_divisible(STEM * w) for w in PUBLISHED_WIDTHS} & set(stems):
        return ""
    has = (
        f"its first convolution has {' or '.join(map(str, stems))} channels" if stems else "it has no first convolution"
    )
    return (
        f"{path} is the table of another network than OFA's MobileNetV3: {has}, this supernet's has "
        f"{_divisible(STEM * width)}; measure a table with task=latency_table"
    )


def _coverage(path: object, of: Mapping[tuple[int, int], Lut], resolution: int, width: float) -> str:
    widths = {w: _divisible(STEM * w) for w in PUBLISHED_WIDTHS}
    there = [str(w) for w, stem in widths.items() if any(stem == s for _, s in of)]
    sides = sorted({r for r, _ in of})
    gaps = {after - before for before, after in pairwise(sides)}
    listed = f"{sides[0]}, {sides[1]}, ..., {sides[-1]}" if len(gaps) == 1 else ", ".join(map(str, sides))
    return (
        f"{path} does not cover resolution {resolution} at width {width}; it covers the resolutions "
        f"{listed} and the width{'s' if len(there) > 1 else ''} {' and '.join(there)}"
    )


def _terms(space: OfaSpace, of: Mapping[tuple[int, int], Lut]) -> tuple[list[Any], list[Any], list[str]]:
    """Return terms of milliseconds, the same terms of multiply-adds, and their names.

    The first term is that of the parts of every network; its multiply-adds are 0.
    """
    tail = [space.resolution_gene] + ([] if space.width_gene is None else [space.width_gene])
    sizes = list(product(space.resolutions, space.widths))
    shape = [int(space.upper[gene]) + 1 for gene in tail]
    ends = np.array([_ends(of[r, _divisible(STEM * w)], r, w) for r, w in sizes]).reshape(shape)
    terms, counted, names = [(tail, ends)], [(tail, np.zeros(shape, dtype=np.int64))], ["stem, features, classifier"]
    for stage, layer in product(range(space.n_stages), range(space.max_depth)):
        choices = list(product(space.kernel_sizes, space.expand_ratios, sizes))
        blocks = [_layer(stage, layer, kernel, expand, size) for kernel, expand, size in choices]
        times = [_mean(of[r, _divisible(STEM * w)], b) for b, (_, _, (r, w)) in zip(blocks, choices, strict=True)]
        genes = [space.depth_gene(stage), space.kernel_gene(stage, layer), space.expand_gene(stage, layer), *tail]
        there = np.array(space.depths) > layer
        axes = [int(space.upper[gene]) + 1 for gene in genes]
        for found, values in ((terms, times), (counted, [block.macs for block in blocks])):
            found.append((genes, np.multiply.outer(there, np.array(values)).reshape(axes)))
        names.append(f"stage{stage + 1}.layer{layer + 1}")
    return terms, counted, names


def _layer(stage: int, layer: int, kernel: int, expand: float, size: tuple[int, float]) -> _Block:
    resolution, width = size
    side = (resolution - 1) // 2 + 1
    for stride in STRIDES[: stage + (layer > 0)]:
        side = (side - 1) // stride + 1
    outputs = _divisible(WIDTHS[stage] * width)
    before = (FIRST, *WIDTHS)[stage]
    return _Block(
        side=side,
        inputs=outputs if layer else _divisible(before * width),
        outputs=outputs,
        kernel=kernel,
        stride=1 if layer else STRIDES[stage],
        expand=expand,
        squeeze=SQUEEZE[stage],
        hard_swish=HARD_SWISH[stage],
    )


def _mean(lut: Lut, block: _Block) -> float:
    rest = f"kernel:{block.kernel}-stride:{block.stride}-idskip:{int(block.identity)}-se:{int(block.squeeze)}"
    if is_i7(lut):
        return float(lut[f"MBConv-{block.shapes}-expand:{block.expand:g}-{rest}"]["mean"])
    key = f"expanded_conv-{block.shapes}-expand:{block.hidden}-{rest}-hs:{int(block.hard_swish)}"
    return float(lut[key]["mean"])


def _ends(lut: Lut, resolution: int, width: float) -> float:
    """Return the milliseconds of the parts of every architecture: stem, first block, features and classifier."""
    half, last = (resolution - 1) // 2 + 1, _layer(len(STRIDES) - 1, 1, 3, 1, (resolution, width))
    stem, expanded, features = (_divisible(channels * width) for channels in (STEM, EXPANDED, FEATURES))
    first = _Block(half, stem, _divisible(FIRST * width), 3, 1, 1, squeeze=False, hard_swish=False)
    i7 = is_i7(lut)
    conv = f"{_shape('input', resolution, 3)}-{_shape('output', half, stem)}"
    expand = f"{_shape('input', last.side, last.outputs)}-{_shape('output', last.side, expanded)}"
    mix = f"{_shape('input', 1, expanded)}-{_shape('output', 1, features)}"
    if i7:
        keys = [f"first_conv-{conv}", f"final_expand_layer-{expand}", f"feature_mix_layer-{mix}"]
        keys.append(f"classifier-input:{features}-output:{IMAGENET_CLASSES}")
    else:
        pool = f"{_shape('input', last.side, expanded)}-{_shape('output', 1, expanded)}"
        keys = [f"Conv-{conv}", f"Conv_1-{expand}", f"AvgPool2D-{pool}", f"Conv_2-{mix}"]
        keys.append(f"Logits-{_shape('input', 1, features)}-output:{IMAGENET_CLASSES}")
    return _mean(lut, first) + sum(float(lut[key]["mean"]) for key in keys)


def _shape(what: str, side: int, channels: int) -> str:
    return f"{what}:{side}x{side}x{channels}"


def _divisible(channels: float) -> int:
    """Round to a positive multiple of 8 by MobileNet's rule: never down by more than 10 %."""
    rounded = max(_DIVISOR, int(channels + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded + _DIVISOR if rounded < 0.9 * channels else rounded
