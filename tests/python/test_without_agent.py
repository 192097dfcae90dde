"""Where no agent answers: what callers see, for how long, and who goes on meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable

import fm_core
import pytest
from faults import make_fault
from fm_api import fm_api

EVERY_CALL = """
import json, logging
from fm_api import fm_api
logging.disable()
fault = fm_api.Fault("100.101", "set", "host", "host=a", "major", "t", "other", "unknown", "r")
CALLS = {
    "set_fault": (fault,),
    "set_faults": ([fault],),
    "clear_fault": ("100.101", "host=a"),
    "clear_all": ("host=a",),
    "clear_faults_list": ([("100.101", "host=a")],),
    "get_fault": ("100.101", "host=a"),
    "get_faults": ("host=a",),
    "get_faults_by_id": ("100.101",),
    "get_faults_by_id_n_eid": ("100.101", "host=a"),
    "get_faults_strict": ("host=a",),
    "get_faults_by_id_strict": ("100.101",),
}
answers = {}
for method, arguments in CALLS.items():
    v1 = getattr(fm_api.FaultAPIs(), method)(*arguments)
    try:
        v2 = getattr(fm_api.FaultAPIsV2(), method)(*arguments)
    except fm_api.APIException as error:
        v2 = [str(error), error.code]
    answers[method] = [v1, v2]
print(json.dumps(answers))
"""

NO_AGENT = "/nonexistent/fm-agent.sock"

V1_FAILURES = {
    "set_fault": None,
    "set_faults": False,
    "clear_fault": False,
    "clear_all": False,
    "clear_faults_list": False,
    "get_fault": None,
    "get_faults": None,
    "get_faults_by_id": None,
    "get_faults_by_id_n_eid": None,
    "get_faults_strict": False,
    "get_faults_by_id_strict": False,
}


def failures(code: str) -> dict[str, object]:
    return {
        method: [v1, [f"Failed to execute {method}.", code]] for method, v1 in V1_FAILURES.items()
    }


def test_no_agent_is_noconnect(run_python: Callable[..., str]) -> None:
    answers = json.loads(run_python(EVERY_CALL, FM_AGENT_SOCKET=NO_AGENT))
    assert answers == failures("FM_ERR_NOCONNECT")


def test_a_mute_agent_holds_nobody(run_python: Callable[..., str], mute_agent: str) -> None:
    limits = {"FM_API_TIMEOUT_MS": "50", "FM_API_READ_TIMEOUT_MS": "50"}
    answers = json.loads(run_python(EVERY_CALL, FM_AGENT_SOCKET=mute_agent, **limits))
    # A call waits for the greeting or, once the listener's queue is full, for the connection.
    codes = {code for _, (_, code) in answers.values()}
    assert codes <= {"FM_ERR_COMMUNICATIONS", "FM_ERR_NOCONNECT"}
    assert [answer[0] for answer in answers.values()] == list(V1_FAILURES.values())


def test_the_extension_says_what_happened(run_python: Callable[..., str]) -> None:
    program = """
import fm_core
try:
    fm_core.ping()
except fm_core.FmError as error:
    print(error.code, error.field, error)
"""
    said = run_python(program, FM_AGENT_SOCKET=NO_AGENT)
    assert said.startswith("FM_ERR_NOCONNECT None ")
    assert NO_AGENT in said
    assert "is fm-agent running" in said


def test_the_extension_names_the_field() -> None:
    fields = make_fault().as_dict()
    with pytest.raises(fm_core.FmError, match="^reason_text: is missing") as raised:
        fm_core.set_alarm({name: text for name, text in fields.items() if name != "reason_text"})  # type: ignore[arg-type]
    assert (raised.value.code, raised.value.field) == ("FM_ERR_INVALID_PARAMETER", "reason_text")
    with pytest.raises(fm_core.FmError, match="entity_instance_id: .*surrogates") as raised:
        fm_core.clear_alarms([("100.101", "\udc80")])
    assert raised.value.field == "entity_instance_id"


def test_a_text_that_cannot_be_sent_fails_a_clear(caplog: pytest.LogCaptureFixture) -> None:
    assert fm_api.FaultAPIs().clear_fault("100.101", "host=\ud800") is False
    assert "entity_instance_id" in caplog.text
    with pytest.raises(fm_api.APIException) as raised:
        fm_api.FaultAPIsV2().clear_fault("100.101", "host=\ud800")
    assert "entity_instance_id" in raised.value.reason
    assert raised.value.code == "FM_ERR_INVALID_PARAMETER"


def test_other_threads_go_on_while_a_call_waits(run_python: Callable[..., str], mute_agent: str) -> None:
    program = """
import logging, threading
from fm_api import fm_api
logging.disable()
done, ticks = threading.Event(), 0
def tick():
    global ticks
    while not done.wait(0.01):
        ticks += 1
ticker = threading.Thread(target=tick)
ticker.start()
fm_api.FaultAPIs().get_fault("100.101", "host=a")
done.set()
ticker.join()
print(ticks)
"""
    ticks = int(run_python(program, FM_AGENT_SOCKET=mute_agent, FM_API_READ_TIMEOUT_MS="1000"))
    assert ticks >= 10


# Since 3.12 Python warns of any fork beside threads, and eventlet of any fork.
QUIET = "import warnings; warnings.simplefilter('ignore')\n"

EVENTLET = """
import eventlet
eventlet.monkey_patch()
import logging, os
from fm_api import fm_api
logging.disable()
ticks = 0
def tick():
    global ticks
    while True:
        eventlet.sleep(0.01)
        ticks += 1
eventlet.spawn(tick)
answer = fm_api.FaultAPIs().get_faults_strict("host=a")
"""


def test_other_greenthreads_go_on_while_a_call_waits(
    run_python: Callable[..., str], mute_agent: str
) -> None:
    program = EVENTLET + "print(answer, ticks)"
    answer, ticks = run_python(program, FM_AGENT_SOCKET=mute_agent, FM_API_READ_TIMEOUT_MS="1000").split()
    assert answer == "False"
    assert int(ticks) >= 10


def test_an_exception_comes_through_the_thread(run_python: Callable[..., str]) -> None:
    program = (
        EVENTLET
        + """
try:
    fm_api.FaultAPIsV2().clear_all("host=a")
except fm_api.APIException as error:
    print(error.code)
"""
    )
    assert run_python(program, FM_AGENT_SOCKET=NO_AGENT) == "FM_ERR_NOCONNECT"


def test_greenthreads_go_on_in_a_forked_worker(run_python: Callable[..., str], mute_agent: str) -> None:
    program = (
        EVENTLET
        + """
child = os.fork()
if child == 0:
    eventlet.hubs.use_hub()
    eventlet.spawn(tick)
    ticks = 0
    failed = fm_api.FaultAPIs().get_faults_strict("host=a") is False
    os._exit(0 if failed and ticks >= 10 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    limits = {"FM_AGENT_SOCKET": mute_agent, "FM_API_READ_TIMEOUT_MS": "1000"}
    assert run_python(QUIET + program, **limits) == "0"


def test_a_greenthread_can_leave_a_call(run_python: Callable[..., str], mute_agent: str) -> None:
    """eventlet's own timeout ends the wait before the call's deadline; what is left does no harm."""
    program = (
        EVENTLET
        + """
import signal, time
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
started = time.monotonic()
try:
    with eventlet.Timeout(0.1):
        fm_api.FaultAPIs().get_faults_strict("host=b")
except eventlet.Timeout:
    left = time.monotonic() - started
eventlet.sleep(1.2)
print(left < 0.9, fm_api.FaultAPIs().get_faults_strict("host=c"))
"""
    )
    limits = {"FM_AGENT_SOCKET": mute_agent, "FM_API_READ_TIMEOUT_MS": "1000"}
    assert run_python(program, **limits) == "True False"


def test_a_call_from_the_hub_itself(run_python: Callable[..., str]) -> None:
    program = (
        EVENTLET
        + """
answers = []
call = fm_api.FaultAPIs().get_faults_strict
eventlet.hubs.get_hub().schedule_call_global(0, lambda: answers.append(call("host=a")))
while not answers:
    eventlet.sleep(0.01)
print(answers)
"""
    )
    assert run_python(program, FM_AGENT_SOCKET=NO_AGENT) == "[False]"


def test_eventlet_without_patching_is_left_alone(run_python: Callable[..., str]) -> None:
    program = """
import logging
import eventlet
from fm_api import _native, fm_api
logging.disable()
_native._call_in_thread = None
print(fm_api.FaultAPIs().get_faults_strict("host=a"))
"""
    assert run_python(program, FM_AGENT_SOCKET=NO_AGENT) == "False"
