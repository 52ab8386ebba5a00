import json

import pytest
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3

from tests.marks import slow_but

ARCH = '{"ks":[3,5,3],"e":[2,4,1],"d":[1,1,1],"r":8,"w":1.0}'


def profile(launch, *arguments):
    code, out, err = launch("task=profile", *arguments)
    assert code == 0, err
    return json.loads(out.strip().splitlines()[-1])


def test_prints_exact_costs_as_json_and_leaves_nothing(launch, tmp_path):
    result = profile(launch, f"arch={ARCH}")
    assert result["arch"] == json.loads(ARCH)
    assert isinstance(result["macs"], int)
    assert isinstance(result["params"], int)
    assert list(tmp_path.iterdir()) == []


def test_json_hydras_own_grammar_and_a_file_mean_the_same(launch, tmp_path):
    (tmp_path / "net.subnet").write_text(ARCH)
    results = [
        profile(launch, f"arch={text}") for text in (ARCH, "{ks:[3,5,3],e:[2,4,1],d:[1,1,1],r:8,w:1.0}", "net.subnet")
    ]
    assert results[0] == results[1] == results[2]


def test_shares_add_up(launch):
    result = profile(launch, f"arch={ARCH}", "detail=true")
    for cost in ("macs", "params"):
        assert sum(result["detail"][cost].values()) == result[cost]
        assert set(result["detail"][cost]) == {
            "stem, features, classifier", "stage1.layer1", "stage2.layer1", "stage3.layer1"
        }  # fmt: skip


def test_the_classifier_counts(launch):
    ten, hundred = (profile(launch, f"arch={ARCH}", f"classes={n}")["params"] for n in (10, 100))
    assert ten == profile(launch, f"arch={ARCH}")["params"]
    assert (hundred - ten) % 90 == 0
    assert hundred > ten


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        (ARCH.replace("[2,4,1]", "[2,5,1]"), "e[1] is 5; choices are 1, 2, 4"),
        ("nowhere.subnet", "is neither JSON nor a file"),
        ("empty.subnet", "is not JSON"),
        ("???", "arch must be given"),
        (f'{{"tiny":{ARCH},"tiny_wide":{ARCH}}}', "is a cascade: name one of its networks"),
        ('{"networks":["a","b"],"thresholds":[0.5]}', "is a cascade: name one of its networks"),
    ],
)
def test_wrong_architectures(launch, tmp_path, arch, message):
    (tmp_path / "empty.subnet").write_text("")
    code, _, err = launch("task=profile", f"arch={arch}")
    assert code == 2
    assert message in err


def test_picture(launch, tmp_path):
    profile(launch, f"arch={ARCH}", "picture=arch.png")
    assert (tmp_path / "arch.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = launch("task=profile", f"arch={ARCH}", "picture=arch.txt")
    assert code == 2
    assert "picture=arch.txt must end in .png, .pdf, .svg" in err


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
    def test_is_read_with_the_resolution_from_the_command_line(self, launch, net_config, supernet):
        largest = {"ks": [7] * 20, "e": [6] * 20, "d": [4] * 5, "w": 1.2, "r": 224}
        given = profile(launch, f"supernet={supernet}", f"arch={json.dumps(largest)}")
        assert profile(launch, f"supernet={supernet}", f"arch={net_config}", "r=224") == given

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["supernet=ofa_w12"], "does not say the resolution: add r=224"),
            (["supernet=ofa_w10", "r=224"], "is of another width than supernet=ofa_w10: its blocks have 24, 32"),
            (["supernet=ofa_w12", "r=223"], "r is 223; choices are 192"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, launch, net_config, arguments, message):
        code, _, err = launch("task=profile", f"arch={net_config}", *arguments)
        assert code == 2
        assert message in err
