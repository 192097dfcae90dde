"""Texts and times that used to go wrong come back from the real agent as they were given."""

from __future__ import annotations

import datetime

import pytest
from faults import make_fault
from fm_api import fm_api

pytestmark = pytest.mark.usefixtures("agent")

Api = fm_api.FaultAPIsBase

TEXTS = {
    "separator": "a###b",
    "only separators": "######",
    "ends in a hash": "value #",
    "quotes": "it's \"quoted\" `so`",
    "statement": "'; DROP TABLE alarm; --",
    "nul": "before\0after",
    "400 bytes in 200 characters": "ä" * 200,
    "400 characters": "ä" * 400,
    "emoji": "\N{FIRE} \N{FAMILY}\N{ZERO WIDTH JOINER}",
    "lines": "one\ntwo\r\n\tthree",
    "backslashes": "C:\\temp\\%s {0}",
    "spaces around": "  padded  ",
    "long": "x" * 65_536,
    "words": "None True False null",
}

each_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


@each_text
def test_in_the_texts_for_people(api: Api, alarm_id: str, host: str, text: str) -> None:
    assert api.set_fault(
        make_fault(
            alarm_id=alarm_id, entity_instance_id=host, reason_text=text, proposed_repair_action=text[::-1]
        )
    )
    fault = api.get_fault(alarm_id, host)
    assert fault is not None
    assert (fault.reason_text, fault.proposed_repair_action) == (text, text[::-1])


@each_text
def test_in_the_entity(api: Api, alarm_id: str, host: str, text: str) -> None:
    name = f"{host}.name={text[:1000]}"
    bystander = f"{host}.bystander"
    for entity in (name, bystander):
        assert api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=entity, entity_type_id=text[:1000]))
    for fault in (api.get_fault(alarm_id, name), *(api.get_faults_by_id_n_eid(alarm_id, name) or (None,))):
        assert fault is not None
        assert (fault.entity_instance_id, fault.entity_type_id) == (name, text[:1000])
    assert api.clear_fault(alarm_id, name) is True
    assert api.get_fault(alarm_id, name) is None
    assert api.get_fault(alarm_id, bystander) is not None


@pytest.mark.parametrize("given", ["", " "])
def test_the_empty_entity(api: Api, alarm_id: str, given: str) -> None:
    assert api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=given))
    for asked in (None, "", " "):
        fault = api.get_fault(alarm_id, asked)
        assert fault is not None
        assert fault.entity_instance_id == " "
        assert len(api.get_faults_by_id_n_eid(alarm_id, asked) or ()) == 1
        assert alarm_id in [fault.alarm_id for fault in api.get_faults(asked) or ()]
    assert api.clear_fault(alarm_id, None) is True
    assert api.get_fault(alarm_id, given) is None


@pytest.mark.parametrize("given", [None, "", " "])
def test_empty_texts_come_back_as_one_space(api: Api, alarm_id: str, host: str, given: str) -> None:
    api.set_fault(
        make_fault(
            alarm_id=alarm_id, entity_instance_id=host, reason_text=given, proposed_repair_action=given, uuid=given
        )
    )
    fault = api.get_fault(alarm_id, host)
    assert fault is not None
    assert (fault.reason_text, fault.proposed_repair_action) == (" ", " ")


def test_alarm_ids_are_texts(api: Api, alarm_id: str, host: str) -> None:
    short, long = f"{alarm_id}.1", f"{alarm_id}.10"
    api.set_fault(make_fault(alarm_id=long, entity_instance_id=host))
    assert api.get_fault(short, host) is None
    assert api.get_faults_by_id(short) is None
    assert api.clear_fault(long, host) is True


@pytest.mark.parametrize(("given", "text"), [(True, "True"), (False, "False"), ("True", "True"), (None, "False")])
def test_flags_come_back_as_text(api: Api, alarm_id: str, host: str, given: bool, text: str) -> None:
    api.set_fault(
        make_fault(alarm_id=alarm_id, entity_instance_id=host, service_affecting=given, suppression=not given)
    )
    fault = api.get_fault(alarm_id, host)
    assert fault is not None
    assert (fault.service_affecting, fault.suppression) == (text, str(not given))
    assert (fault.inhibit_alarms, fault.keep_existing_alarm) == (False, False)


@pytest.mark.parametrize(
    ("given", "back"),
    [
        ("2026-11-22 10:00:00.500000", "2026-11-22 10:00:00.500000"),
        ("2026-11-22 10:00:00.000005", "2026-11-22 10:00:00.000005"),
        ("2026-11-22T10:00:00.120000", "2026-11-22 10:00:00.120000"),
        ("2026-11-22 10:00:00", "2026-11-22 10:00:00.000000"),
        ("2026-11-22T12:00:00.5+02:00", "2026-11-22 10:00:00.500000"),
        (datetime.datetime(2026, 11, 22, 10, 0, 0, 500_000), "2026-11-22 10:00:00.500000"),
        (
            datetime.datetime(2026, 11, 22, 4, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=-6))),
            "2026-11-22 10:00:00.000000",
        ),
    ],
)
def test_times(
    api: Api, alarm_id: str, host: str, given: str | datetime.datetime, back: str
) -> None:
    api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=host, timestamp=given))
    fault = api.get_fault(alarm_id, host)
    assert fault is not None
    assert fault.timestamp == back


def test_no_time_is_now(api: Api, alarm_id: str, host: str) -> None:
    before = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    api.set_fault(make_fault(alarm_id=alarm_id, entity_instance_id=host))
    after = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    fault = api.get_fault(alarm_id, host)
    assert fault is not None
    assert before <= datetime.datetime.fromisoformat(str(fault.timestamp)) <= after
