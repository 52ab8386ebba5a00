"""The recipes ``experiment=encas_*`` against the configurations that the paper's code published."""

import json
from pathlib import Path

import pytest
import yaml

from tests.marks import slow_but

PUBLISHED = json.loads((Path(__file__).parent / "reference" / "configs_encas.json").read_text())


@pytest.mark.parametrize("name", PUBLISHED["configs"])
def test_every_key_is_accounted_for(name):
    assert set(PUBLISHED["configs"][name]) <= set(PUBLISHED["keys"])


FAST = {"c100_5nets", "c10_5nets_ens", "c10_5nets_greedy", "img_5nets_random", "timm"}


@pytest.mark.parametrize("name", slow_but(FAST, PUBLISHED["configs"]))
def test_recipes_say_what_was_published(name, launch):
    published = PUBLISHED["configs"][name]
    kind = name if name == "timm" else name.partition("_")[2]
    code, out, err = launch(f"experiment={PUBLISHED['experiments'][kind]}", "tracker=csv", "--cfg", "job")
    assert code == 0, err
    settings = yaml.safe_load(out)
    algorithm, optimizer = (settings[group]["_target_"].rpartition(".")[2] for group in ("algorithm", "optimizer"))
    expected = {"mo-gomea": ("ENCAS", "MOGOMEA"), "random": ("ENCAS", "RandomSampling"), "greedy": ("GreedyCascade",)}
    assert (algorithm, optimizer)[: len(expected[published["algo"]])] == expected[published["algo"]]
    assert published["if_allow_noop"] and published["dataset_type"] == "val"
    assert published["funs_to_get_subnets_names"] is None
    if published["algo"] != "greedy":
        assert settings["optimizer"]["evaluations"] == published["n_evals"]
        assert settings["space"]["size"] == published["ensemble_size"]
        assert settings["space"]["search_goal"] == published["search_goal"]
    if kind == "timm":
        assert settings["pool"]["models"] == "published"
        assert str(settings["dataset"]["vld_size"]) == published["label_postfix"]
    else:
        expected = [PUBLISHED["names"][space] for space in published["input_search_spaces"]]
        runs = [Path(run).parent.name for run in settings["pool"]["runs"]]
        if kind == "5nets_join":  # one run, of all supernets
            joint = f"encas_joint_{published['dataset']}_5nets"
            code, out, err = launch(f"experiment={joint}", "tracker=csv", "--cfg", "job")
            assert code == 0, err
            assert runs == ["joint_5nets"]
            runs = list(yaml.safe_load(out)["supernet"]["members"])
        assert runs == expected
