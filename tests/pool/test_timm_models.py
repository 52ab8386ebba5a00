import random

import numpy as np
import pytest
import torch

from nas.errors import UserError
from nas.pool.timm_models import make_model, model_names, transform_of


def test_patterns_become_names():
    assert model_names(["efficientnet_lite[01]", "resnet18", "efficientnet_lite*"]) == (
        "efficientnet_lite0",
        "efficientnet_lite1",
        "resnet18",
        "efficientnet_lite2",
        "efficientnet_lite3",
        "efficientnet_lite4",
    )
    assert "resnet18.a1_in1k" in model_names(["resnet18.*"])


def test_the_published_list():
    names = model_names("published")
    assert len(names) == len(set(names)) == 518
    assert names[0] == "beit_large_patch16_512"
    assert names[-1] == "tf_mobilenetv3_small_minimal_100"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["resnet81"], "has no 'resnet81'; did you mean 'resnet"),
        (["nothing*"], "no model of timm .* matches 'nothing"),
        ([], "pool.models is empty"),
        ("all", "pool.models=all is wrong"),
    ],
)
def test_unknown_names_are_refused(wanted, message):
    with pytest.raises(UserError, match=message):
        model_names(wanted)


def test_random_weights_follow_from_the_seed_and_leave_no_trace():
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    first, again, other = (make_model("mobilenetv3_small_050", "random", seed, 4, None) for seed in (0, 0, 1))
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
    images = torch.ones(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(first(images), again(images))
        assert not torch.equal(first(images), other(images))
    assert not first.training


def test_each_model_has_its_own_images():
    network = make_model("resnet18", "random", 0, 4, None)
    own, side = transform_of(network, None)
    assert side == 288  # timm's size for tests
    assert "0.485" in str(own)
    assert "bicubic" in str(own).lower()
    smaller, side = transform_of(network, 160)
    assert side == 160
    assert "(160, 160)" in str(smaller)


def test_old_names_give_no_warnings():
    make_model("gluon_resnet18_v1b", "random", 0, 4, None)
