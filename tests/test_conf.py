"""Comments of ``conf`` are the constructors' descriptions; ``make conf`` writes them."""

from pathlib import Path

import pytest
import yaml

from tools.write_conf import described, first_sentence, written

CONF = Path(__file__).parent.parent / "conf"
FILES = sorted(CONF.rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_comments_are_written(path):
    assert written(path.read_text()) == path.read_text(), "run make conf"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_values_stay(path):
    assert yaml.safe_load(written(path.read_text())) == yaml.safe_load(path.read_text())


def test_a_missing_comment_is_written_and_a_wrong_one_replaced():
    text = "_target_: nas.algorithm.random.RandomSearch\nn_doe: 5 # nonsense\n         # more of it\nn_iter: 2\n"
    assert written(text) == (
        "_target_: nas.algorithm.random.RandomSearch\n"
        "n_doe: 5  # Number of architectures in the initial design\n"
        "n_iter: 2 # Number of architectures evaluated in each iteration\n"
    )


def test_settings_of_a_task_stand_at_the_top_of_its_file():
    lines = (CONF / "task/export.yaml").read_text().splitlines()
    found = {lines[line].partition(":")[0].strip() for line, _ in described(yaml.compose("\n".join(lines)))}
    assert {"format", "overwrite", "tolerance"} <= found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Seed of the splits. It is independent.", "Seed of the splits"),
        ('One, for example "a.b". Two.', 'One, for example "a.b"'),
        ("Share, 0.5 for half.", "Share, 0.5 for half"),
    ],
)
def test_the_first_sentence(text, sentence):
    assert first_sentence(text) == sentence
