"""A word on the command line is a file of settings; that names a class, which is in the room of its group."""

import re
from pathlib import Path

import pytest
import yaml

from nas.settings import GROUPS

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
NO_PARTS = {"experiment", "hydra", "paths", "scale"}
GROUP_FILES = [path for path in sorted(CONF.glob("*/*.yaml")) if path.parent.name not in NO_PARTS]
FILES = [*GROUP_FILES, *sorted(CONF.glob("hydra/launcher/*.yaml"))]


def target(path: Path) -> str:
    settings = yaml.safe_load(path.read_text())
    nodes = [settings, *(node for node in settings.values() if isinstance(node, dict))]
    return next(str(node["_target_"]) for node in nodes if "_target_" in node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_class_of_a_choice_is_in_the_room_of_its_group_and_has_tests(path):
    group = {"sec_obj": "objective"}.get(path.parent.name, path.parent.name)
    module, _, name = target(path).rpartition(".")
    assert module.split(".")[:-1] in (["nas", group], ["nas", "cascade"])
    assert re.search(rf"^class {name}\b", (ROOT / f"{module.replace('.', '/')}.py").read_text(), re.MULTILINE)
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
