from nas.space.supernet import SupernetSpace
from tests.small import tiny


def test_is_what_the_supernet_says():
    supernet = tiny()
    source = SupernetSpace(supernet=supernet)
    assert source.space is supernet.space
    assert source.fingerprint == supernet.fingerprint
    genomes = supernet.space.smallest[None]
    assert source.costs()["macs"](genomes) == supernet.costs()["macs"](genomes)
