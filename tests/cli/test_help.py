import pytest

from nas.cli.command import CONF, CommandLine
from nas.cli.help import help_text
from nas.errors import UserError


def test_the_overview_is_one_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = help_text(CommandLine(()), CONF).splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:2] == ["surrogate", "adaptive"] for line in lines)
    assert any(line.split()[:1] == ["seed"] for line in lines)


def test_a_group_shows_its_choices_in_words():
    lines = help_text(CommandLine(("selector",)), CONF).splitlines()
    assert [line.split()[0] for line in lines if line[2:3].strip()][1:-1] == ["ehvi", "hvi", "reference", "subset"]


def test_a_choice_shows_each_setting_with_value_type_and_description():
    text = help_text(CommandLine(("surrogate=rbf_ensemble",)), CONF)
    assert "nas.surrogate.rbf_ensemble.RBFEnsemble" in text
    assert "surrogate.members=500   (whole number, 1 or more)\n      Number of interpolants" in text
    assert "device" not in text  # no setting


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("evaluator=joint", "  evaluator.networks.batch_size=150   (whole number, 1 or more)"),
        ("supernet=several", "  supernet.members.tiny.depths="),
        ("training=nat", "  training.schedule=cosine_restarts   (cosine or cosine_restarts)"),
        ("task=export", "  format=onnx   (onnx or torchscript or torch_export)"),
        ("task=validate", "  task.batch_size=150"),
        ("sec_obj=latency_table", "  sec_obj.latency_table."),
        ("hydra/launcher=slurm", "  hydra.launcher.timeout_min=1440"),
        ("dataset=cifar10", "  dataset.vld_size="),
        ("dataset/augmentation=digits", "  dataset.augmentation.shift=0.125   (number from 0 to 1)"),
        ("experiment=msunas_paper", "  optimizer:"),
        ("finetuning=small", "  finetuning.epochs="),
        ("supernet/members=tiny", "  supernet.members.tiny.depths="),
        ("dataset=imagefolder", "  dataset.corrupt=refuse   (refuse or skip)"),
        ("tracker=console", "  tracker.refresh_per_second=4.0   (number from 0.01 to 100)"),
        ("task=validate", "  arch=best   (text or whole number or values by name)"),
        ("scale=small", "  paths:"),
    ],
)
def test_any_choice_of_any_group_is_shown(word, shown):
    assert any(line.startswith(shown) for line in help_text(CommandLine((word,)), CONF).splitlines())


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("surogate", "unknown group 'surogate'; did you mean 'surrogate'"),
        ("surrogate=rbff", "unknown choice for surrogate: 'rbff'; did you mean 'rbf'"),
    ],
)
def test_a_wrong_word_is_one_line(word, message):
    with pytest.raises(UserError, match=message) as error:
        help_text(CommandLine((word,)), CONF)
    assert "\n" not in str(error.value)
