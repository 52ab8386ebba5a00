import argparse
import logging
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from nas.errors import UserError
from nas.supernet.checkpoint import LoadReport, Published, load_into, locate, read_state_dict
from nas.training import checkpoint as own

HEAD = ("1.weight", "1.bias")
PUBLISHED = Published(name="weights.pt", url="http://127.0.0.1:9/weights.pt", sha256=None)


def network(classes: int = 5, features: int = 4) -> nn.Sequential:
    torch.manual_seed(classes)
    return nn.Sequential(nn.Linear(3, features), nn.Linear(features, classes), nn.BatchNorm1d(classes))


@pytest.fixture
def state() -> dict[str, Tensor]:
    return {key: value + 1 for key, value in network().state_dict().items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pt"


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_random_is_no_file(tmp_path: Path) -> None:
    assert locate("random", PUBLISHED, tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_path_is_that_file(path: Path, tmp_path: Path) -> None:
    path.touch()
    assert locate(str(path), PUBLISHED, tmp_path / "cache") == path
    with pytest.raises(UserError, match=r"checkpoint '.*missing\.pt' does not exist; .* or random"):
        locate(str(tmp_path / "missing.pt"), PUBLISHED, tmp_path)
    with pytest.raises(UserError, match="is not a file"):
        locate(str(tmp_path), PUBLISHED, tmp_path)


def test_nothing_is_the_published_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    place = tmp_path / "checkpoints" / "weights.pt"
    with pytest.raises(UserError, match=f"cannot download {PUBLISHED.url} .* put the file at '{place}' by hand"):
        locate(None, PUBLISHED, tmp_path)
    place.touch()
    assert locate(None, PUBLISHED, tmp_path) == place


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model", "content"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("zipped", [True, False])
def test_layouts(state: dict[str, Tensor], path: Path, wrapper: str | None, prefix: str, zipped: bool) -> None:
    weights = OrderedDict((prefix + key, value) for key, value in state.items())
    content = weights if wrapper is None else {"epoch": 3, "best": 75.5, wrapper: weights, "optimizer": {"state": {}}}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert_equal(read_state_dict(path), state)


def test_what_training_writes_is_read(state: dict[str, Tensor], path: Path) -> None:
    own.save(path, state)
    assert_equal(read_state_dict(path), state)


def test_the_prefix_stays_where_not_all_names_have_it(path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, path)
    assert list(read_state_dict(path)) == ["module.a", "b"]


def test_settings_beside_the_weights_do_no_harm(
    state: dict[str, Tensor], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published training code stores its settings as its own dictionary with attributes."""

    class AttrDict(dict[str, object]):
        def __init__(self) -> None:
            self.__dict__ = self

    foreign = ModuleType("utils.config")
    foreign.AttrDict = AttrDict  # type: ignore[attr-defined]
    AttrDict.__module__, AttrDict.__qualname__ = "utils.config", "AttrDict"
    monkeypatch.setitem(sys.modules, "utils", ModuleType("utils"))
    monkeypatch.setitem(sys.modules, "utils.config", foreign)
    settings = AttrDict()
    settings["lr"] = 0.1
    content = {"args": settings, "more": argparse.Namespace(a=1), "state_dict": state}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    monkeypatch.delitem(sys.modules, "utils.config")
    assert_equal(read_state_dict(path), state)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(state: dict[str, Tensor], path: Path, zipped: bool, share: float) -> None:
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match=rf"checkpoint '{path}' cannot be read \(\w+\): it is damaged"):
        read_state_dict(path)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_file_is_not_run(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    path.write_bytes(pickle.dumps({"state_dict": Malicious(victim)}))
    with pytest.raises(UserError, match="cannot be read"):
        read_state_dict(path)
    torch.save({"state_dict": Malicious(victim)}, path)
    with pytest.raises(UserError, match="cannot be read"):
        read_state_dict(path)
    assert not victim.exists()
    pickle.loads(pickle.dumps(Malicious(victim)))  # it would have worked
    assert victim.exists()


@pytest.mark.parametrize("content", [{}, [1, 2], {"epoch": 3}, {"state_dict": {}}, {"a": torch.ones(1), "b": 2}])
def test_files_without_a_state_dict_are_refused(content: object, path: Path) -> None:
    torch.save(content, path)
    with pytest.raises(UserError, match=f"checkpoint '{path}' holds no state dict"):
        read_state_dict(path)


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_state_dict(path)


def test_weights_are_copied(state: dict[str, Tensor], path: Path) -> None:
    module = network()
    report = load_into(module, state, head=HEAD, path=path)
    assert report == LoadReport(matched=tuple(state), reset=(), missing=(), unexpected=())
    assert_equal(dict(module.state_dict()), state)


def test_a_head_of_another_size_is_reset_and_reported(
    state: dict[str, Tensor], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = nn.Sequential(network()[0], network(classes=7)[1])
    initial = module[1].weight.detach().clone()
    with caplog.at_level(logging.INFO):
        report = load_into(module, state, head=HEAD, path=path)
    assert report.matched == ("0.weight", "0.bias")
    assert report.reset == HEAD
    assert report.unexpected == tuple(key for key in state if key.startswith("2."))
    assert torch.equal(module[1].weight, initial)
    assert torch.equal(module[0].weight, state["0.weight"])
    assert f"{path}: 2 tensors loaded" in caplog.text
    assert "not loaded, because the classifier has another size: 1.weight, 1.bias" in caplog.text
    assert "5 tensors not used, first: 2.weight" in caplog.text


def test_a_head_and_counters_may_be_missing(state: dict[str, Tensor], path: Path) -> None:
    for key in (*HEAD, "2.num_batches_tracked"):
        del state[key]
    report = load_into(network(), state, head=HEAD, path=path)
    assert report.missing == (*HEAD, "2.num_batches_tracked")
    assert report.reset == ()


def test_other_differences_are_refused_and_nothing_is_copied(state: dict[str, Tensor], path: Path) -> None:
    module = network(features=6)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.raises(UserError, match=rf"'{path}' does not fit: '0.weight' has the shape 4x3, but must have 6x3"):
        load_into(module, state, head=HEAD, path=path)
    assert_equal(dict(module.state_dict()), before)
    del state["0.bias"]
    with pytest.raises(UserError, match=rf"'{path}' does not fit: it lacks '0.bias', shape 4"):
        load_into(network(), state, head=HEAD, path=path)
    with pytest.raises(UserError, match="does not fit"):
        load_into(network(classes=7), state, head=(), path=path)
