import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ofa.nas.efficiency_predictor import MBv3LatencyTable

from nas.errors import UserError
from nas.objective.latency_published import published_table
from nas.supernet.base import Supernet
from nas.supernet.nat import Nat
from nas.supernet.ofa_mobilenet import OfaMobileNet
from nas.supernet.proxyless import Proxyless
from tests.ofa_networks import SETTINGS
from tests.small import tiny

DATA = Path(os.environ.get("NAS_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "latency"
I7 = DATA / "i7-8700K_lut.yaml"
ROWS = json.loads((Path(__file__).parents[1] / "reference" / "ofa_mbv3_w10_latency.json").read_text())
needs_data = pytest.mark.skipif(not I7.exists(), reason=f"needs the published tables in {DATA}")


class Ones(dict[str, Any]):
    """A table in which every part takes a millisecond; it names the stems that it covers."""

    def __missing__(self, key: str) -> dict[str, float]:
        return {"mean": 1.0}


def ones(kind: str, *stems: tuple[int, int]) -> Ones:
    first = {"MBConv": "first_conv", "expanded_conv": "Conv"}[kind]
    stem_keys = [f"{first}-input:{r}x{r}x3-output:{r // 2}x{r // 2}x{channels}" for r, channels in stems]
    return Ones({key: {"mean": 1.0} for key in [f"{kind}-any", *stem_keys]})


def ofa(width: float = 1.0, *resolutions: int) -> OfaMobileNet:
    return OfaMobileNet(**(SETTINGS | {"resolutions": resolutions or (192, 224), "n_classes": 1000}), width=width)


def read(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def latencies(luts: dict[str, Any], supernet: Supernet, genomes: Any) -> Any:
    return published_table(luts, "there", supernet.space, supernet.costs()["macs"])(genomes)


@needs_data
def test_i7_table_gives_the_published_latencies() -> None:
    supernet = ofa(1.0, *range(192, 257, 4))
    genomes = np.array([supernet.space.encode(row["arch"]) for row in ROWS])
    np.testing.assert_allclose(
        latencies({"i7": read(I7)}, supernet, genomes), [row["i7_latency"] for row in ROWS], rtol=1e-12
    )


@needs_data
def test_note10_tables_give_what_the_package_predicts() -> None:
    luts = {name: read(DATA / name) for name in ("note10_160.yaml", "note10_224.yaml")}
    supernet = ofa(1.2, 160, 224)
    genomes = np.concatenate([supernet.space.sample(6, np.random.default_rng(0)), [supernet.space.largest]])
    expected = []
    for genome in genomes:
        architecture = supernet.space.decode(genome)
        package = MBv3LatencyTable.__new__(MBv3LatencyTable)  # its constructor needs an older YAML library
        package.lut = luts[f"note10_{architecture.config['r']}.yaml"]
        expected.append(package.predict_network_latency(supernet.extract(architecture), architecture.config["r"]))
    np.testing.assert_allclose(latencies(luts, supernet, genomes), expected, rtol=1e-12)


@needs_data
def test_both_widths_are_one_space_for_nat() -> None:
    lut = {"i7": read(I7)}
    nat = Nat(**(SETTINGS | {"resolutions": (192, 224), "n_classes": 1000}))
    for width, supernet in ((1.0, ofa(1.0)), (1.2, ofa(1.2))):
        genomes = supernet.space.sample(5, np.random.default_rng(0))
        same = np.array([nat.space.encode({**supernet.space.decode(g).config, "w": width}) for g in genomes])
        np.testing.assert_allclose(latencies(lut, nat, same), latencies(lut, supernet, genomes), rtol=1e-12)


@pytest.mark.parametrize(("kind", "ends"), [("MBConv", 5), ("expanded_conv", 6)])
def test_every_part_counts_once(kind: str, ends: int) -> None:
    supernet = ofa()
    genomes = supernet.space.sample(5, np.random.default_rng(0))
    depths = [sum(supernet.space.decode(genome).config["d"]) for genome in genomes]
    found = latencies({"a": ones(kind, (192, 16), (224, 16))}, supernet, genomes)
    np.testing.assert_array_equal(found, np.array(depths) + ends)


def test_one_file_a_resolution() -> None:
    luts = {str(r): ones("expanded_conv", (r, 24)) for r in (192, 224)}
    supernet = ofa(1.2)
    assert len(latencies(luts, supernet, supernet.space.sample(3, np.random.default_rng(0)))) == 3
    del luts["192"]
    with pytest.raises(
        UserError, match=r"does not cover resolution 192 at width 1\.2; it covers the resolutions 224 and"
    ):
        latencies(luts, supernet, supernet.space.smallest[None])


@pytest.mark.parametrize(
    ("supernet", "message"),
    [
        (
            lambda: ofa(1.0, 192, 194),
            "resolution 194 at width 1.0; it covers the resolutions 96, 100, 104, 192",
        ),
        (lambda: ofa(1.2), "does not cover resolution 192 at width 1.2; .* the width 1.0"),
        (lambda: Proxyless(**SETTINGS, last_kernel_sizes=(7,), last_expand_ratios=(6,)), "for OFA's MobileNetV3"),
        (tiny, "for OFA's MobileNetV3: choose supernet=ofa_w10, ofa_w12 or nat"),
        (
            lambda: tiny(
                stage_widths=(8,) * 5,
                strides=(2,) * 5,
                squeeze_excite=(True,) * 5,
                hard_swish=(True,) * 5,
                widths=(1.0,),
                resolutions=(96,),
            ),
            "other blocks",
        ),
    ],
)
def test_what_is_not_covered_is_refused(supernet: Any, message: str) -> None:
    made = supernet()
    lut = ones("MBConv", *((side, 16) for side in (96, 100, 104, 192, 224)))
    with pytest.raises(UserError, match=message) as error:
        latencies({"a": lut}, made, made.space.smallest[None])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("stems", "message"),
    [
        (
            (32, 40),
            r"another network than OFA's MobileNetV3: its first convolution has 32 or 40 channels, this supernet's ",
        ),
        ((), "it has no first convolution, this supernet's has 24; measure a table with task=latency_table"),
    ],
)
def test_tables_of_other_networks_are_refused_as_such(stems: tuple[int, ...], message: str) -> None:
    lut = dict(ones("expanded_conv", (224, stems[0] if stems else 24)))
    for stem in stems[1:]:
        lut |= ones("expanded_conv", (224, stem))
    if not stems:
        lut = {key: value for key, value in lut.items() if not key.startswith(("first_conv", "Conv-"))}
    with pytest.raises(UserError, match=message):
        latencies({"a": lut}, ofa(1.2), ofa(1.2).space.smallest[None])


def test_missing_parts_are_named() -> None:
    lut = dict(ones("MBConv", (192, 16), (224, 16)))
    with pytest.raises(UserError, match="lacks 'MBConv-input:96x96x16-output:96x96x16-expand:1-kernel:3"):
        latencies({"a": lut}, ofa(), ofa().space.smallest[None])
