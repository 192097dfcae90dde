"""What each call returns in V1 and V2, on top of a double of ``fm_core``."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, NamedTuple

import fm_core
import pytest
from faults import make_fault
from fm_api import fm_api

ENTITY = "host=compute-1"
UUID = "0f9b3f52-7c8e-4ab3-8a33-0a5b7d1f6c11"

ALARM = {
    **make_fault().as_dict(),
    "uuid": UUID,
    "timestamp": "2026-11-22 10:00:00.500000",
    "reason_text": "",
    "service_affecting": True,
    "suppression": False,
}


class Call(NamedTuple):
    """One call: the function of ``fm_core`` below it, and what is returned."""

    method: str
    arguments: tuple[Any, ...]
    function: str
    answer: Any
    success: Any
    none_found: Any
    failure: Any


CALLS = [
    Call("set_fault", (make_fault(),), "set_alarm", UUID, UUID, None, None),
    Call("set_faults", ([make_fault()],), "set_alarms", [UUID], True, False, False),
    Call("clear_fault", ("300.010", ENTITY), "clear_alarm", None, True, False, False),
    Call("clear_all", (ENTITY,), "clear_all_alarms", None, True, False, False),
    Call("clear_faults_list", ([("300.010", ENTITY)],), "clear_alarms", None, True, False, False),
    Call("get_fault", ("300.010", ENTITY), "get_alarm", ALARM, "fault", None, None),
    Call("get_faults", (ENTITY,), "list_by_entity", [ALARM], "faults", None, None),
    Call("get_faults_by_id", ("300.010",), "list_by_id", [ALARM], "faults", None, None),
    Call(
        "get_faults_by_id_n_eid", ("300.010", ENTITY), "list_by_id_and_entity", [ALARM], "faults", None, None
    ),
    Call("get_faults_strict", (ENTITY,), "list_by_entity", [ALARM], "faults", None, False),
    Call("get_faults_by_id_strict", ("300.010",), "list_by_id", [ALARM], "faults", None, False),
]

each_call = pytest.mark.parametrize("call", CALLS, ids=[call.method for call in CALLS])


def error(code: str) -> fm_core.FmError:
    made = fm_core.FmError("no agent at /run/fm/fm-agent.sock")
    made.code, made.field = code, None
    return made


def make(api: fm_api.FaultAPIsBase, call: Call) -> Any:
    return getattr(api, call.method)(*call.arguments)


@each_call
def test_success(api: fm_api.FaultAPIsBase, core: SimpleNamespace, call: Call) -> None:
    getattr(core, call.function).return_value = call.answer
    answer = make(api, call)
    if call.success == "faults":
        assert [fault.uuid for fault in answer] == [UUID]
    elif call.success == "fault":
        assert answer.uuid == UUID
    else:
        assert answer == call.success
        assert type(answer) is type(call.success)
    getattr(core, call.function).assert_called_once()


@each_call
def test_none_found(
    api: fm_api.FaultAPIsBase, core: SimpleNamespace, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    getattr(core, call.function).side_effect = error("FM_ERR_ENTITY_NOT_FOUND")
    assert make(api, call) is call.none_found
    assert not caplog.records


@each_call
def test_a_failure_in_v1_is_a_value_and_logged(
    core: SimpleNamespace, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    getattr(core, call.function).side_effect = error("FM_ERR_NOCONNECT")
    assert make(fm_api.FaultAPIs(), call) is call.failure
    [record] = caplog.records
    assert (record.name, record.levelno) == ("fm_api.fm_api", logging.ERROR)
    message = record.getMessage()
    assert all(part in message for part in (call.method, "no agent at", "FM_ERR_NOCONNECT")), message


@each_call
def test_a_failure_in_v2_is_an_exception(
    core: SimpleNamespace, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    cause = error("FM_ERR_NOCONNECT")
    getattr(core, call.function).side_effect = cause
    with pytest.raises(fm_api.APIException) as raised:
        make(fm_api.FaultAPIsV2(), call)
    assert str(raised.value) == f"Failed to execute {call.method}."
    assert raised.value.reason == "no agent at /run/fm/fm-agent.sock"
    assert raised.value.code == "FM_ERR_NOCONNECT"
    assert raised.value.__cause__ is cause
    assert len(caplog.records) == 1


@each_call
def test_what_is_no_failure_of_the_call_is_not_hidden(
    api: fm_api.FaultAPIsBase, core: SimpleNamespace, call: Call
) -> None:
    getattr(core, call.function).side_effect = ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        make(api, call)


def test_the_fields_of_a_returned_fault(api: fm_api.FaultAPIsBase, core: SimpleNamespace) -> None:
    core.get_alarm.return_value = {**ALARM, "uuid": None, "timestamp": None, "entity_instance_id": ""}
    fault = api.get_fault("300.010", None)
    assert fault is not None
    assert fault.as_dict() == {
        **make_fault().as_dict(),
        "entity_instance_id": " ",
        "reason_text": " ",
        "service_affecting": "True",
        "suppression": "False",
        "uuid": " ",
        "timestamp": " ",
        "inhibit_alarms": False,
        "keep_existing_alarm": False,
    }
    core.get_alarm.assert_called_once_with("300.010", None)


def test_a_set_that_clears_has_no_uuid(api: fm_api.FaultAPIsBase, core: SimpleNamespace) -> None:
    core.set_alarm.return_value = ""
    assert api.set_fault(make_fault(alarm_state="clear")) == fm_api.CLEARED == "cleared"


def test_an_empty_list_of_clears_sends_nothing(api: fm_api.FaultAPIsBase, core: SimpleNamespace) -> None:
    assert api.clear_faults_list([]) is True
    core.clear_alarms.assert_not_called()


def test_lists_go_in_one_call(api: fm_api.FaultAPIsBase, core: SimpleNamespace) -> None:
    api.set_faults(make_fault(entity_instance_id=f"host=h{number}") for number in range(60))
    [alarms] = core.set_alarms.call_args.args
    assert [alarm["entity_instance_id"] for alarm in alarms] == [f"host=h{number}" for number in range(60)]
    api.clear_faults_list(iter([("1", "a"), ("2", None)]))
    core.clear_alarms.assert_called_once_with([("1", "a"), ("2", None)])
