import json

import numpy as np
import pytest

from nas.errors import ArchiveError, UserError
from nas.run.archive import Archive, Commit, Entry
from nas.types import Architecture, Measure

MEASURES = [Measure("top1_error", "%"), Measure("flops", "M")]
NAMES = ("a", "b")


def entry(step, index, genome, objectives):
    metrics = {} if objectives is None else {"top1": 100 - objectives[0]}
    return Entry(step, index, Architecture(tuple(genome), {"d": list(genome)}), objectives, metrics, None)


def filled(path):
    archive = Archive.open(path, MEASURES, NAMES)
    archive.extend(Commit(0), [entry(0, 0, (0, 0), (30.0, 1.0)), entry(0, 1, (1, 1), (10.0, 4.0))])
    archive.extend(Commit(1, "rbf", "rbf"), [entry(1, 0, (0, 1), None), entry(1, 1, (1, 0), (20.0, 2.0))])
    return archive


def test_reads_back_what_was_written(tmp_path):
    written = filled(tmp_path / "a.jsonl")
    read = Archive.open(tmp_path / "a.jsonl", MEASURES, NAMES)
    assert read.history == written.history
    assert [e.architecture.config for e in read.history] == [e.architecture.config for e in written.history]
    assert read.commits == written.commits
    assert read.next_step == 2


def test_arrays_leave_out_failures_and_genomes_do_not(tmp_path):
    archive = filled(tmp_path / "a.jsonl")
    genomes, objectives = archive.arrays()
    assert genomes.tolist() == [[0, 0], [1, 1], [1, 0]]
    assert objectives.tolist() == [[30, 1], [10, 4], [20, 2]]
    assert archive.genomes().tolist() == [[0, 0], [1, 1], [0, 1], [1, 0]]


def test_front_ascends_in_error_and_reference_point_is_the_initial_designs(tmp_path):
    archive = filled(tmp_path / "a.jsonl")
    archive.extend(Commit(2), [entry(2, 0, (0, 1), (90.0, 9.0))])
    assert [e.objectives for e in archive.front()] == [(10.0, 4.0), (20.0, 2.0), (30.0, 1.0)]
    np.testing.assert_allclose(archive.reference_point(), [30.3, 4.04])


def test_the_newer_entry_wins_and_both_stay(tmp_path):
    archive = filled(tmp_path / "a.jsonl")
    archive.extend(Commit(1, retry=True), [entry(1, 0, (0, 1), (15.0, 3.0))])
    assert archive.next_step == 2
    assert len(archive.history) == 5
    assert [e.objectives for e in archive.entries() if e.architecture.genome == (0, 1)] == [(15.0, 3.0)]
    assert Archive.open(archive.path, MEASURES, NAMES).entries() == archive.entries()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_write_cut_short_is_dropped_and_written_again(tmp_path, share):
    whole = tmp_path / "whole.jsonl"
    filled(whole)
    torn = tmp_path / "torn.jsonl"
    archive = Archive.open(torn, MEASURES, NAMES)
    archive.extend(Commit(0), filled(tmp_path / "other.jsonl").history[:2])
    first = torn.read_bytes()
    rest = whole.read_bytes()[len(first) :]
    torn.write_bytes(first + rest[: int(share * len(rest))])
    archive = Archive.open(torn, MEASURES, NAMES)
    assert archive.next_step == 1
    archive.extend(Commit(1, "rbf", "rbf"), filled(tmp_path / "third.jsonl").history[2:])
    assert torn.read_bytes() == whole.read_bytes()


def test_a_first_write_cut_short_leaves_an_empty_archive(tmp_path):
    path = tmp_path / "a.jsonl"
    filled(path)
    path.write_bytes(path.read_bytes()[:20])
    assert Archive.open(path, MEASURES, NAMES).next_step == 0


def test_every_flipped_bit_before_the_end_is_noticed(tmp_path):
    path = tmp_path / "a.jsonl"
    filled(path)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.choice(len(good) - 1, size=60, replace=False):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises((ArchiveError, UserError), match=r"a\.jsonl"):
            Archive.open(path, MEASURES, NAMES)


def test_another_space_is_refused(tmp_path):
    filled(tmp_path / "a.jsonl")
    with pytest.raises(UserError, match="search space"):
        Archive.open(tmp_path / "a.jsonl", MEASURES, ("a", "c"))


def test_every_line_is_plain_json(tmp_path):
    filled(tmp_path / "a.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines[0]["format"] == "nas-archive"
    assert [line["commit"]["step"] for line in lines if "commit" in line] == [0, 1]


def test_not_a_number_is_refused_and_leaves_the_file_alone(tmp_path):
    archive = filled(tmp_path / "a.jsonl")
    before = archive.path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        archive.extend(Commit(2), [entry(2, 0, (1, 2), (float("nan"), 1.0))])
    assert archive.path.read_bytes() == before
