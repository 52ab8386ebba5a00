import json

from nas.cascade.module import Cascade
from nas.export.base import about, summary
from nas.model.base import Model
from tests.export.networks import small_cascade, small_prepared

NETWORK = {
    "kind": "architecture",
    "name": "net-3",
    "n_classes": 4,
    "class_names": ["a", "b", "c", "d"],
    "resolution": 6,
    "mean": [0.4, 0.5, 0.6],
    "std": [0.2, 0.25, 0.3],
    "crop": 1.0,
    "costs": {"flops": 1.5},
    "objectives": {"top1_error": 3.25},
    "weights": "0123",
    "source": {"run": "/home/somebody/run", "index": 3},
}


def test_a_network_says_what_its_users_need():
    prepared = small_prepared()
    model = Model("net-3", prepared.network, prepared, NETWORK)
    said = about(model, preprocessing=True, free_sides=True, sides=(8, 8))
    assert said["description"] == (
        "images (n, 3, height, width), float32, RGB, pixels scaled to 0..1, to logits (n, classes)"
    )
    assert all(isinstance(value, str) for value in said.values())
    assert json.loads(said["mean"]) == [0.4, 0.5, 0.6] and said["n_classes"] == "4"
    assert json.loads(said["objectives"]) == {"top1_error": 3.25} and json.loads(said["class_names"])[3] == "d"
    assert "somebody" not in str(said)
    bare = about(model, preprocessing=False, free_sides=False, sides=(6, 6))
    assert bare["description"].startswith("images (n, 3, 6, 6), float32, RGB, normalised pixels, to logits")
    assert json.loads(bare["preprocessing"]) is False


def test_a_cascade_says_what_its_networks_are():
    described = {"kind": "cascade", "n_classes": 4, "rule": "average", "limits": [0.5, None], "name": "cascade-1"}
    member = Model("network_1", None, small_prepared(), NETWORK)
    model = Model("cascade-1", None, small_cascade(Cascade, (0.5, 0.5)), described, (member, member))
    said = about(model, preprocessing=True, free_sides=True, sides=(8, 8))
    assert "to probabilities (n, classes), predictions (n), stages (n), costs" in said["description"]
    assert json.loads(said["limits"]) == [0.5, None]
    assert [network["resolution"] for network in json.loads(said["networks"])] == [6, 6]


def test_a_report_names_the_model():
    assert set(summary(NETWORK)) == {"name", "kind", "source", "weights", "costs", "objectives"}
