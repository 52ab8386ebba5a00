"""The fast reader sees what the archive itself sees, and refuses what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest

from nas.errors import ArchiveError
from nas.run.archive import Commit
from nas.run.record import read_record
from tests.report.made import GENES, whole_archive, write_run


@pytest.mark.parametrize("changes", [{}, {"again": True}, {"failing": True}, {"objectives": 3}, {"steps": 1}])
def test_is_the_archive(tmp_path, changes):
    folder = write_run(tmp_path / "run", **changes)
    archive, record = whole_archive(folder), read_record(folder / "archive.jsonl")
    assert record.measures == archive.measures and record.genes == GENES
    entries = [entry for step in range(archive.next_step) for entry in archive.batch(step)]
    assert [tuple(genome) for genome in record.genomes.tolist()] == [e.architecture.genome for e in entries]
    for row, entry in enumerate(entries):
        assert (record.step[row], record.index[row]) == (entry.step, entry.index)
        assert record.ok[row] == (entry.objectives is not None)
        if entry.objectives is not None:
            assert tuple(record.objectives[row]) == entry.objectives
        assert record.predicted[row] == entry.predicted or (np.isnan(record.predicted[row]) and entry.predicted is None)
        assert record.digests[record.weights[row]] == entry.weights
        assert record.fresh[row] == (entry in archive.fresh(entry.step))
    for step in range(archive.next_step):
        places = record.front(int(np.sum(record.step <= step)))
        found = sorted(tuple(values) for values in record.objectives[places])
        assert found == [entry.objectives for entry in archive.front(step)]
    described = [record.described[place]["config"] for place in record.front().tolist()]
    assert sorted(map(str, described)) == sorted(str(e.architecture.config) for e in archive.front())


def test_a_second_attempt_takes_the_place_of_a_failure(tmp_path):
    folder = write_run(tmp_path / "run", failing=True)
    archive = whole_archive(folder)
    failed = next(entry for entry in archive.history if entry.objectives is None)
    archive.extend(Commit(failed.step, retry=True), [replace(failed, objectives=(0.5, 0.5), metrics={"top1": 99.5})])
    record = read_record(folder / "archive.jsonl")
    assert len(record.step) == archive.n_evaluations()
    row = np.flatnonzero((record.step == failed.step) & (record.index == failed.index))
    assert record.objectives[row].tolist() == [[0.5, 0.5]]
    assert record.front().tolist() == row.tolist()
    assert record.described[int(row[0])]["metrics"] == {"top1": 99.5}


def test_what_a_killed_process_left_is_left_out(tmp_path):
    path = write_run(tmp_path / "run") / "archive.jsonl"
    whole = read_record(path)
    data = path.read_bytes()
    entry = data.splitlines(keepends=True)[1]
    path.write_bytes(data + entry + entry[:20])
    assert np.array_equal(read_record(path).objectives, whole.objectives)


def test_damage_anywhere_is_found(tmp_path):
    path = write_run(tmp_path / "run") / "archive.jsonl"
    data = path.read_bytes()
    for position in range(0, len(data) - 1, 23):
        damaged = bytes([data[position] ^ 1])
        path.write_bytes(data[:position] + damaged + data[position + 1 :])
        with pytest.raises(ArchiveError, match=r"archive\.jsonl"):
            read_record(path)


def test_other_versions_and_other_files_are_refused(tmp_path):
    path = tmp_path / "archive.jsonl"
    path.write_text(json.dumps({"format": "nas-archive", "version": 99, "objectives": [], "genes": []}) + "\n")
    with pytest.raises(ArchiveError, match="of another version: 99"):
        read_record(path)
    for text in ("", "{}\n", "[1]\n", "not JSON\n"):
        path.write_text(text)
        with pytest.raises(ArchiveError, match="line 1 is damaged"):
            read_record(path)


def test_an_archive_without_a_complete_step_is_empty(tmp_path):
    path = write_run(tmp_path / "run") / "archive.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))
    record = read_record(path)
    assert record.step.shape == (0,) and record.objectives.shape == (0, 2) and record.genomes.shape == (0, 3)
    assert record.front().tolist() == []
