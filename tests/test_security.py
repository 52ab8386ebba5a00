"""Files that would run code if they were trusted, through the real commands: each is refused, and none runs."""

import gzip
import io
import json
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision.datasets
import yaml
from PIL import Image
from torchvision.datasets.utils import extract_archive

from nas.dataset import image_cache
from nas.dataset.torchvision_source import open_parts
from nas.errors import UserError
from nas.pool.array_folder import locked, open_array, read_facts, write_arrays
from nas.training import checkpoint
from tests.marks import slow_but
from tests.quick_search import WORDS, write_predictor
from tests.sealing import write_settings
from tests.small_runs import launched

ROOT = Path(__file__).parent.parent
PYTHON = "!!python/object/apply:os.mknod [{victim}]\n"


class Malicious:
    """What it is pickled as makes a file where it is read without care."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.victim,)


@pytest.fixture
def victim(tmp_path):
    """A file that must not appear; each test shows that its payload would have made it."""
    path = tmp_path / "victim"
    pickle.loads(pickle.dumps(Malicious(path)))
    assert path.exists()
    path.unlink()
    yield path
    assert not path.exists()


def refused(result: tuple[int, str, str], *parts: str) -> None:
    code, _, err = result
    assert code == 2, err
    assert len(err.splitlines()) == 1
    for part in parts:
        assert part in err


def objects(victim: Path) -> np.ndarray:
    array = np.ones((20, 3), dtype=object)
    array[0, 0] = Malicious(victim)
    return array


def pickled(victim: Path, form: str) -> bytes:
    """A checkpoint as torch writes it, in its present and its old form, or as a plain pickle."""
    if form == "plain":
        return pickle.dumps({"state_dict": Malicious(victim)})
    file = io.BytesIO()
    content = {"sha256": "", "content": Malicious(victim), "state_dict": Malicious(victim)}
    torch.save(content, file, _use_new_zipfile_serialization=form == "zip")
    return file.getvalue()


FORMS = ("zip", "legacy", "plain")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", ["supernet.checkpoint", "evaluator.checkpoint"])
def test_checkpoints(launch, tmp_path, victim, form, key):
    write_predictor(tmp_path / "predictor.pth")
    (tmp_path / "evil.pth").write_bytes(pickled(victim, form))
    refused(launch(*WORDS, f"{key}=evil.pth"), "evil.pth", "cannot be read")


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_runs_and_caches(tmp_path, victim, form, caplog):
    for name in ("final.pt", "iter_3.pt", "part.pt", "0123.pt"):
        (tmp_path / name).write_bytes(pickled(victim, form))
        assert checkpoint.load(tmp_path / name) is None
        assert f"{tmp_path / name} is damaged" in caplog.text


@pytest.mark.parametrize("arch", ["evil.subnet", "net.config"])
def test_architectures(launch, tmp_path, victim, arch):
    (tmp_path / arch).write_bytes(pickle.dumps(Malicious(victim)))
    refused(launch("task=profile", f"arch={arch}"), arch)
    (tmp_path / arch).write_text(PYTHON.format(victim=victim))
    refused(launch("task=profile", f"arch={arch}"), arch)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run, and the predictor that it asked."""
    folder = tmp_path_factory.mktemp("made")
    write_predictor(folder / "predictor.pth")
    launched(folder, *WORDS)
    return folder


@pytest.fixture
def finished(made, tmp_path):
    """A copy of it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


CASCADES = ("algorithm=encas", "pool=runs", "pool.runs=[run]", "paths.run=cascades", "dataset=digits", "tracker=csv")


def test_yaml_of_a_run_folder(launch, finished, victim):
    text = (finished / "config.yaml").read_text()
    evil = text + "evil: " + PYTHON.format(victim=victim)
    (finished / "config.yaml").write_text(evil)
    yaml.unsafe_load(evil)
    assert victim.exists()  # it would have worked
    victim.unlink()
    refused(launch(*CASCADES), "config.yaml is damaged")
    refused(launch("task=replay", "run=run", "tracker=csv"), "config.yaml is damaged")
    (finished / "status.json").unlink()
    refused(launch(*WORDS, "seed=5"), "config.yaml is damaged")


@pytest.mark.parametrize(
    "target", ["os.system", "pathlib.Path.touch", "builtins.exec", "nas.cli.main.main", "nas.dataset.digits.np.save"]
)
@pytest.mark.parametrize("nested", [False, True])
def test_targets_of_a_run_folder(launch, finished, victim, target, nested):
    settings = yaml.safe_load((finished / "config.yaml").read_text())
    evil = {"_target_": target, "self": str(victim), "command": f"touch {victim}"}
    settings["dataset"] = evil if not nested else settings["dataset"] | {"augmentation": evil}
    write_settings(finished, settings)
    refused(launch(*CASCADES), "config.yaml", "only those are used")


@pytest.mark.parametrize(
    "name",
    slow_but(
        {"archive.jsonl", "config.yaml"}, ["archive.jsonl", "front.json", "run.json", "status.json", "config.yaml"]
    ),
)
def test_pickles_in_place_of_a_run_folders_files(launch, finished, victim, name):
    (finished / name).write_bytes(pickle.dumps(Malicious(victim)))
    assert launch(*CASCADES)[0] == 2
    launch("task=replay", "run=run", "tracker=csv")
    launch(*WORDS)


FILES = ("algorithm=encas", "pool=files", "pool.folders=[given]", "paths.run=cascades", "dataset=none", "tracker=csv")


@pytest.fixture
def given(tmp_path):
    """Outputs that somebody else made; their test is that they are accepted."""
    folder = tmp_path / "given"
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels = {split: rng.integers(0, 3, 20) for split in ("validation", "test")}
    np.savez(folder / "labels.npz", **labels)
    for name in ("a", "b"):
        outputs = {split: rng.dirichlet(np.ones(3), 20) for split in labels}
        np.savez(folder / f"{name}.npz", **outputs)
    rows = [{"name": "a", "flops": 1.0}, {"name": "b", "flops": 2.0}]
    (folder / "models.json").write_text(json.dumps(rows))
    return folder


@pytest.mark.parametrize("name", ["a.npz", "labels.npz", "a.validation.npy", "a.validation_gaps.npy"])
def test_arrays_of_objects(launch, tmp_path, given, victim, name):
    evil = objects(victim)
    if name.endswith(".npz"):
        np.savez(given / name, validation=evil, test=evil)
    else:
        np.save(given / name, evil, allow_pickle=True)
    code, _, err = launch(*FILES)
    assert code in {1, 2}
    assert name in err
    assert "cannot be read" in err
    assert len(err.splitlines()) == 1


def test_compressed_arrays_of_objects(launch, tmp_path, victim):
    for word in ("val", "test"):
        folder = tmp_path / "given" / f"output_distrs_{word}"
        folder.mkdir(parents=True)
        with gzip.open(folder / "0.npy.gz", "wb") as file:
            np.lib.format.write_array(file, objects(victim), allow_pickle=True)
        (folder / "info.json").write_text(json.dumps({"flops": [1.0]}))
    np.savez(tmp_path / "given" / "labels.npz", validation=np.zeros(20, int), test=np.zeros(20, int))
    code, _, err = launch(*FILES)
    assert code in {1, 2}
    assert "0.npy.gz' cannot be read" in err


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "x/../../a", "", ".."])
def test_names_of_models_stay_in_their_folder(launch, given, name):
    (given / "models.json").write_text(json.dumps([{"name": name, "flops": 1.0}]))
    refused(launch(*FILES), "is no name of a model")


def test_tables_of_latency_and_of_benchmarks(launch, tmp_path, victim):
    write_predictor(tmp_path / "predictor.pth")
    (tmp_path / "table.yaml").write_text(PYTHON.format(victim=victim))
    table = launch(*WORDS, "sec_obj=latency_table", "sec_obj.latency_table.path=table.yaml")
    refused(table, "table.yaml")
    (tmp_path / "bench.pth").write_bytes(pickled(victim, "zip"))
    refused(launch("space=nasbench201", "space.path=bench.pth", "tracker=csv"), "bench.pth", "could run code")


def test_objects_in_caches(tmp_path, victim, caplog):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")

    def decoded() -> Path:
        return image_cache.decoded_images(tmp_path, ["0.png"], 8, "refuse", tmp_path / "cache").folder

    folder = decoded()
    for name in ("pixels.npy", "sums.npy"):
        np.save(folder / name, objects(victim), allow_pickle=True)
        assert image_cache.open_pixels(decoded()).shape == (1, 3, 8, 8)
        assert "are damaged: decoding again" in caplog.text
    outputs = tmp_path / "outputs"
    with locked(outputs):
        write_arrays(outputs, {"a": np.zeros(3)}, {})
    np.save(outputs / "a.npy", objects(victim), allow_pickle=True)
    assert read_facts(outputs, thorough=True) is None
    with pytest.raises(ValueError, match="object"):
        open_array(outputs, "a")


@pytest.mark.parametrize("kind", ["parent", "absolute", "link"])
def test_nothing_is_unpacked_outside_its_folder(tmp_path, victim, monkeypatch, kind):
    """torchvision unpacks what it downloads, after it has compared its hash."""
    archive, data = tmp_path / "evil.tar", b"escaped"
    with tarfile.open(archive, "w") as file:
        name = {"parent": "../victim", "absolute": str(victim), "link": "out/victim"}[kind]
        if kind == "link":
            link = tarfile.TarInfo("out")
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
            file.addfile(link)
        member = tarfile.TarInfo(name)
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))

    def constructor(root: Path, download: bool, **_: object) -> object:
        if not download:
            raise RuntimeError("Dataset not found")
        extract_archive(str(archive), str(root))
        return SimpleNamespace()

    monkeypatch.setattr(torchvision.datasets, "Evil", constructor, raising=False)
    if kind == "absolute":  # the leading / is dropped
        open_parts("Evil", tmp_path / "data", {"test": {}}, download=True)
        assert (tmp_path / "data" / str(victim).lstrip("/")).exists()
    else:
        with pytest.raises(
            UserError, match=r"cannot download Evil \(.*(outside the destination|link to an absolute path)"
        ):
            open_parts("Evil", tmp_path / "data", {"test": {}}, download=True)


def test_a_zip_file_is_unpacked_inside_its_folder(tmp_path, victim):
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../victim", "escaped")
    extract_archive(str(archive), str(tmp_path / "data"))
    assert (tmp_path / "data" / "victim").exists()
