import pytest

from nas.errors import UserError
from nas.evaluator.nasbench201 import NasBench201Evaluator
from nas.space.supernet import SupernetSpace
from tests.small import tiny


def test_other_spaces_are_refused():
    """What it finds is tested with the space's tables."""
    with pytest.raises(UserError, match="evaluator=nasbench201 has results of space=nasbench201 alone"):
        NasBench201Evaluator(source=SupernetSpace(supernet=tiny()), supernet=tiny())
