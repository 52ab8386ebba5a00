import json

import pytest

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
    ],
)
def test_wrong_architectures(launch, tmp_path, arch, message):
    (tmp_path / "empty.subnet").write_text("")
    code, _, err = launch("task=profile", f"arch={arch}")
    assert code == 2
    assert message in err
