import logging

from nas.tracker.together import log_tracker
from tests.tracker.test_csv import FIRST, run_info


def test_steps_and_the_end_are_lines_of_the_log(tmp_path, caplog):
    caplog.set_level(logging.INFO, "nas.tracker.together")
    tracker = log_tracker()
    tracker.start(run_info(tmp_path), [])
    tracker.step(FIRST, None)
    tracker.finish(None)
    said = [record.getMessage() for record in caplog.records]
    assert [line.split()[0] for line in said] == ["search", "step", "finished"]
    assert f"{FIRST.evaluations} evaluations" in said[1]
    assert all(record.levelno == logging.INFO for record in caplog.records)
