import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from ofa.imagenet_classification.elastic_nn.networks import OFAResNets

import nas
from nas.errors import UserError
from nas.model.base import Model, silent
from nas.model.find import ModelKeys, find_source, find_subject, loaded
from nas.model.given import Given
from tests.cascades import write_pool
from tests.rounding import rounding
from tests.sealing import change
from tests.small_runs import launched

PUBLISHED = json.loads((Path(__file__).parents[1] / "reference" / "net_configs.json").read_text())


DAMAGE = {
    "wrong": lambda config: config["blocks"][3]["mobile_inverted_conv"].update(in_channels=8),
    "bare": lambda config: config.update(blocks=[]),
    "resnet": lambda config: config.update(name="ResNets"),
    "proxyless": lambda config: config.update(name="ProxylessNASNets"),
}
"""How a file of OFA's MobileNetV3 may be damaged."""


def given(place: Path, **settings: object) -> Given:
    return Given(settings=settings, device="cpu", cache=place / "cache")


def asked(**changes: object) -> dict[str, object]:
    recalibrate = changes.pop("recalibrate", True)
    return {"keys": ModelKeys(**changes), "recalibrate": recalibrate}  # type: ignore[arg-type]


def accuracy(model: Model, run: Path, split: str) -> tuple[float, float]:
    """Return top-1 in percent of the whole model on stored pixels, and of what the run measured."""
    source = find_source(**asked(run=run), given=given(run.parent))
    dataset = source.dataset()
    assert dataset is not None
    images = dataset.split(split)
    with torch.no_grad():
        logits = model.ready(torch.from_numpy(images.pixels[:]).float() / 255)
    key = "test" if split == "test" else "metrics"
    index = model.described["source"]["index"]
    measured = json.loads((run / "front.json").read_text())["front"][index][key]["top1"]
    return 100 * float((logits.argmax(dim=1).numpy() == images.labels).mean()), measured


def test_members_of_a_front_are_what_the_run_measured(runs):
    front = json.loads((runs / "alone" / "front.json").read_text())["front"]
    for arch in ("best", 0, len(front) - 1, "1"):
        model = find_source(**asked(run=runs / "alone", arch=arch), given=given(runs)).load(silent)
        index = 0 if arch == "best" else int(arch)
        assert model.described["architecture"] == front[index]["architecture"]
        assert model.described["genome"] == front[index]["genome"]
        assert model.described["costs"]["flops"] == front[index]["metrics"]["flops"]
        assert model.described["objectives"] == front[index]["objectives"]
        assert not model.ready.training
        for split in ("validation", "test"):
            found, measured = accuracy(model, runs / "alone", split)
            assert found == pytest.approx(measured, abs=rounding(450))


def test_weights_of_another_training_are_warned_about(runs, tmp_path, caplog):
    shutil.copytree(runs / "alone", tmp_path / "alone")
    for expected in (False, True):
        find_source(**asked(run=tmp_path / "alone"), given=given(runs)).load(silent)
        assert ("the weights are not those that" in caplog.text) == expected
        front = json.loads((tmp_path / "alone" / "front.json").read_text())["front"]
        change(tmp_path / "alone" / "front.json", front=[member | {"weights": "0" * 64} for member in front])


def test_an_architecture_that_is_on_no_front(runs, tmp_path):
    front = json.loads((runs / "alone" / "front.json").read_text())["front"]
    config = front[0]["architecture"]
    other = config | {"w": 0.5 if config["w"] == 1.0 else 1.0}
    (tmp_path / "mine.subnet").write_text(json.dumps(other))
    for arch in (other, json.dumps(other), str(tmp_path / "mine.subnet")):
        model = find_source(**asked(run=runs / "alone", arch=arch), given=given(runs)).load(silent)
        assert model.described["architecture"] == other
        known = [tuple(member["genome"]) for member in front]
        assert (model.described["source"]["index"] is None) == (tuple(model.described["genome"]) not in known)
    assert model.name == "mine"


def test_statistics_of_the_supernet(runs):
    own, inherited = (
        find_source(**asked(run=runs / "alone", recalibrate=value), given=given(runs)).load(silent)
        for value in (True, False)
    )
    assert own.network is not None and inherited.network is not None
    first, second = own.network.state_dict(), inherited.network.state_dict()
    different = {name for name in first if not torch.equal(first[name], second[name])}
    assert different and all("running" in name or "tracked" in name for name in different)


def test_three_lines(runs, monkeypatch):
    monkeypatch.setenv("NAS_CACHE", str(runs / "cache"))
    model = nas.load(runs / "alone")
    logits = model(torch.rand(2, 3, 8, 8))
    assert logits.shape == (2, 10)
    monkeypatch.chdir(runs)
    routed = nas.load("encas", arch=0)(torch.rand(2, 3, 8, 8))
    assert routed.predictions.shape == (2,)


def test_a_net_config_with_weights_that_were_written_for_it(runs, tmp_path):
    """What a run's model folder holds is one, too."""
    from nas.model.folder import write_model

    model = loaded_member(runs)
    write_model(tmp_path / "net", model, overwrite=False)
    for weights in ("net.inherited", "model.safetensors"):
        keys = asked(model=str(tmp_path / "net" / "net.config"), weights=str(tmp_path / "net" / weights))
        found = find_source(**keys, given=given(runs)).load(silent)
        assert found.network is not None and model.network is not None
        images = torch.rand(3, 3, 8, 8)
        with torch.no_grad():
            assert torch.equal(found.network(images), model.network(images))
        assert found.described["weights"] == model.described["weights"]


def loaded_member(runs: Path) -> Model:
    return find_source(**asked(run=runs / "alone"), given=given(runs)).load(silent)


@pytest.mark.parametrize("entry", PUBLISHED, ids=lambda entry: entry["source"].split("/")[-2])
def test_published_files_build_and_cost_what_was_published(entry, tmp_path):
    """OFA's and ProxylessNAS's numbers are multiply-adds; NSGANetV2's and NAT's tools count more operations."""
    (tmp_path / "net.config").write_text(json.dumps(entry["config"]))
    for name in ("subnet", "run_config"):
        if name in entry:
            (tmp_path / ("net.subnet" if name == "subnet" else "run.config")).write_text(json.dumps(entry[name]))
    keys = asked(model=str(tmp_path / "net.config"), weights="random", r=entry.get("resolution"))
    model = find_source(**keys, given=given(tmp_path)).load(silent)
    flops, published = model.described["costs"]["flops"], entry["published_mflops"]
    if "han-cai" in entry["source"]:
        assert round(flops) == published
    else:
        assert 0.985 * published < flops < published
    state = torch.random.get_rng_state()
    again = find_source(**keys, given=given(tmp_path)).load(silent)
    assert again.described["weights"] == model.described["weights"]
    assert torch.equal(torch.random.get_rng_state(), state)
    side = model.described["resolution"]
    assert side == entry.get("subnet", {}).get("r", entry.get("run_config", {}).get("image_size", 224))
    with torch.no_grad():
        logits = model.ready(torch.rand(1, 3, 40, 50))
    assert logits.shape == (1, entry["config"]["classifier"]["out_features"])
    assert torch.isfinite(logits).all()


def test_architectures_in_folders_of_runs_and_models_are_named_with_those(runs, tmp_path, monkeypatch):
    """What the message says to type is a model."""
    from nas.model.folder import write_model

    write_model(tmp_path / "net", loaded_member(runs), overwrite=False)
    for file in (tmp_path / "net" / "net.subnet", runs / "alone" / "iter_0" / "net_0.subnet"):
        with pytest.raises(UserError) as error:
            find_source(**asked(model=str(file)), given=given(runs))
        words = dict(word.split("=", 1) for word in str(error.value).split(" with ")[1].split())
        source = find_source(**asked(**words), given=given(runs))
        assert source.n_classes == 10


def test_timm(tmp_path):
    keys = asked(model="timm:mobilenetv3_small_050", weights="random", r=32)
    model = find_source(**keys, given=given(tmp_path)).load(silent)
    assert model.described["n_classes"] == 1000
    assert model.described["resolution"] == 32
    assert model.ready(torch.rand(1, 3, 30, 40)).shape == (1, 1000)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, r"name one model: run=FOLDER"),
        ({"run": "alone", "model": "x"}, r"name one model"),
        ({"run": "nowhere"}, r"run=nowhere is no folder that exists"),
        ({"run": "cache"}, r"'cache' holds no finished run"),
        ({"run": "alone", "arch": 999}, r"arch=999 is no member of the front in 'alone', which has 0 to"),
        ({"run": "alone", "arch": "-1"}, r"arch=-1 is no member"),
        (
            {"run": "alone", "arch": "none.subnet"},
            r"arch=none.subnet is no file that exists; give an index, best, JSON",
        ),
        ({"run": "alone", "arch": '{"ks": [3]}'}, r"the architecture has no 'e'"),
        ({"run": "alone", "weights": "x"}, r"a run has its own weights"),
        ({"run": "greedy", "arch": {"ks": [3]}}, r"evaluated no networks \(evaluator CascadeEvaluator\)"),
        ({"model": "nowhere"}, r"model=nowhere does not exist; give a folder of task=select, a net.config"),
        ({"model": "cache"}, r"'cache' is no folder of a model: it has no model.json"),
        ({"model": "nowhere", "arch": 3}, r"arch=... names an architecture of a run"),
        ({"model": "broken.config", "weights": "random"}, r"model=broken.config is not JSON"),
        ({"model": "list.config", "weights": "random"}, r"model=list.config must hold a JSON object"),
        (
            {"model": "odd.config", "weights": "random", "r": 8},
            r"'odd.config' describes a network of 'VGG', which cannot",
        ),
        (
            {"model": "empty.config", "weights": "random", "r": 8},
            r"'empty.config' is damaged, or no network of 'MobileNetV3': 'first_conv' is missing",
        ),
        (
            {"model": "wrong.config", "weights": "random", "r": 8},
            r"'wrong.config' is damaged: blocks\[3\] takes 8 channels, and blocks\[2\] before it gives 32",
        ),
        ({"model": "bare.config", "weights": "random", "r": 8}, r"'bare.config' is damaged: it has no blocks"),
        (
            {"model": "resnet.config", "weights": "random", "r": 8},
            r"'resnet.config' is damaged, or no network of 'ResNets': 'input_stem' is missing",
        ),
        (
            {"model": "proxyless.config", "weights": "random", "r": 8},
            r"'proxyless.config' is damaged: feature_mix_layer takes 1152 channels, and blocks\[16\] before it",
        ),
        ({"model": "mobile.config"}, r"which weights 'mobile.config' has is unknown: add weights=FILE"),
        ({"model": "mobile.config", "weights": "random"}, r"'mobile.config' does not say the resolution: add r=224"),
        ({"model": "mobile.config", "weights": "gone.pth", "r": 8}, r"weights=gone.pth is no file"),
        ({"model": "mobile.config", "weights": "other.pth", "r": 8}, r"holds the weights of another archit"),
        ({"model": "mobile.config", "weights": "text.pth", "r": 8}, r"checkpoint 'text.pth' cannot be read"),
        ({"model": "arch.subnet", "weights": "random"}, r"which supernet the architecture is of is unknown"),
        ({"model": "timm:mobilenetv9"}, r"timm .* has no model 'mobilenetv9'; did you mean"),
        ({"model": "timm:resnet18", "weights": "gone.pth"}, r"weights=gone.pth does not exist"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(runs, keys, message, monkeypatch):
    monkeypatch.chdir(runs)
    Path("broken.config").write_text("{")
    Path("list.config").write_text("[]")
    Path("odd.config").write_text('{"name": "VGG", "blocks": []}')
    Path("empty.config").write_text('{"name": "MobileNetV3", "blocks": []}')
    Path("mobile.config").write_text(json.dumps(PUBLISHED[2]["config"]))
    for name, damage in DAMAGE.items():
        config = json.loads(json.dumps(PUBLISHED[2]["config"]))
        damage(config)
        Path(f"{name}.config").write_text(json.dumps(config))
    Path("arch.subnet").write_text('{"ks": [3], "e": [1], "d": [1], "r": 8}')
    Path("text.pth").write_text("no tensors")
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, "other.pth")
    with pytest.raises(UserError, match=message):
        find_source(**asked(**keys), given=given(runs))


def test_outputs_alone_make_no_network(tmp_path, monkeypatch):
    write_pool(tmp_path / "models")
    words = ("pool=files", "pool.folders=[models]", "dataset=none", "tracker=csv", "device=cpu", "paths.cache=cache")
    launched(tmp_path, *words, "algorithm=encas", "optimizer.evaluations=200", "paths.run=run")
    with pytest.raises(UserError, match=r"outputs that somebody else made \(pool=files\), whose networks are unknown"):
        find_source(**asked(run=tmp_path / "run"), given=given(tmp_path))


def test_a_damaged_run(runs, tmp_path):
    shutil.copytree(runs / "alone", tmp_path / "alone")
    (tmp_path / "alone" / "front.json").unlink()
    with pytest.raises(UserError, match="holds no finished run"):
        find_source(**asked(run=tmp_path / "alone"), given=given(runs))
    (tmp_path / "alone" / "status.json").unlink()
    with pytest.raises(UserError, match="holds no finished run"):
        loaded(tmp_path / "alone", "best", "cpu")


def test_cascades_are_what_the_run_measured(runs, monkeypatch):
    monkeypatch.chdir(runs)
    for name in ("encas", "greedy"):
        front = json.loads((runs / name / "front.json").read_text())["front"]
        index = int(np.argmax([len(member["architecture"]["networks"]) for member in front]))
        source = find_source(**asked(run=Path(name), arch=index), given=given(runs))
        model = source.load(silent)
        dataset = source.dataset()
        assert dataset is not None and source.n_classes == dataset.n_classes == 10
        images = dataset.split("test")
        routed = model.ready(torch.from_numpy(images.pixels[:]).float() / 255)
        found = 100 * float((routed.predictions.numpy() == images.labels).mean())
        assert found == pytest.approx(front[index]["test"]["top1"], abs=rounding(len(images)))
        assert len(model.members) == len(front[index]["architecture"]["networks"]) > 1


CHOICES = {"depth_list": [0, 1, 2], "expand_ratio_list": [0.2, 0.25, 0.35], "width_mult_list": [0.65, 0.8, 1.0]}


def subject(place: Path, **keys: object) -> object:
    return find_subject(ModelKeys(**keys), Given(settings={}, device="cpu", cache=place))  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["model", "arch"])
def test_a_network_of_ofas_resnet50_at_a_resolution_that_no_search_has(tmp_path, key):
    network = OFAResNets(n_classes=10, **CHOICES)
    network.set_active_subnet(d=[0] * 5, e=[0.2] * 18, w=[0] * 6)
    (tmp_path / "net.config").write_text(json.dumps(network.get_active_subnet().config))
    (tmp_path / "run.config").write_text('{"image_size": 100}')
    found = subject(tmp_path, **{key: str(tmp_path / "net.config")})
    assert isinstance(found, Model)
    assert (found.described["resolution"], found.described["n_classes"]) == (100, 10)


def test_a_static_network_of_attentivenas_needs_its_supernet(tmp_path):
    (tmp_path / "net.config").write_text('{"name": "AttentiveNasStaticModel", "blocks": []}')
    with pytest.raises(UserError, match="is a network of AttentiveNAS's supernet: add supernet=alphanet or attentiven"):
        subject(tmp_path, model=str(tmp_path / "net.config"))
