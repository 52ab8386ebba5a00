import pytest

from nas.errors import UserError
from nas.supernet.none import NoSupernet


def test_what_asks_for_a_network_is_told_that_there_is_none():
    supernet = NoSupernet()
    with pytest.raises(UserError, match="supernet=none has no networks: choose a supernet"):
        _ = supernet.space
    with pytest.raises(UserError, match="supernet=none has no networks"):
        supernet.costs()
    assert not hasattr(supernet, "anything_else")


def test_a_search_needs_networks_or_tables(launch):
    code, _, err = launch("supernet=none", "training=none", "tracker=csv")
    assert code == 2
    assert err.startswith("error: supernet=none has no networks: choose a supernet")
    assert len(err.splitlines()) == 1
