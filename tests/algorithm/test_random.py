def test_predicts_nothing(make_search, tmp_path):
    search, archive = make_search(tmp_path, "random")
    search.run(retry_failed=False)
    assert all(entry.predicted is None for entry in archive.history)
    assert all(commit.surrogate is None for commit in archive.commits)
