"""A finished run, and cascades of its front, that the tests of a session share; what writes into them copies them."""

from pathlib import Path

import pytest

from tests.pool.test_cascades import POOL, search
from tests.pool.test_runs import run


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """A folder with the runs ``alone`` and ``encas``, and their cache."""
    folder = tmp_path_factory.mktemp("models")
    run(folder, "alone", "algorithm.iterations=1", "algorithm.n_iter=4")
    search(folder, "encas", *POOL, "algorithm=encas", "optimizer.evaluations=2000")
    search(folder, "greedy", *POOL, "algorithm=greedy")
    return folder
