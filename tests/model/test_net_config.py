import numpy as np
import pytest
from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3, OFAProxylessNASNets, OFAResNets

from nas.errors import UserError
from nas.model.net_config import architectures, is_net_config, outputs
from nas.space.ofa import OfaSpace
from nas.space.ofa_resnet50 import OfaResnet50Space

MOBILE = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}


def activate(network, config, stages):
    """Set an architecture of the package, which wants four layers of every stage."""
    kernels, expands, layer = [], [], 0
    for depth in config["d"][:stages]:
        kernels += [*config["ks"][layer : layer + depth], *[3] * (4 - depth)]
        expands += [*config["e"][layer : layer + depth], *[3] * (4 - depth)]
        layer += depth
    network.set_active_subnet(
        ks=kernels + config["ks"][layer:], e=expands + config["e"][layer:], d=config["d"][:stages]
    )
    return network.get_active_net_config()


def test_mobilenet_v3():
    network = OFAMobileNetV3(n_classes=10, width_mult=1.2, **MOBILE)
    space = OfaSpace(
        n_stages=5,
        depths=(2, 3, 4),
        kernel_sizes=(3, 5, 7),
        expand_ratios=(3, 4, 6),
        resolutions=(192,),
        widths=(1.0, 1.2),
    )
    for genome in space.sample(5, np.random.default_rng(0)):
        config = dict(space.decode(genome).config) | {"w": 1.2}
        written = activate(network, config, 5)
        assert is_net_config(written)
        assert not is_net_config(config)
        first, second = architectures(written, space.widths, "net.config")
        assert second | {"r": 192} == config
        assert first == second | {"w": 1.0}
        assert outputs(written)[:2] == [24, 32]


def test_blocks_under_their_older_names():
    network = OFAMobileNetV3(n_classes=10, width_mult=1.0, **MOBILE)
    network.set_active_subnet(ks=5, e=4, d=3)
    written = network.get_active_net_config()
    for block in written["blocks"]:
        block["mobile_inverted_conv"] = block.pop("conv")
    assert architectures(written, (1.0,), "net.config") == [{"ks": [5] * 15, "e": [4] * 15, "d": [3] * 5, "w": 1.0}]


def test_proxyless():
    network = OFAProxylessNASNets(n_classes=10, width_mult=1.3, **MOBILE)
    network.set_active_subnet(ks=5, e=4, d=3)
    assert architectures(network.get_active_net_config(), (1.3,), "net.config") == [
        {"ks": [5] * 16, "e": [4] * 16, "d": [3, 3, 3, 3, 3, 1], "w": 1.3}
    ]


def test_resnet50():
    choices = {"depth_list": [0, 1, 2], "expand_ratio_list": [0.2, 0.25, 0.35], "width_mult_list": [0.65, 0.8, 1.0]}
    network = OFAResNets(n_classes=10, **choices)
    space = OfaResnet50Space(resolutions=(128,))
    for genome in space.sample(5, np.random.default_rng(0)):
        config = dict(space.decode(genome).config)
        network.set_active_subnet(d=config["d"], e=[e or 0.2 for e in config["e"]], w=config["w"])
        (found,) = architectures(network.get_active_subnet().config, (1.0,), "net.config")
        np.testing.assert_array_equal(space.encode(found | {"r": 128}), genome)


def attentivenas(widths, depths, kernels, expands, resolution):
    """A configuration as AttentiveNAS's static model writes it, in the keys that say the architecture."""
    strides, blocks, inputs = [1, 2, 2, 2, 1, 2, 1], [], widths[0]
    for width, depth, kernel, expand, stride in zip(widths[1:-1], depths, kernels, expands, strides, strict=True):
        for layer in range(depth):
            conv = {
                "in_channels": inputs,
                "out_channels": width,
                "kernel_size": kernel,
                "expand_ratio": expand,
                "stride": stride if layer == 0 else 1,
            }
            blocks.append({"name": "MobileInvertedResidualBlock", "mobile_inverted_conv": conv, "shortcut": None})
            inputs = width
    return {
        "name": "AttentiveNasStaticModel",
        "first_conv": {"out_channels": widths[0]},
        "blocks": blocks,
        "classifier": {"in_features": widths[-1]},
        "resolution": resolution,
    }


@pytest.mark.parametrize("last", [216, 224])
@pytest.mark.parametrize("kernel", [3, 5])
def test_attentivenas_also_where_the_last_stages_have_equal_widths(last, kernel):
    arch = {
        "r": 224,
        "w": [16, 16, 24, 32, 64, 112, 216, last, 1984],
        "d": [1, 3, 3, 4, 3, 5, 1],
        "ks": [3, 5, 3, 5, 3, 5, kernel],
        "e": [1, 4, 5, 6, 5, 6, 6],
    }
    written = attentivenas(arch["w"], arch["d"], arch["ks"], arch["e"], arch["r"])
    assert architectures(written, (), "net.config") == [arch]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"name": "VGG", "blocks": []},
            "'net.config' describes a network of 'VGG', which is unknown; known are MobileNetV3",
        ),
        (
            {"name": "MobileNetV3", "blocks": [{}, {"conv": {}}]},
            "'net.config' is damaged, or no network of 'MobileNetV3'",
        ),
    ],
)
def test_what_cannot_be_read(config, message):
    with pytest.raises(UserError, match=message):
        architectures(config, (1.0,), "net.config")
