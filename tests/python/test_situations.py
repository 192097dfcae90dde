"""Each call of V1, V2 and the text interface with the controller up, down and hung, and without agent."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from callers import Caller, Outcome
from conftest import BIN_DIR, PACKAGE_DIR, ROOT
from faults import make_fault
from fm_api import fm_api
from node import Controller, Node

SITUATIONS = ["up", "down", "hung", "gone"]

#: Deadlines of the calls, and how much later than that a busy machine may let them return.
WRITE_S, READ_S, SLACK_S = 5.0, 2.0, 2.0

UUID, FAULT, FAULTS, FAIL = "a uuid", "the fault", "a list of the fault", "the call's failure"

#: What a failure is in V1 and in the text interface; in V2 it is an exception.
V1_FAILURE: dict[str, Any] = {
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
TEXT_FAILURE: dict[str, Any] = {"set": None}


class Row(NamedTuple):
    """A call on an alarm that stands or on one that does not, and what it answers in each situation."""

    method: str
    arguments: Callable[[str, str], tuple[Any, ...]]
    stands: bool
    up: Any
    down: Any
    gone: Any = FAIL


def fault(alarm_id: str, entity: str) -> fm_api.Fault:
    return make_fault(alarm_id=alarm_id, entity_instance_id=entity, reason_text="é ### #")


def text(alarm_id: str, entity: str) -> str:
    fields = [" ", alarm_id, "set", "host", entity, " ", "major", "é ### #", "other", "unknown", " "]
    return "".join(f"###{field}" for field in [*fields, "True", "False", "False", "False"]) + "###"


def filter_text(alarm_id: str, entity: str) -> str:
    return f"###{alarm_id}###{entity}###"


API_ROWS = [
    Row("set_fault", lambda i, e: (fault(i, e),), False, UUID, UUID),
    Row("set_fault", lambda i, e: (fault(i, e),), True, UUID, UUID),
    Row("set_faults", lambda i, e: ([fault(i, e), fault(i, f"{e}.port=2")],), False, True, True),
    Row("set_faults", lambda i, e: ([],), False, None, None, None),
    Row("clear_fault", lambda i, e: (i, e), True, True, True),
    Row("clear_fault", lambda i, e: (i, e), False, False, True),
    Row("clear_all", lambda i, e: (e,), True, True, True),
    Row("clear_all", lambda i, e: (e,), False, False, True),
    Row("clear_faults_list", lambda i, e: ([(i, e)],), True, True, True),
    Row("clear_faults_list", lambda i, e: ([(i, e)],), False, True, True),
    Row("clear_faults_list", lambda i, e: ([],), False, True, True, True),
    Row("get_fault", lambda i, e: (i, e), True, FAULT, FAULT),
    Row("get_fault", lambda i, e: (i, e), False, None, FAIL),
    Row("get_faults", lambda i, e: (e,), True, FAULTS, FAIL),
    Row("get_faults", lambda i, e: (e,), False, None, FAIL),
    Row("get_faults_by_id", lambda i, e: (i,), True, FAULTS, FAIL),
    Row("get_faults_by_id", lambda i, e: (i,), False, None, FAIL),
    Row("get_faults_by_id_n_eid", lambda i, e: (i, e), True, FAULTS, FAIL),
    Row("get_faults_by_id_n_eid", lambda i, e: (i, e), False, None, FAIL),
    Row("get_faults_strict", lambda i, e: (e,), True, FAULTS, FAIL),
    Row("get_faults_strict", lambda i, e: (e,), False, None, FAIL),
    Row("get_faults_by_id_strict", lambda i, e: (i,), True, FAULTS, FAIL),
    Row("get_faults_by_id_strict", lambda i, e: (i,), False, None, FAIL),
]

TEXT_ROWS = [
    Row("set", lambda i, e: (text(i, e),), False, UUID, UUID),
    Row("set", lambda i, e: (text(i, e),), True, UUID, UUID),
    Row("set_fault_list", lambda i, e: ([text(i, e), text(i, f"{e}.port=2")],), False, True, True),
    Row("set_fault_list", lambda i, e: ([],), False, None, None, None),
    Row("clear", lambda i, e: (filter_text(i, e),), True, True, True),
    Row("clear", lambda i, e: (filter_text(i, e),), False, None, True),
    Row("clear_all", lambda i, e: (e,), True, True, True),
    Row("clear_all", lambda i, e: (e,), False, None, True),
    Row("clear_list", lambda i, e: ([filter_text(i, e)],), True, True, True),
    Row("clear_list", lambda i, e: ([filter_text(i, e)],), False, True, True),
    Row("clear_list", lambda i, e: ([],), False, None, None, None),
    Row("get", lambda i, e: (filter_text(i, e),), True, FAULT, FAULT),
    Row("get", lambda i, e: (filter_text(i, e),), False, None, FAIL),
    Row("get_by_eid", lambda i, e: (e,), True, FAULTS, FAIL),
    Row("get_by_eid", lambda i, e: (e,), False, None, FAIL),
    Row("get_by_aid", lambda i, e: (i,), True, FAULTS, FAIL),
    Row("get_by_aid", lambda i, e: (i,), False, None, FAIL),
    Row("get_by_id_n_eid", lambda i, e: (filter_text(i, e),), True, FAULTS, FAIL),
    Row("get_by_id_n_eid", lambda i, e: (filter_text(i, e),), False, None, FAIL),
]

CASES = [(interface, row) for interface in ("V1", "V2") for row in API_ROWS]
CASES += [("core", row) for row in TEXT_ROWS]


with (ROOT / "fm-common/data/alarm_catalogue.csv").open(newline="") as table:
    #: A controller takes what its catalogue has.
    KNOWN_IDS = [row["alarm_id"] for row in csv.DictReader(table) if (row["kind"], row["context"]) == ("alarm", "starlingx")]


def names(place: int) -> tuple[str, str]:
    """An alarm id and an entity for each case."""
    return KNOWN_IDS[place], f"host=node-{place}x"


class Situation(NamedTuple):
    name: str
    caller: Caller


@pytest.fixture(scope="module", params=SITUATIONS)
def situation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Situation]:
    """A node in which what must stand was raised and delivered before the trouble began."""
    base = tmp_path_factory.mktemp("n")
    controller = Controller(BIN_DIR, base)
    node = Node(BIN_DIR, PACKAGE_DIR, base, controller)
    try:
        standing = [fault(*names(place)) for place, (_, row) in enumerate(CASES) if row.stands]
        assert node.caller().call("V2", "set_faults", standing).value is True
        node.wait_delivered()
        trouble(request.param, node)
        limits = {"FM_API_TIMEOUT_MS": f"{WRITE_S * 1000:.0f}", "FM_API_READ_TIMEOUT_MS": f"{READ_S * 1000:.0f}"}
        yield Situation(request.param, node.caller(**limits))
    finally:
        node.stop()
        controller.stop()


def trouble(name: str, node: Node) -> None:
    if name == "down":
        node.controller.fault("refuse")
    elif name == "hung":
        node.controller.fault("hang")
    elif name == "gone":
        node.end()


@pytest.mark.parametrize(
    "place", range(len(CASES)), ids=[f"{i}-{row.method}-{'stands' if row.stands else 'absent'}" for i, row in CASES]
)
def test_what_each_call_answers(situation: Situation, place: int) -> None:
    interface, row = CASES[place]
    alarm_id, entity = names(place)
    outcome = situation.caller.call(interface, row.method, *row.arguments(alarm_id, entity))
    expected = {"up": row.up, "gone": row.gone}.get(situation.name, row.down)
    if expected == FAIL:
        assert_failed(interface, row.method, outcome)
    else:
        assert outcome.raised is None
        assert_answer(expected, outcome.value, entity)
    writes = row.method.startswith(("set", "clear"))
    assert outcome.seconds <= (WRITE_S if writes else READ_S) + SLACK_S


def assert_failed(interface: str, method: str, outcome: Outcome) -> None:
    if interface == "V2":
        assert outcome.raised == ("APIException", f"Failed to execute {method}.", "FM_ERR_NOCONNECT")
        return
    assert outcome.raised is None
    assert outcome.value is (V1_FAILURE[method] if interface == "V1" else TEXT_FAILURE.get(method, False))


def assert_answer(expected: Any, value: Any, entity: str) -> None:
    if expected == UUID:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)
    elif expected == FAULTS:
        [only] = value
        assert_answer(FAULT, only, entity)
    elif expected == FAULT and isinstance(value, str):
        assert f"###{entity}###" in value
        assert "###é ### ####" in value
    elif expected == FAULT:
        assert (value.entity_instance_id, value.reason_text) == (entity, "é ### #")
    else:
        assert value is expected
