"""Callers as they run: greenthreads, threads, forked workers, processes that end or are interrupted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import BIN_DIR, PACKAGE_DIR
from node import Controller, Node

#: How long the controller takes for a read.
SLOW_READ_S = 5.0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node with its controller up."""
    controller = Controller(BIN_DIR, tmp_path)
    started = Node(BIN_DIR, PACKAGE_DIR, tmp_path, controller)
    try:
        yield started
    finally:
        started.stop()
        controller.stop()


def test_greenthreads_go_on_while_the_controller_takes_5_s(
    run_python: Callable[..., str], node: Node
) -> None:
    """The other greenthreads tick all the time, do calls of their own, and get their own answers."""
    node.controller.fault("slow", delay_ms=int(SLOW_READ_S * 1000), method="GET", path="/v1/alarms")
    program = f"""
import eventlet
eventlet.monkey_patch()
import time
from fm_api import fm_api
api = fm_api.FaultAPIsV2()
longest, sets = 0.0, []
def tick():
    global longest
    last = time.monotonic()
    while True:
        eventlet.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
def write():
    for number in range(10):
        name = f"host=green-{{number}}"
        sets.append(api.set_fault(fm_api.Fault(
            "100.103", "set", "host", name, "major", "t", "other", "unknown", "r")))
        eventlet.sleep(0.1)
ticker, writer = eventlet.spawn(tick), eventlet.spawn(write)
eventlet.sleep(0)
started = time.monotonic()
answer = api.get_faults("host=nobody")
took = time.monotonic() - started
print(answer, took >= {SLOW_READ_S - 0.5}, len(set(sets)), longest < 1.0, round(longest, 3))
"""
    limits = {"FM_API_TIMEOUT_MS": "20000", "FM_API_READ_TIMEOUT_MS": "20000"}
    found = run_python(program, FM_AGENT_SOCKET=str(node.socket), **limits).split()
    assert found[:4] == ["None", "True", "10", "True"], found


WORK = """
import os, sys
from fm_api import fm_api
api = fm_api.FaultAPIsV2()
def work(name):
    for turn in range(20):
        made = api.set_fault(fm_api.Fault(
            "100.103", "set", "host", name, "major", str(turn), "other", "unknown", "r"))
        fault = api.get_fault("100.103", name)
        if (fault.uuid, fault.reason_text, fault.entity_instance_id) != (made, str(turn), name):
            return 1
    api.clear_fault("100.103", name)
    return 0
"""

FORKS = {
    "os.fork before first use": """
child = os.fork()
if child == 0:
    os._exit(work("host=child"))
print(work("host=parent"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""",
    "os.fork after first use": """
work("host=before")
child = os.fork()
if child == 0:
    os._exit(work("host=child"))
print(work("host=parent"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""",
    "os.fork while a thread calls": """
import threading
stop = threading.Event()
def keep_calling():
    while not stop.is_set():
        work("host=thread")
thread = threading.Thread(target=keep_calling)
thread.start()
codes = []
for number in range(10):
    child = os.fork()
    if child == 0:
        os._exit(work(f"host=child-{number}"))
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
thread.join()
print(work("host=parent"), max(codes))
""",
    "a child of a child": """
work("host=before")
child = os.fork()
if child == 0:
    work("host=child")
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(work("host=grandchild"))
    own = work("host=child")
    os._exit(own or os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
print(work("host=parent"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""",
    "multiprocessing before first use": """
import multiprocessing
with multiprocessing.get_context("fork").Pool(3) as pool:
    codes = pool.map(work, [f"host=worker-{number}" for number in range(6)])
print(work("host=parent"), max(codes))
""",
    "multiprocessing after first use": """
import multiprocessing
work("host=before")
with multiprocessing.get_context("fork").Pool(3) as pool:
    codes = pool.map(work, [f"host=worker-{number}" for number in range(6)])
print(work("host=parent"), max(codes))
""",
    "pre-forked workers that all call at once": """
work("host=master")
ready, go = os.pipe()
workers = []
for number in range(4):
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(ready, 1)
        os._exit(work(f"host=worker-{number}"))
    workers.append(child)
os.close(go)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in workers]
print(work("host=master"), max(codes))
""",
    "pre-forked workers patched by eventlet": """
import eventlet
eventlet.monkey_patch()
def serve(name):
    # Enough greenthreads that they take turns, and one that keeps the hub awake.
    waker = eventlet.spawn(lambda: [eventlet.sleep(0.001) for _ in range(10_000)])
    failed = max(eventlet.GreenPool().imap(work, [f"host={name}-{green}" for green in range(25)]))
    waker.kill()
    return failed
work("host=master")
workers = []
for number in range(2):
    child = os.fork()
    if child == 0:
        os._exit(serve(f"worker-{number}"))
    workers.append(child)
failed = serve("master")
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in workers]
print(failed, max(codes))
""",
}


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_after_a_fork_each_gets_its_own_answers(run_python: Callable[..., str], fork: str) -> None:
    # Since 3.12 Python warns of any fork beside threads; that it works here is what is tested.
    quiet = "import warnings; warnings.simplefilter('ignore')\n"
    assert run_python(quiet + WORK + fork) == "0 0"


ENDS = {
    "daemon threads wait for an answer": (
        """
import threading, time
for number in range(4):
    threading.Thread(target=api.get_faults_strict, args=("host=a",), daemon=True).start()
time.sleep(0.3)
print("ended")
""",
        "mute",
    ),
    "daemon threads call all the time": (
        """
import threading, time
def keep_calling(number):
    while True:
        api.get_fault("100.103", f"host=node-{number}")
for number in range(4):
    threading.Thread(target=keep_calling, args=(number,), daemon=True).start()
time.sleep(0.3)
print("ended")
""",
        "agent",
    ),
    "a call from atexit": (
        """
import atexit
atexit.register(lambda: print("ended", work("host=late")))
""",
        "agent",
    ),
    "a call from a finalizer": (
        """
class Late:
    def __init__(self):
        self.work = work
    def __del__(self):
        self.work("host=late")
late = Late()
print("ended")
""",
        "agent",
    ),
    "greenthreads wait for an answer": (
        """
import eventlet
eventlet.monkey_patch()
eventlet.spawn(api.get_faults_strict, "host=a")
eventlet.sleep(0.3)
print("ended")
""",
        "mute",
    ),
}


@pytest.mark.parametrize(("program", "answers"), ENDS.values(), ids=ENDS)
def test_the_interpreter_ends_cleanly_while_calls_run(
    agent: Path, mute_agent: str, program: str, answers: str
) -> None:
    path = str(agent) if answers == "agent" else mute_agent
    v1 = WORK.replace("FaultAPIsV2", "FaultAPIs")
    for _ in range(5):
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", "import logging; logging.disable()\n" + v1 + program],
            env={**os.environ, "PYTHONPATH": str(PACKAGE_DIR), "FM_AGENT_SOCKET": path},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("ended")
        # Nobody answers for 20 s, the deadline of these calls: the end does not wait for them.
        assert time.monotonic() - started < 15


def test_an_interrupt_comes_through_within_the_deadline(tmp_path: Path) -> None:
    program = """
import logging, time
from fm_api import fm_api
logging.disable()
started = time.monotonic()
try:
    fm_api.FaultAPIs().get_faults("host=a")
    print("answered")
except KeyboardInterrupt:
    print(time.monotonic() - started)
"""
    limit_s = 2.0
    environment = {
        "PYTHONPATH": str(PACKAGE_DIR),
        "FM_AGENT_SOCKET": str(tmp_path / "mute.sock"),
        "FM_API_READ_TIMEOUT_MS": f"{limit_s * 1000:.0f}",
    }
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(environment["FM_AGENT_SOCKET"])
        listener.listen()
        caller = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        # Once it has greeted, the call is under way and waits for an answer that never comes.
        listener.settimeout(60)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1)
            caller.send_signal(signal.SIGINT)
            said, _ = caller.communicate(timeout=60)
    assert caller.returncode == 0
    assert float(said) <= limit_s + 1.0


@pytest.mark.usefixtures("agent")
def test_signals_do_not_break_calls(run_python: Callable[..., str]) -> None:
    """A timer interrupts the calls all the time; handlers run, and every call is answered."""
    program = """
import signal
count = 0
def handler(*_):
    global count
    count += 1
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
failed = work("host=signals")
signal.setitimer(signal.ITIMER_REAL, 0)
print(failed, count > 0)
"""
    assert run_python(WORK + program) == "0 True"


@pytest.mark.usefixtures("agent")
def test_the_process_is_left_as_it_was(run_python: Callable[..., str]) -> None:
    """No thread, no signal handler; a child program inherits no connection."""
    program = '''
import signal, subprocess, sys, threading
def state():
    with open("/proc/self/status") as lines:
        kept = [line for line in lines if line.startswith(("Threads", "SigCgt", "SigIgn", "SigBlk"))]
    return kept, threading.active_count()
before = state()
failed = work("host=guest")
listing = """
import os
for number in os.listdir("/proc/self/fd"):
    try:
        print(os.readlink(f"/proc/self/fd/{number}"))
    except FileNotFoundError:
        pass  # The one that listed them.
"""
inherited = subprocess.run([sys.executable, "-c", listing], close_fds=False, capture_output=True, text=True)
print(failed, state() == before, inherited.returncode, "socket:" in inherited.stdout)
'''
    assert run_python(WORK + program) == "0 True 0 False"
