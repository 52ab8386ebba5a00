import json
from pathlib import Path

import pytest
from ofa.imagenet_classification.elastic_nn.networks import OFAResNets

from nas.errors import UserError
from nas.model.base import Model
from nas.model.given import Given
from nas.model.subject import Subnet, find_subject
from tests.model.test_old_run import named, write_old

CHOICES = {"depth_list": [0, 1, 2], "expand_ratio_list": [0.2, 0.25, 0.35], "width_mult_list": [0.65, 0.8, 1.0]}


def subject(place: Path, **keys: object) -> object:
    asked = {"run": None, "arch": "best", "model": None, "resolution": None}
    asked |= {"given": Given(settings={}, device="cpu", cache=place)}
    return find_subject(**(asked | keys))  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["model", "arch"])
def test_a_network_of_ofas_resnet50_at_a_resolution_that_no_search_has(tmp_path, key):
    network = OFAResNets(n_classes=10, **CHOICES)
    network.set_active_subnet(d=[0] * 5, e=[0.2] * 18, w=[0] * 6)
    (tmp_path / "net.config").write_text(json.dumps(network.get_active_subnet().config))
    (tmp_path / "run.config").write_text('{"image_size": 100}')
    found = subject(tmp_path, **{key: str(tmp_path / "net.config")})
    assert isinstance(found, Model)
    assert (found.described["resolution"], found.described["n_classes"]) == (100, 10)


def test_members_of_results_of_the_original_tool(tmp_path):
    configs = write_old(tmp_path / "old")
    found = subject(tmp_path, run=tmp_path / "old", arch=1, given=named(tmp_path))
    assert isinstance(found, Subnet)
    assert (found.architecture, found.supernet) == (configs[0], None)


def test_a_static_network_of_attentivenas_needs_its_supernet(tmp_path):
    (tmp_path / "net.config").write_text('{"name": "AttentiveNasStaticModel", "blocks": []}')
    with pytest.raises(UserError, match="is a network of AttentiveNAS's supernet: add supernet=alphanet or attentiven"):
        subject(tmp_path, model=str(tmp_path / "net.config"))
