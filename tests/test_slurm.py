import time

import pytest

from nas import slurm
from tests.fake_slurm import FakeSlurm


@pytest.fixture
def fake(tmp_path, monkeypatch):
    fake = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.path)
    return fake


def test_the_queue_holds_the_jobs_that_were_asked_for(fake):
    fake.answer("squeue", "71_0|PENDING\n71_1|RUNNING\n90|RUNNING")
    assert slurm.queue({"71_1", "71_2"}) == {"71_1": "RUNNING"}
    assert slurm.is_here()


def test_without_jobs_nobody_is_asked(fake):
    assert slurm.queue([]) == {}
    assert fake.calls("squeue") == []


def test_a_controller_that_is_away_says_nothing(fake):
    fake.answer("squeue", "Unable to contact slurm controller", code=1)
    assert slurm.queue({"71"}) is None
    assert slurm.seconds_left("71") is None


def test_where_there_is_no_slurm_nothing_is_queued(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not slurm.is_here()
    assert slurm.queue({"71"}) == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0:45", 45), ("12:30", 750), ("1:00:05", 3605), ("2-01:00:00", 176400), ("UNLIMITED", None), ("", None)],
)
def test_time_left(fake, text, seconds):
    fake.answer("squeue", text)
    assert slurm.seconds_left("71_3") == seconds
    assert fake.calls("squeue") == ["--noheader --jobs=71_3 --format=%L"]


def test_a_job_goes_back_into_the_queue(fake):
    assert slurm.requeue("71_3", patience=0.0)
    assert fake.calls("scontrol") == ["requeue 71_3"]


def test_a_controller_that_is_away_is_asked_again(fake, monkeypatch):
    fake.answer("scontrol", "Unable to contact slurm controller", code=1)
    sleep = time.sleep  # subprocess sleeps too, for less than a second
    monkeypatch.setattr(time, "sleep", lambda s: fake.answer("scontrol", "") if s >= 1 else sleep(s))
    assert slurm.requeue("71_3", patience=10.0)
    assert len(fake.calls("scontrol")) == 2


def test_patience_ends(fake):
    fake.answer("scontrol", "Unable to contact slurm controller", code=1)
    assert not slurm.requeue("71_3", patience=0.0)
