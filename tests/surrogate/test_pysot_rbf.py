import sys

import numpy as np
import pytest

from nas.errors import UserError
from nas.surrogate.pysot_rbf import PysotRBF
from nas.surrogate.rbf import RBF


def test_says_what_to_do_where_pysot_does_not_import(space, monkeypatch):
    monkeypatch.setitem(sys.modules, "pySOT.surrogate", None)
    with pytest.raises(UserError, match=r"surrogate=pysot_rbf needs pySOT.*use surrogate=rbf") as caught:
        PysotRBF(space=space)
    assert "\n" not in str(caught.value)


def test_predicts_what_rbf_predicts(space):
    pytest.importorskip("pySOT.surrogate", reason="pySOT imports on Python 3.11 only")
    genomes = space.sample_unseen(70, space.sample(0, np.random.default_rng(0)), np.random.default_rng(0))
    values = np.random.default_rng(1).normal(20, 3, size=(50, 2))
    ours, theirs = RBF(), PysotRBF(space=space)
    for surrogate in (ours, theirs):
        surrogate.fit(genomes[:50], values)
    np.testing.assert_allclose(ours.predict(genomes[50:]), theirs.predict(genomes[50:]), rtol=1e-8)
