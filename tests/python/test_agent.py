"""Every call of V1 and V2 against the real agent, standing alone."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable

import fm_core
import pytest
from faults import make_fault
from fm_api import constants, fm_api

pytestmark = pytest.mark.usefixtures("agent")

Api = fm_api.FaultAPIsBase


def entities(faults: list[fm_api.Fault] | None) -> list[str] | None:
    return None if faults is None else [fault.entity_instance_id for fault in faults]


def test_set_get_clear(api: Api, alarm_id: str, host: str) -> None:
    assert api.get_fault(alarm_id, host) is None
    made = api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=host))
    assert made is not None
    uuid.UUID(made)
    fault = api.get_fault(alarm_id, host)
    assert fault is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", str(fault.timestamp))
    expected = make_fault(
        alarm_id=alarm_id,
        entity_instance_id=host,
        uuid=made,
        timestamp=fault.timestamp,
        service_affecting="False",
        suppression="False",
    )
    assert fault.as_dict() == expected.as_dict()
    assert api.clear_fault(alarm_id, host) is True
    assert api.get_fault(alarm_id, host) is None
    assert api.clear_fault(alarm_id, host) is False


def test_get_means_exactly_the_entity(api: Api, alarm_id: str, host: str) -> None:
    api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=f"{host}.port=eth0"))
    assert api.get_fault(alarm_id, host) is None
    assert api.clear_fault(alarm_id, f"{host}.port=eth0") is True


def test_a_list(api: Api, alarm_id: str, host: str) -> None:
    names = [f"{host}.port=eth{number}" for number in range(60)]
    faults = [make_fault(alarm_id=alarm_id, entity_instance_id=name) for name in names]
    assert api.set_faults(faults) is True
    assert sorted(entities(api.get_faults_by_id(alarm_id)) or ()) == sorted(names)
    assert api.clear_faults_list([(alarm_id, name) for name in names]) is True
    assert api.get_faults_by_id(alarm_id) is None
    assert api.clear_faults_list([(alarm_id, name) for name in names]) is True


def test_a_list_is_all_or_nothing(api: Api, alarm_id: str, host: str) -> None:
    good = make_fault(alarm_id=alarm_id, entity_instance_id=host)
    with pytest.raises(fm_api.ClientException):
        api.set_faults([good, make_fault(alarm_id=alarm_id, severity="fatal")])
    assert api.get_fault(alarm_id, host) is None


def test_lists_by_entity_and_id(api: Api, alarm_id: str, host: str) -> None:
    other_id = f"{alarm_id}9"
    names = [host, f"{host}.ntp", f"{host}=10.0.0.1", f"{host}0", f"{host}-two"]
    for second, name in enumerate(reversed(names)):
        api.set_fault(
            make_fault(
                alarm_id=alarm_id, entity_instance_id=name, timestamp=f"2026-11-22 10:00:{59 - second:02}"
            )
        )
    api.set_fault(make_fault(alarm_id=other_id, entity_instance_id=host, timestamp="2026-11-22 09:00:00"))
    under = names[:3]
    assert entities(api.get_faults_by_id(alarm_id)) == names
    assert entities(api.get_faults_by_id_strict(alarm_id) or None) == names
    assert entities(api.get_faults(host)) == [host, *under]
    assert entities(api.get_faults_strict(host) or None) == [host, *under]
    assert entities(api.get_faults_by_id_n_eid(alarm_id, host)) == under
    assert api.clear_all(host) is True
    assert api.get_faults(host) is None
    assert api.get_faults_strict(host) is None
    assert api.get_faults_by_id_n_eid(alarm_id, host) is None
    assert api.get_faults_by_id_strict(other_id) is None
    assert entities(api.get_faults_by_id(alarm_id)) == names[3:]
    assert api.clear_all(host) is False
    assert api.clear_faults_list([(alarm_id, name) for name in names]) is True


@pytest.mark.parametrize(
    ("cleared", "stays"),
    [("rook-ceph", "rook-ceph-two"), ("worker-0", "worker-01"), ("site_1", "siteA1"), ("a%", "ab")],
)
def test_names_that_begin_alike(api: Api, alarm_id: str, host: str, cleared: str, stays: str) -> None:
    for name in (cleared, stays):
        api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=f"{host}.app={name}"))
    assert api.clear_all(f"{host}.app={cleared}") is True
    assert entities(api.get_faults(host)) == [f"{host}.app={stays}"]
    assert api.clear_all(host) is True


@pytest.mark.parametrize("entity", [None, "", "'; --"])
def test_clear_all_of_nothing_in_particular_is_refused(entity: str) -> None:
    if entity:
        assert fm_api.FaultAPIs().clear_all(entity) is False
        assert fm_api.FaultAPIsV2().clear_all(entity) is False
        return
    assert fm_api.FaultAPIs().clear_all(entity) is False
    with pytest.raises(fm_api.APIException) as raised:
        fm_api.FaultAPIsV2().clear_all(entity)
    assert str(raised.value) == "Failed to execute clear_all."
    assert raised.value.code == "FM_ERR_INVALID_PARAMETER"


@pytest.mark.parametrize("field", ["alarm_state", "severity"])
def test_a_set_that_clears(api: Api, alarm_id: str, host: str, field: str) -> None:
    api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=host))
    clear = make_fault(alarm_id=alarm_id, entity_instance_id=host, **{field: "clear"})
    assert api.set_fault(clear) == fm_api.CLEARED
    assert api.get_fault(alarm_id, host) is None
    assert api.set_fault(clear) is None


@pytest.mark.parametrize("state", ["msg", "log"])
def test_logs_never_appear_as_alarms(api: Api, alarm_id: str, host: str, state: str) -> None:
    made = api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=host, alarm_state=state))
    assert made is not None
    uuid.UUID(made)
    assert api.get_fault(alarm_id, host) is None
    assert api.get_faults(host) is None


def test_raised_again(api: Api, alarm_id: str, host: str) -> None:
    first = make_fault(alarm_id=alarm_id, entity_instance_id=host, reason_text="first")
    api.set_fault(first)
    api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=host, reason_text="second"))
    faults = api.get_faults_by_id(alarm_id)
    assert faults is not None
    assert [fault.reason_text for fault in faults] == ["second"]


def test_raised_again_with_keep_existing_alarm(api: Api, alarm_id: str, host: str) -> None:
    made = api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=host))
    before = api.get_fault(alarm_id, host)
    again = make_fault(
        alarm_id=alarm_id, entity_instance_id=host, keep_existing_alarm=True, timestamp="2030-01-01 00:00:00"
    )
    assert api.set_fault(again) == made
    after = api.get_fault(alarm_id, host)
    assert before is not None
    assert after is not None
    assert (after.uuid, after.timestamp) == (before.uuid, before.timestamp) == (made, before.timestamp)


def test_a_returned_fault_can_be_set(api: Api, alarm_id: str, host: str) -> None:
    api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=host, reason_text=None, suppression=True))
    fault = api.get_fault(alarm_id, host)
    assert fault is not None
    api.clear_fault(alarm_id, host)
    fault.severity = "critical"
    made = api.set_fault(fault)
    assert made is not None
    assert made != fault.uuid
    again = api.get_fault(alarm_id, host)
    assert again is not None
    assert again.as_dict() == {**fault.as_dict(), "uuid": made}
    assert api.set_fault(again) == made


def test_every_value_comes_back(alarm_id: str, host: str) -> None:
    api = fm_api.FaultAPIsV2()
    cases = [("alarm_type", value) for value in constants.ALARM_TYPE]
    cases += [("probable_cause", value) for value in constants.ALARM_PROBABLE_CAUSE]
    cases += [("severity", value) for value in constants.ALARM_SEVERITY if value != "clear"]
    faults = [
        make_fault(alarm_id=alarm_id, entity_instance_id=f"{host}.n={number}", **{field: value})
        for number, (field, value) in enumerate(cases)
    ]
    assert api.set_faults(faults) is True
    found = {fault.entity_instance_id: fault for fault in api.get_faults_by_id(alarm_id) or ()}
    for number, (field, value) in enumerate(cases):
        assert getattr(found[f"{host}.n={number}"], field) == value


def test_many_threads_each_get_their_own_answers(alarm_id: str, host: str) -> None:
    wrong: list[str] = []

    def work(number: int) -> None:
        api, name = fm_api.FaultAPIs(), f"{host}.n={number}"
        for turn in range(20):
            made = api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=name, reason_text=str(turn)))
            fault = api.get_fault(alarm_id, name)
            if fault is None or (fault.uuid, fault.entity_instance_id) != (made, name):
                wrong.append(f"{name}: set {made}, got {fault and fault.as_dict()}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_parent_and_child_each_get_their_own_answers(
    run_python: Callable[..., str], alarm_id: str, host: str
) -> None:
    program = f"""
import os
from fm_api import fm_api
api = fm_api.FaultAPIsV2()
def work(name):
    for turn in range(50):
        made = api.set_fault(fm_api.Fault(
            "{alarm_id}", "set", "host", name, "major", str(turn), "other", "unknown", "r"))
        fault = api.get_fault("{alarm_id}", name)
        if (fault.uuid, fault.entity_instance_id, fault.reason_text) != (made, name, str(turn)):
            return 1
    return 0
work("{host}.n=before")
child = os.fork()
if child == 0:
    os._exit(work("{host}.n=child"))
print(work("{host}.n=parent"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run_python(program) == "0 0"


def test_in_a_patched_process(run_python: Callable[..., str], alarm_id: str, host: str) -> None:
    program = f"""
import eventlet
eventlet.monkey_patch()
from fm_api import fm_api
api = fm_api.FaultAPIsV2()
def work(number):
    name = f"{host}.n={{number}}"
    made = api.set_fault(fm_api.Fault("{alarm_id}", "set", "h", name, "major", "t", "other", "unknown", "r"))
    return api.get_fault("{alarm_id}", name).uuid == made
print(list(eventlet.GreenPool().imap(work, range(30))) == [True] * 30, len(api.get_faults("{host}")))
"""
    assert run_python(program) == "True 30"


def test_ping_and_status() -> None:
    fm_core.ping()
    assert isinstance(json.loads(fm_core.status()), dict)


