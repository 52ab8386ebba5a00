import numpy as np

from nas.report.statistics.genes import MOST_VALUES, gene_shares
from tests.report.made import GENES, made_run


def test_shares_are_counts_of_new_candidates_and_of_the_front(tmp_path):
    records = [made_run(tmp_path / str(i), seed=i, steps=5, again=True).record for i in range(2)]
    fronts = [record.front() for record in records]
    found = gene_shares(records, fronts, 40)
    assert found.genes == GENES and found.steps.tolist() == [0, 1, 2, 3, 4]
    for gene, (width, shares) in enumerate(zip(found.widths, found.shares, strict=True)):
        assert len(shares) <= MOST_VALUES and np.allclose(shares.sum(axis=0), 1)
        for column, step in enumerate(found.steps):
            new = np.concatenate([r.genomes[r.fresh & (r.step == step), gene] for r in records])
            for value in range(len(shares)):
                assert shares[value, column] == np.mean(new // width == value)
        front = np.concatenate([r.genomes[f, gene] for r, f in zip(records, fronts, strict=True)])
        assert shares[0, -1] == np.mean(front // width == 0)
    assert found.widths[2] > 1


def test_iterations_are_put_together(tmp_path):
    record = made_run(tmp_path / "a", steps=9).record
    found = gene_shares([record], [record.front()], 4)
    assert found.steps[0] == 0 and len(found.steps) <= 5
    assert all(np.allclose(shares.sum(axis=0), 1) for shares in found.shares)


def test_one_step(tmp_path):
    record = made_run(tmp_path / "a", steps=1).record
    assert gene_shares([record], [record.front()], 10).steps.tolist() == [0]
