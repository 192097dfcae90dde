"""The text interface of the extension module against the real agent."""

from __future__ import annotations

import logging
from typing import Any

import fm_core
import pytest
from faults import make_fault
from fm_api import fm_api
from old_package import TextApi, alarm_text, text_of

pytestmark = pytest.mark.usefixtures("agent")


def as_returned(fault: fm_api.Fault) -> dict[str, str]:
    """The fields of a fault of the typed interface as text carries them."""
    fields = fault.as_dict()
    del fields["keep_existing_alarm"]
    return {name: str(field) for name, field in fields.items()}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"reason_text": None, "proposed_repair_action": None, "entity_instance_id": " "},
        {"service_affecting": True, "suppression": True, "inhibit_alarms": False},
        {"timestamp": "2026-11-22 10:00:00.500000", "uuid": "0f9b3f52-7c8e-4ab3-8a33-0a5b7d1f6c11"},
        {"probable_cause": "certificate-expiration", "severity": "critical"},
        {"reason_text": "ä" * 400, "proposed_repair_action": "\N{FIRE}\nit's \"x\"; # not all\0"},
        {"reason_text": "a # b ## c"},
    ],
)
def test_the_old_package_gets_the_same_fields(alarm_id: str, host: str, changed: dict[str, Any]) -> None:
    old, new = TextApi(), fm_api.FaultAPIsV2()
    fault = make_fault(**{"alarm_id": alarm_id, "entity_instance_id": host, **changed})
    entity = fault.entity_instance_id
    made = old.set_fault(fault)
    assert made is not None
    if fault.uuid:
        assert made != fault.uuid
    found = new.get_fault(alarm_id, entity)
    assert found is not None
    expected = as_returned(found)
    wanted = {name: str(field) for name, field in fault.as_dict().items() if field is not None}
    assert {**expected, **wanted, "uuid": made, "keep_existing_alarm": "False"} == {
        **expected,
        "keep_existing_alarm": "False",
    }
    assert old.get_fault(alarm_id, entity) == expected
    assert old.get_faults_by_id(alarm_id) == [expected]
    assert old.get_faults_by_id_n_eid(alarm_id, entity) == [expected]
    assert expected in (old.get_faults(entity) or [])
    assert old.clear_fault(alarm_id, entity) is True
    assert old.clear_fault(alarm_id, entity) is False
    assert old.get_fault(alarm_id, entity) is None


def test_lists(alarm_id: str, host: str) -> None:
    old = TextApi()
    # Those of one microsecond are in the order of their names.
    names = [f"{host}.n={number:02}" for number in range(60)]
    faults = [make_fault(alarm_id=alarm_id, entity_instance_id=name) for name in names]
    assert old.set_faults(faults) is True
    assert [found["entity_instance_id"] for found in old.get_faults(host) or []] == names
    assert old.clear_faults_list([(alarm_id, name) for name in names[:30]]) is True
    assert old.clear_all(host) is True
    assert old.clear_all(host) is False
    assert old.clear_faults_list([(alarm_id, names[0])]) is True
    assert fm_core.set_fault_list([]) is None
    assert fm_core.clear_list([]) is None


def test_keep_existing_alarm_travels(alarm_id: str, host: str) -> None:
    first = TextApi().set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=host))
    again = make_fault(alarm_id=alarm_id, entity_instance_id=host, keep_existing_alarm=True)
    assert TextApi().set_fault(again) == first


@pytest.mark.parametrize("text", ["a###b", "######", "ends in #", "# begins", "a####b###"])
def test_hashes_between_fields_that_tell_themselves(alarm_id: str, host: str, text: str) -> None:
    fault = make_fault(
        alarm_id=alarm_id, entity_instance_id=host, reason_text=text, proposed_repair_action=text
    )
    assert TextApi().set_fault(fault)
    found = fm_api.FaultAPIsV2().get_fault(alarm_id, host)
    assert found is not None
    assert (found.reason_text, found.proposed_repair_action) == (text, text)


def test_an_entity_that_ends_in_a_hash(alarm_id: str, host: str) -> None:
    entity = f"{host}.disk=1#"
    fm_api.FaultAPIsV2().set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=entity))
    assert TextApi().clear_fault(alarm_id, entity) is True


def test_several_readings_are_refused_and_logged(
    alarm_id: str, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    entity = f"{host}.pod=a###b"
    assert fm_core.set(alarm_text(make_fault(alarm_id=alarm_id, entity_instance_id=entity))) is None
    assert fm_core.clear(text_of([alarm_id, entity])) is False
    assert fm_core.get(text_of([alarm_id, entity])) is False
    messages = [record.getMessage() for record in caplog.records if record.name == "fm_core"]
    assert len(messages) == 3
    assert all("in several ways" in message and entity in message for message in messages)
    assert fm_api.FaultAPIsV2().get_faults_by_id(alarm_id) is None


UNREADABLE = ["", "###", "100.101", None, 7, b"######", "\ud800", ["###a###b###"]]


@pytest.mark.parametrize("given", UNREADABLE, ids=repr)
def test_what_is_no_text_of_the_kind_is_logged_and_never_raised(
    given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answers = {
        fm_core.set: None,
        fm_core.get: False,
        fm_core.clear: False,
        fm_core.get_by_id_n_eid: False,
    }
    for function, answer in answers.items():
        caplog.clear()
        assert function(given) is answer  # type: ignore[operator]
        [record] = caplog.records
        assert (record.name, record.levelno) == ("fm_core", logging.ERROR)
        assert record.getMessage().startswith(f"{function.__name__} was not done: ")


@pytest.mark.parametrize("given", [None, 7, b"host", "\ud800"], ids=repr)
def test_an_entity_or_id_that_is_no_text(given: Any, caplog: pytest.LogCaptureFixture) -> None:
    for function in (fm_core.clear_all, fm_core.get_by_eid, fm_core.get_by_aid):
        caplog.clear()
        assert function(given) is False
        assert "expected a text, got" in caplog.text or "not valid Unicode" in caplog.text


def test_a_list_is_all_or_nothing(alarm_id: str, host: str, caplog: pytest.LogCaptureFixture) -> None:
    good = alarm_text(make_fault(alarm_id=alarm_id, entity_instance_id=host))
    assert fm_core.set_fault_list([good, "###"]) is False
    assert "1 of the 2 alarms cannot be sent, so none was" in caplog.text
    assert fm_core.set_fault_list(["###", ""]) is None
    assert fm_core.set_fault_list(good) is False  # type: ignore[arg-type]
    assert fm_core.clear_list([text_of([alarm_id, host]), "###"]) is False
    assert fm_core.clear_list(None) is False  # type: ignore[arg-type]
    assert fm_core.get(text_of([alarm_id, host])) is None


def test_a_value_that_cannot_be_sent_is_named(alarm_id: str, caplog: pytest.LogCaptureFixture) -> None:
    for field, value in [("severity", "fatal"), ("timestamp", "yesterday"), ("suppression", "perhaps"), ("uuid", "7")]:
        caplog.clear()
        assert fm_core.set(alarm_text(make_fault(alarm_id=alarm_id, **{field: value}))) is None
        assert f"{field}: " in caplog.text


def test_a_clear_and_a_log_by_their_state(alarm_id: str, host: str) -> None:
    old = TextApi()
    log = make_fault(alarm_id=alarm_id, entity_instance_id=host, alarm_state="msg")
    assert old.set_fault(log)
    assert old.get_fault(alarm_id, host) is None
    old.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=host))
    clear = make_fault(alarm_id=alarm_id, entity_instance_id=host, alarm_state="clear")
    assert old.set_fault(clear) == "cleared"
    assert old.set_fault(clear) is None


def test_more_than_a_thousand_and_max(alarm_id: str, host: str, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"{host}.n={number}" for number in range(1001)]
    faults = [make_fault(alarm_id=alarm_id, entity_instance_id=name) for name in names]
    api = fm_api.FaultAPIsV2()
    assert api.set_faults(faults) is True
    assert len(api.get_faults_by_id(alarm_id) or ()) == 1001
    assert len(fm_core.get_by_aid(alarm_id) or ()) == 1001
    assert len(fm_core.get_by_eid(entity_instance_id=host, max=1001) or ()) == 1001
    assert fm_core.get_by_aid(alarm_id=alarm_id, max=1000) is False
    assert "more than the 1000 asked for" in caplog.text
    assert len(fm_core.get_by_id_n_eid(text_of([alarm_id, names[0]]), max=1) or ()) == 1
    assert api.clear_all(host) is True
