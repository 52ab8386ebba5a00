"""Words of messages that are typed again."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from nas.errors import typed


@pytest.mark.parametrize(
    "path",
    [
        "outputs/demo",
        "/a b/c",
        "it's",
        'say "a"',
        "a,b",
        "[a]",
        "{a}",
        "a=b",
        "a#b",
        "50 %",
        "ä/ö",
        "a(b)",
        "a:b",
        "~/x",
    ],
)
def test_a_word_means_the_same_to_the_shell_and_to_hydra(path):
    (word,) = shlex.split(typed("model", path))
    override = OverridesParser.create().parse_override(word)
    assert (override.key_or_group, override.value()) == ("model", path)


def test_plain_words_stay_plain():
    assert typed("model", "outputs/demo/net-flops@0.1") == "model=outputs/demo/net-flops@0.1"
