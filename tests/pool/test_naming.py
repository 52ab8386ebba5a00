from pathlib import Path

import pytest

from nas.errors import UserError
from nas.pool.naming import short_names


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["/o/a/seed_0"], ("seed_0",)),
        (["/o/a/seed_0", "/o/a/seed_1"], ("seed_0", "seed_1")),
        (["/o/a/seed_0", "/o/b/seed_0", "/o/b/seed_1"], ("a/seed_0", "b/seed_0", "b/seed_1")),
        (["/a", "/o/a"], ("a", "o/a")),
    ],
)
def test_names_are_as_short_as_they_can_be(folders, names):
    assert short_names([Path(folder) for folder in folders], "pool.runs") == names


@pytest.mark.parametrize(("folders", "message"), [([], "pool.runs is empty"), (["/a", "/a"], "lists '/a' twice")])
def test_lists_that_make_no_sense_are_refused(folders, message):
    with pytest.raises(UserError, match=message):
        short_names([Path(folder) for folder in folders], "pool.runs")
