import os
import signal
import subprocess
import sys
import threading

from nas.executor.gpu_slots import gpu_slot, slot

HOLDER = """
import sys, time
from pathlib import Path
from nas.executor.gpu_slots import slot
with slot(Path(sys.argv[1]), "gpu", 1):
    print("held", flush=True)
    time.sleep(60)
"""


def test_no_more_than_the_slots_are_held_at_once(tmp_path):
    held = most = 0
    lock = threading.Lock()
    meeting = threading.Barrier(2, timeout=60)

    def work(number):
        nonlocal held, most
        with slot(tmp_path, "gpu", 2):
            with lock:
                held += 1
                most = max(most, held)
            if number < 2:
                meeting.wait()  # two do hold slots at the same time
            with lock:
                held -= 1

    for first in (0, 2):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(first, first + 2 + first)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 2


def test_other_things_have_slots_of_their_own(tmp_path):
    with slot(tmp_path, "one", 1), slot(tmp_path, "other", 1):
        pass


def test_a_killed_process_leaves_its_slot_free(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        taken = threading.Event()

        def wait():
            with slot(tmp_path, "gpu", 1):
                taken.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not taken.wait(0.5)
        os.kill(process.pid, signal.SIGKILL)
        assert taken.wait(60)
        thread.join()


def test_only_gpus_are_held():
    with gpu_slot("cpu", 1), gpu_slot("cpu", 1):
        pass
