import json
import pickle
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from ofa.imagenet_classification import networks as ofa_networks
from safetensors.torch import load_file, save_file
from torch import nn

import nas
from nas.errors import UserError
from nas.model.base import Model, preparation, silent
from nas.model.build import network_from_config, network_of
from nas.model.find import find_source
from nas.model.folder import read_model, write_model
from nas.model.net_config import architectures as net_config_architectures
from nas.pool.timm_models import counted
from nas.supernet.attentivenas import AttentiveNas
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import weights_digest
from nas.supernet.ofa_mobilenet import OfaMobileNet
from nas.supernet.ofa_resnet50 import OfaResnet50
from nas.supernet.proxyless import Proxyless
from tests.model.test_find import asked, given
from tests.model.test_old_run import DIGITS
from tests.ofa_networks import SETTINGS, architectures, scramble
from tests.small_runs import exit_code

ROOT = Path(__file__).parents[2]


def model_of(runs: Path, run: str = "alone", **keys: object) -> Model:
    return find_source(**asked(run=runs / run, **keys), given=given(runs)).load(silent)


@pytest.fixture
def folder(runs, tmp_path) -> Path:
    write_model(tmp_path / "net", model_of(runs), overwrite=False)
    return tmp_path / "net"


def test_a_model_is_read_as_it_was_written(runs, folder):
    model = model_of(runs)
    read = read_model(folder, device="cpu")
    assert {**read.described} == json.loads((folder / "model.json").read_text())
    assert {**model.described, "format": 1} == read.described
    images = torch.rand(5, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(read.ready(images), model.ready(images))
        assert torch.equal(nas.load(folder)(images), model.ready(images))
    assert json.loads((folder / "net.subnet").read_text()) == model.described["architecture"]
    assert not [path for path in folder.parent.iterdir() if path != folder]


def test_the_card_says_what_a_user_wants_to_know(runs, folder):
    text, described = (folder / "README.md").read_text(), model_of(runs).described
    for word in (described["weights"], "validation top1", "Digits", 'nas.load(".")'):
        assert word in text


def test_the_cards_commands_work_where_it_is_read(runs, folder, tmp_path, monkeypatch):
    place = tmp_path / "it's, 100 %=mine"
    folder.rename(place)
    text = (place / "README.md").read_text()
    program, *words = shlex.split(text.split("```sh\n")[1].split("\n")[0])[1:]
    assert Path(program) == ROOT / "launch.py"
    assert exit_code(place, *words, "device=cpu", f"paths.cache={runs / 'cache'}") == 0
    assert (place / "validation" / "test" / "results.json").is_file()
    code = text.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(place)
    names: dict[str, object] = {"images": torch.rand(2, 3, 8, 8)}
    exec(code, names)
    assert tuple(names["answers"].shape) == (2, 10)


def test_a_data_set_in_a_relative_folder_means_the_same_in_the_models_folder(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = model_of(runs)
    node = {"_target_": "nas.dataset.imagefolder.ImageFolder", "path": "photos"}
    write_model(Path("net"), replace(model, described={**model.described, "dataset": node}), overwrite=False)
    assert json.loads(Path("net/model.json").read_text())["dataset"]["path"] == str(tmp_path / "photos")


def test_files_of_the_original_tool(folder):
    """Its users build a network from net.config and load what is under state_dict."""
    state = torch.load(folder / "net.inherited", weights_only=True)["state_dict"]
    config = json.loads((folder / "net.config").read_text())
    assert config["resolution"] == config["img_size"] == 8
    network = network_from_config(config, folder / "net.config")
    assert network.state_dict().keys() == state.keys()
    assert counted(network, 8) == pytest.approx(json.loads((folder / "model.json").read_text())["costs"])


def _settings(supernet: Supernet, changes: dict[str, object]) -> dict[str, object]:
    kind = type(supernet)
    return {"_target_": f"{kind.__module__}.{kind.__name__}", "_partial_": True, **changes}


OFA = {
    "MobileNetV3": (OfaMobileNet, {"width": 1.2}),
    "ProxylessNASNets": (Proxyless, {"last_kernel_sizes": [3, 5, 7], "last_expand_ratios": [3, 4, 6]}),
    "ResNets": (OfaResnet50, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OFA)
def test_the_package_ofa_loads_what_is_written(name, tmp_path):
    """By its own methods alone, as the original tool calls them."""
    kind, changes = OFA[name]
    supernet = kind(**(SETTINGS | changes))
    scramble(supernet.module)
    own = {key: value for key, value in SETTINGS.items() if key not in ("n_classes", "cache")}
    node = _settings(supernet, json.loads(json.dumps(own | changes)))
    for number, architecture in enumerate(architectures(supernet, 4)[1:]):
        network = supernet.extract(architecture)
        model = _model(network, {"supernet": node, "architecture": dict(architecture.config)})
        write_model(tmp_path / f"{number}", model, overwrite=False)
        config = json.loads((tmp_path / f"{number}" / "net.config").read_text())
        loaded = getattr(ofa_networks, name).build_from_config(config).eval()
        loaded.load_state_dict(torch.load(tmp_path / f"{number}" / "net.inherited", weights_only=True)["state_dict"])
        images = torch.randn(2, 3, 43, 43)
        with torch.no_grad():
            assert torch.equal(loaded(images), network(images))
            read = read_model(tmp_path / f"{number}", device="cpu")
            assert read.network is not None
            assert torch.equal(read.network(images), network(images))
        if name == "MobileNetV3":  # the names that the original tool's own class has
            assert all("mobile_inverted_conv" in block for block in json.loads(
                (tmp_path / f"{number}" / "net.config").read_text())["blocks"])  # fmt: skip


def _model(network: nn.Module, known: dict[str, object]) -> Model:
    described = {
        "kind": "architecture",
        "name": "net",
        "n_classes": 10,
        "class_names": None,
        "resolution": known["architecture"]["r"],
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "crop": 1.0,
        "costs": {"flops": 1.0, "params": 1.0},
        "objectives": {},
        "units": {},
        "metrics": {},
        "dataset": None,
        "evaluator": None,
        "source": {},
        "weights": weights_digest(network.state_dict()),
        **known,
    }
    return Model("net", network, preparation(network, described), described)


def test_fine_tuning_can_ask_for_dropout_and_stochastic_depth(tmp_path):
    supernet = OfaMobileNet(**(SETTINGS | {"width": 1.0}))
    architecture = supernet.space.decode(supernet.space.largest)
    node = _settings(supernet, {key: SETTINGS[key] for key in SETTINGS if key not in ("n_classes", "cache")})
    known = {"kind": "architecture", "supernet": {**node, "width": 1.0}, "architecture": dict(architecture.config)}
    known |= {"n_classes": 10}
    config = supernet.extract(architecture).config
    images = torch.randn(4, 3, 32, 32)
    for described in (known, {"kind": "net_config", "net_config": config}):
        plain, dropped = (network_of(described, tmp_path / "x", *rates) for rates in ((0.0, 0.0), (0.5, 0.5)))
        assert plain.state_dict().keys() == dropped.state_dict().keys()
        for network, varies in ((plain, False), (dropped, True)):
            network.train()
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
            assert torch.equal(network(images), network(images)) != varies


def test_tiny_networks_have_no_stochastic_depth(runs, tmp_path):
    described = model_of(runs).described
    assert any(isinstance(m, nn.Dropout) and m.p == 0.5 for m in network_of(described, tmp_path, 0.5).modules())
    with pytest.raises(UserError, match=r"the networks of nas.supernet.tiny.Tiny have no drop_path"):
        network_of(described, tmp_path, 0.5, 0.2)


def test_attentivenas_in_the_layout_of_its_authors(tmp_path):
    """Names of tensors are those that their static model has; with the supernet, the files are a model again."""
    keys = yaml.safe_load((ROOT / "conf" / "supernet" / "attentivenas.yaml").read_text())
    node = {key: value for key, value in keys.items() if key != "defaults"} | {"checkpoint": "random"}
    settings = {key: value for key, value in node.items() if not key.startswith("_")}
    supernet = AttentiveNas(**settings, n_classes=10, cache=tmp_path)
    scramble(supernet.module)
    architecture = architectures(supernet, 3)[2]
    network = supernet.extract(architecture)
    write_model(
        tmp_path / "net",
        _model(network, {"supernet": node, "architecture": dict(architecture.config)}),
        overwrite=False,
    )
    config = json.loads((tmp_path / "net" / "net.config").read_text())
    assert net_config_architectures(config, (), "net.config") == [dict(architecture.config)]
    state = torch.load(tmp_path / "net" / "net.inherited", weights_only=True)["state_dict"]
    names = {"first_conv.conv.weight", "first_conv.bn.weight", "blocks.0.mobile_inverted_conv.depth_conv.conv.weight"}
    names |= {"blocks.0.shortcut.conv.weight", "last_conv.feature_mix_layer.conv.weight", "classifier.linear.weight"}
    assert names <= state.keys()
    places = {int(key.split(".")[1]) for key in state if key.startswith("blocks.")}
    assert places == set(range(sum(architecture.config["d"])))
    files = {"model": str(tmp_path / "net" / "net.config"), "weights": str(tmp_path / "net" / "net.inherited")}
    settings = {"supernet": node, "dataset": DIGITS}
    found = find_source(**asked(**files), given=given(tmp_path, **settings)).load(silent)
    assert found.described["weights"] == weights_digest(network.state_dict())


def test_cascades(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(runs)
    model = model_of(runs, "encas", arch=0)
    write_model(tmp_path / "cascade", model, overwrite=False)
    read = read_model(tmp_path / "cascade", device="cpu")
    images = torch.rand(20, 3, 8, 8)
    expected, found = model.ready(images), read.ready(images)
    for name in ("probabilities", "predictions", "stages", "costs"):
        assert torch.equal(getattr(expected, name), getattr(found, name))
    for place in range(1, len(model.members) + 1):
        assert (tmp_path / "cascade" / f"network_{place}" / "net.inherited").exists()
        nas.load(tmp_path / "cascade" / f"network_{place}")(images)


def test_what_is_there_stays(runs, folder, tmp_path):
    model = model_of(runs)
    with pytest.raises(UserError, match="exists; add overwrite=true to replace it"):
        write_model(folder, model, overwrite=False)
    (folder / "old").write_text("")
    write_model(folder, model, overwrite=True)
    assert not (folder / "old").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("")
    with pytest.raises(UserError, match="exists and is no folder of a model; choose another place"):
        write_model(tmp_path / "other", model, overwrite=True)
    assert (tmp_path / "other" / "thesis.txt").exists()


def test_a_write_that_fails_leaves_nothing(runs, tmp_path, monkeypatch):
    def fail(*_: object) -> str:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("nas.model.folder.card", fail)
    with pytest.raises(RuntimeError, match="the disk is full"):
        write_model(tmp_path / "net", model_of(runs), overwrite=False)
    assert list(tmp_path.iterdir()) == []


class Evil:
    def __reduce__(self):
        return Path("/tmp/nas_evil").touch, ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("kind"), "describes no model"),
        (lambda d: d.update(kind="poem"), "of the kind 'poem', which this version does not know"),
        (lambda d: d["supernet"].update(_target_="os.system"), "is no class of nas.supernet; only those are used"),
        (lambda d: d["architecture"].update(w=0.5 if d["architecture"]["w"] == 1 else 1.0), "weights of another arch"),
        (lambda d: d.update(weights="0"), "its digest is not the one in model.json"),
        (lambda d: d.update(mean=[1]), "is damaged"),
        (lambda d: d.update(kind="timm", timm="hf_hub:somebody/model"), "has no 'hf_hub:somebody/model'"),
        (lambda d: d.update(kind="cascade", folders=["../../elsewhere"]), "its networks must be in network_1"),
    ],
)
def test_damaged_descriptions(folder, change, message):
    described = json.loads((folder / "model.json").read_text())
    change(described)
    (folder / "model.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match=message):
        read_model(folder, device="cpu")


def test_damaged_weights(folder):
    path = folder / "model.safetensors"
    state = load_file(path)
    name = "classifier.weight"
    save_file({**state, name: state[name] + 1}, path)
    with pytest.raises(UserError, match="its digest is not the one"):
        read_model(folder, device="cpu")
    save_file({key: value for key, value in state.items() if key != name}, path)
    with pytest.raises(UserError, match=f"holds the weights of another architecture: '{name}' is missing"):
        read_model(folder, device="cpu")
    save_file({**state, "more": state[name].clone()}, path)
    with pytest.raises(UserError, match="it has no 'more'"):
        read_model(folder, device="cpu")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="cannot be read"):
        read_model(folder, device="cpu")


def test_no_code_of_a_weights_file_is_run(runs, folder, tmp_path):
    marker = Path("/tmp/nas_evil")
    marker.unlink(missing_ok=True)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"state_dict": Evil()}))
    keys = asked(model=str(folder / "net.config"), weights=str(tmp_path / "evil.pth"))
    with pytest.raises(UserError, match="cannot be read"):
        find_source(**keys, given=given(runs)).load(silent)
    assert not marker.exists()


def test_a_folder_that_was_moved_is_still_a_model(folder, tmp_path):
    shutil.move(folder, tmp_path / "elsewhere")
    assert nas.load(tmp_path / "elsewhere")(torch.rand(1, 3, 8, 8)).shape == (1, 10)
