"""One word on the command line names the settings, the module and the tests."""

from pathlib import Path

import pytest
import yaml

from nas.settings import GROUPS

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
EXCEPTIONS = {
    "sec_obj/flops": "nas.objective.cost",  # objectives that are read off a table share one class
    "sec_obj/params": "nas.objective.cost",
    "sec_obj/latency": "nas.objective.latency",  # objectives are listed by name, so that several can be chosen
    "sec_obj/latency_table": "nas.objective.latency_table",
    "evaluator/tuned": "nas.evaluator.tuning",  # what subnet does after it
    "space/cascade": "nas.cascade.source",  # spaces that come with their evaluator
    "space/gap_cascade": "nas.cascade.source",
    "optimizer/mo_gomea_encas": "nas.optimizer.mo_gomea",  # a larger budget
    # recipes of fine-tuning differ in numbers alone
    **{f"finetuning/{name}": "nas.finetuning.recipe" for name in ("cifar", "imagenet", "small")},
    # data sets that differ in data alone
    **{f"dataset/{name}": "nas.dataset.torchvision_arrays" for name in ("cifar10", "cifar100", "stl10")},
    **{f"dataset/{name}": "nas.dataset.torchvision_files" for name in ("aircraft", "dtd", "flowers102", "pets")},
    **{f"dataset/{name}": "nas.dataset.class_folders" for name in ("cinic10", "imagenet")},
    # supernets that differ in sizes and weights alone
    "supernet/alphanet": "nas.supernet.attentivenas",
    "supernet/ofa_w10": "nas.supernet.ofa_mobilenet",
    "supernet/ofa_w12": "nas.supernet.ofa_mobilenet",
    "supernet/tiny_plain": "nas.supernet.tiny",
    "supernet/tiny_wide": "nas.supernet.tiny",
    "training/nat_shared": "nas.training.nat",  # other epochs
}
NO_PARTS = {"experiment", "hydra", "paths", "scale"}
GROUP_FILES = [path for path in sorted(CONF.glob("*/*.yaml")) if path.parent.name not in NO_PARTS]
FILES = [*GROUP_FILES, *sorted(CONF.glob("hydra/launcher/*.yaml"))]


def target(path: Path) -> str:
    settings = yaml.safe_load(path.read_text())
    nodes = [settings, *(node for node in settings.values() if isinstance(node, dict))]
    return next(str(node["_target_"]) for node in nodes if "_target_" in node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_settings_module_and_tests_have_one_name(path):
    group, name = path.parent.name, path.stem
    module = EXCEPTIONS.get(f"{group}/{name}", f"nas.{group}.{name}")
    assert target(path).rpartition(".")[0] == module
    assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    folder, _, test = module.removeprefix("nas.").partition(".")
    assert (ROOT / "tests" / folder / f"test_{test}.py").exists()


def test_every_group_is_in_the_table_of_contents():
    defaults = yaml.safe_load((CONF / "config.yaml").read_text())["defaults"]
    named = {next(iter(entry)) for entry in defaults if isinstance(entry, dict)}
    listed = {name for name in named if not name.startswith("override hydra/")}
    of_a_task = {"finetuning"}  # conf/task/finetune.yaml adds it
    assert listed | of_a_task == GROUPS | {"experiment", "hydra", "scale"}
    assert {path.name for path in CONF.iterdir() if path.is_dir()} == listed | of_a_task


def test_every_supernet_may_be_one_of_several():
    single = {path.stem for path in (CONF / "supernet").glob("*.yaml")} - {"none", "several"}
    members = sorted((CONF / "supernet" / "members").glob("*.yaml"))
    assert {path.stem for path in members} == single
    for path in members:
        assert yaml.safe_load(path.read_text()) == {"defaults": [{f"/supernet@{path.stem}": path.stem}]}


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_key_says_what_it_is(path):
    """Keys of plain values have a comment; names such as _target_ and groups need none."""
    for line in path.read_text().splitlines():
        key, _, value = line.strip().partition(":")
        plain = (
            key and not key.startswith(("#", "-", "_", "defaults")) and value.strip() and not value.startswith(" ${")
        )
        if plain and path.parent.name not in {"experiment", "hydra", "job_logging", "scale", "sec_obj"}:
            assert "#" in value, f"{path}: {key} has no comment"
