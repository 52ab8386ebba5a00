import pytest

from nas.errors import UserError
from nas.pool.none import NoPool


def test_an_empty_pool_says_what_to_choose():
    pool = NoPool()
    pool.prepare(lambda *_: None)
    assert pool.names == () and pool.n_classes == 0
    with pytest.raises(UserError, match="choose pool=runs, pool=timm or pool=files"):
        pool.outputs("test")
