import json
from pathlib import Path

import pytest
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3

from tests.marks import slow_but

PUBLISHED = json.loads((Path(__file__).parents[1] / "reference" / "net_configs.json").read_text())
"""Files as their authors published them."""

ARCH = '{"ks":[3,5,3],"e":[2,4,1],"d":[1,1,1],"r":8,"w":1.0}'
TINY = ("supernet=tiny", "classes=10")


def profile(launch, *arguments):
    """Return the JSON object that is printed."""
    code, out, err = launch("task=profile", "json=true", *arguments)
    assert code == 0, err
    return json.loads(out)


def test_text_has_the_units_of_everything_else(launch, tmp_path):
    code, out, err = launch("task=profile", f"arch={ARCH}", *TINY, "detail=true")
    assert code == 0, err
    found = profile(launch, f"arch={ARCH}", *TINY)
    lines = out.splitlines()
    assert lines[0] == "net: an architecture of supernet=tiny, input 8 x 8, 10 classes"
    assert lines[1].split() == ["FLOPs", f"{found['macs'] / 1e6:.4g}", "M"]
    assert lines[2].split() == ["parameters", f"{found['params'] / 1e6:.4g}", "M"]
    assert lines[4].split() == ["part", "FLOPs", "(M)", "parameters", "(M)"]
    assert "macs" not in out
    assert list(tmp_path.iterdir()) == []


def test_json_hydras_own_grammar_and_a_file_mean_the_same(launch, tmp_path):
    (tmp_path / "net.subnet").write_text(ARCH)
    results = [
        profile(launch, text, *TINY)
        for text in (f"arch={ARCH}", "arch={ks:[3,5,3],e:[2,4,1],d:[1,1,1],r:8,w:1.0}", "arch=net.subnet")
    ]
    assert results[0]["arch"] == json.loads(ARCH)
    assert isinstance(results[0]["macs"], int) and isinstance(results[0]["params"], int)
    assert results[0] == results[1] == results[2] | {"name": "net"}
    assert profile(launch, "model=net.subnet", *TINY) == results[2]


def test_shares_add_up(launch):
    result = profile(launch, f"arch={ARCH}", "detail=true", *TINY)
    for cost in ("macs", "params"):
        assert sum(result["detail"][cost].values()) == result[cost]
        assert set(result["detail"][cost]) == {
            "stem, features, classifier", "stage1.layer1", "stage2.layer1", "stage3.layer1"
        }  # fmt: skip


def test_the_classifier_counts(launch):
    ten, hundred = (profile(launch, f"arch={ARCH}", "supernet=tiny", f"classes={n}")["params"] for n in (10, 100))
    assert ten == profile(launch, f"arch={ARCH}", "supernet=tiny", "dataset=digits")["params"]
    assert (hundred - ten) % 90 == 0
    assert hundred > ten


@pytest.mark.parametrize("r", [pytest.param(1, marks=pytest.mark.slow), 50])
def test_a_cost_needs_no_resolution_of_a_searchs_list(launch, r):
    assert profile(launch, f"arch={ARCH}", f"r={r}", *TINY)["resolution"] == r


def test_members_of_a_run_and_their_files(launch, runs, tmp_path):
    words = (f"paths.cache={runs / 'cache'}", "device=cpu")
    front = json.loads((runs / "alone" / "front.json").read_text())["front"]
    file = runs / "alone" / "iter_0" / "net_0.subnet"
    for arch in ("arch=1", f"arch='{json.dumps(front[1]['architecture'])}'"):
        member = profile(launch, f"run={runs / 'alone'}", arch, *words)
        assert member["macs"] == pytest.approx(1e6 * front[1]["metrics"]["flops"])
        assert member["params"] == pytest.approx(1e6 * front[1]["metrics"]["params"])
    known = profile(launch, f"run={runs / 'alone'}", f"arch={file}", *words)
    assert profile(launch, f"arch={file}", *words) == profile(launch, f"model={file}", *words) == known
    stats = json.loads(file.with_suffix(".stats").read_text())
    assert known["macs"] == pytest.approx(1e6 * stats["flops"])


def test_cascades(launch, runs):
    front = json.loads((runs / "encas" / "front.json").read_text())["front"]
    found = profile(launch, f"run={runs / 'encas'}", "arch=0", f"paths.cache={runs / 'cache'}")
    assert found["costs"]["flops"] == front[0]["objectives"]["flops"]
    code, out, _ = launch("task=profile", f"run={runs / 'encas'}", "arch=0", f"paths.cache={runs / 'cache'}")
    assert code == 0 and out.startswith(f"cascade-0: a cascade of {len(front[0]['architecture']['networks'])} networks")


def test_a_model_of_timm(launch):
    found = profile(launch, "model=timm:mobilenetv3_small_050", "r=64")
    assert found["resolution"] == 64
    assert round(found["params"] / 1e6, 2) == 1.59  # as timm publishes it


WRONG = {
    "cascade of supernets": ([f'arch={{"tiny":{ARCH},"tiny_wide":{ARCH}}}', *TINY], "is a cascade: name one of its"),
    "cascade": (['arch={"networks":["a","b"],"thresholds":[0.5]}', *TINY], "is a cascade: name one of its networks"),
    "gene": ([f"arch={ARCH.replace('[2,4,1]', '[2,5,1]')}", *TINY], "error: e[1] is 5; choices are 1, 2, 4"),
    "gene of a file": (["arch=odd.subnet", *TINY], "error: 'odd.subnet': e[1] is 5; choices are 1, 2, 4"),
    "no arch": (["arch=nowhere.subnet"], "arch=nowhere.subnet does not exist; give JSON or a file"),
    "no model": (
        ["model=nowhere.subnet"],
        "model=nowhere.subnet does not exist; give a folder, timm:NAME, a net.config",
    ),
    "no JSON": (["arch=empty.subnet"], "arch=empty.subnet is not JSON"),
    "no supernet": (["arch=plain.subnet"], "which supernet the architecture is of is unknown: add supernet=NAME"),
    "no classes": (["arch=plain.subnet", "supernet=tiny"], "is unknown: add classes=10 or dataset=NAME"),
    "no side": (["arch=sideless.subnet", *TINY], "'sideless.subnet' does not say the resolution: add r=224"),
    "side": (["arch=small.subnet", *TINY], "'small.subnet': r is 0; it must be a whole number of pixels"),
    "nothing": ([], "name one model: run=FOLDER (and arch=INDEX), model=FOLDER, FILE or timm:NAME, or arch=FILE"),
    "index alone": (["arch=3"], "name one model: run=FOLDER"),
    "two": (["model=plain.subnet", "arch=3"], "arch=... names an architecture of a run"),
    "picture": (["arch=plain.subnet", *TINY, "picture=arch.txt"], "picture=arch.txt must end in .png, .pdf, .svg"),
}


@pytest.mark.parametrize("case", slow_but({"gene of a file", "no supernet", "nothing"}, WRONG))
def test_what_is_wrong_is_one_line(launch, tmp_path, case):
    words, message = WRONG[case]
    arch = json.loads(ARCH)
    for name, content in (
        ("odd", arch | {"e": [2, 5, 1]}),
        ("plain", arch),
        ("sideless", {key: value for key, value in arch.items() if key != "r"}),
        ("small", arch | {"r": 0}),
    ):
        (tmp_path / f"{name}.subnet").write_text(json.dumps(content))
    (tmp_path / "empty.subnet").write_text("")
    code, _, err = launch("task=profile", *words)
    assert code == 2
    assert message in err and len(err.splitlines()) == 1


def test_picture(launch, tmp_path):
    profile(launch, f"arch={ARCH}", "picture=arch.png", *TINY)
    assert (tmp_path / "arch.png").read_bytes().startswith(b"\x89PNG")


class TestNetConfig:
    @pytest.fixture
    def net_config(self, tmp_path):
        """A file of OFA's largest network at width 1.2."""
        network = OFAMobileNetV3(width_mult=1.2, ks_list=[3, 5, 7], expand_ratio_list=[3, 4, 6], depth_list=[2, 3, 4])
        network.set_max_net()
        path = tmp_path / "net.config"
        path.write_text(json.dumps(network.get_active_net_config()))
        return path

    @pytest.mark.parametrize("supernet", slow_but({"ofa_w12"}, ["ofa_w12", "nat"]))
    def test_costs_what_the_architecture_of_its_supernet_costs(self, launch, net_config, supernet):
        largest = {"ks": [7] * 20, "e": [6] * 20, "d": [4] * 5, "w": 1.2, "r": 223}
        given = profile(launch, f"supernet={supernet}", f"arch={json.dumps(largest)}") | {
            "name": net_config.parent.name
        }
        assert profile(launch, f"supernet={supernet}", f"arch={net_config}", "r=223") == given
        alone = profile(launch, f"model={net_config}", "r=223", "detail=true")
        assert (alone["macs"], alone["params"]) == (given["macs"], given["params"])
        for cost in ("macs", "params"):
            assert sum(alone["detail"][cost].values()) == alone[cost]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["supernet=ofa_w12"], "does not say the resolution: add r=224"),
            (
                ["supernet=ofa_w10", "r=224"],
                "is no network of supernet=ofa_w10, or of another width: its blocks have 24, 32",
            ),
            (["supernet=proxyless", "r=224"], "is no network of supernet=proxyless, or of another width"),
            (["r=224", "classes=10"], "has its own classifier"),
            (["r=224", "sec_obj=latency_table", "sec_obj.latency_table.path=x"], "add supernet=NAME"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, launch, net_config, words, message):
        code, _, err = launch("task=profile", f"arch={net_config}", *words)
        assert code == 2
        assert message in err

    @pytest.mark.parametrize("words", [[], ["supernet=proxyless"]], ids=["alone", "of its supernet"])
    def test_published_networks_of_proxylessnas(self, launch, tmp_path, words):
        """OFA's for a GPU: width 1.3, images of 128 pixels a side, which no search of the supernet has by default."""
        (entry,) = [entry for entry in PUBLISHED if "1080ti_gpu64-12ms" in entry["source"]]
        (tmp_path / "net.config").write_text(json.dumps(entry["config"]))
        (tmp_path / "run.config").write_text(json.dumps(entry["run_config"]))
        found = profile(launch, "arch=net.config", *words)
        assert found["resolution"] == 128
        assert round(found["macs"] / 1e6) == entry["published_mflops"]
        assert round(found["params"] / 1e6, 1) == 5.9

    def test_a_published_network_of_which_blocks_are_left_out(self, launch, tmp_path):
        """ProxylessNAS's for a phone, of width 1: alone it costs what was published; the supernet is wider."""
        (entry,) = [entry for entry in PUBLISHED if entry["source"].endswith("proxyless_mobile.config")]
        (tmp_path / "net.config").write_text(json.dumps(entry["config"]))
        found = profile(launch, "model=net.config", "r=224")
        assert round(found["macs"] / 1e6) == entry["published_mflops"] == 320
        code, _, err = launch("task=profile", "model=net.config", "supernet=proxyless", "r=224")
        assert code == 2 and len(err.splitlines()) == 1
        assert "no network of supernet=proxyless, or of another width: its blocks have 16, 32, 32, 40, 40" in err

    def test_files_of_a_models_folder_say_their_resolution(self, launch, net_config, tmp_path):
        (tmp_path / "run.config").write_text('{"image_size": 128}')
        assert profile(launch, f"model={net_config}")["resolution"] == 128
        assert profile(launch, f"model={net_config}", "r=140")["resolution"] == 140
