"""What may not be sent is refused before sending, by ``ClientException``, with the field named."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from faults import make_fault
from fm_api import constants, fm_api

REQUIRED = [
    "alarm_id",
    "alarm_state",
    "severity",
    "alarm_type",
    "probable_cause",
    "entity_type_id",
    "entity_instance_id",
]

LISTED = [
    ("alarm_state", "raised", "Invalid Fault State:"),
    ("severity", "fatal", "Invalid Fault Severity:"),
    ("severity", "none", "Invalid Fault Severity:"),
    ("severity", "not-applicable", "Invalid Fault Severity:"),
    ("alarm_type", "gremlins", "Invalid Fault Type:"),
    ("probable_cause", "bad luck", "Invalid Fault Probable Cause:"),
    ("probable_cause", "", "Invalid Fault Probable Cause:"),
    ("severity", ["major"], "Invalid Fault Severity:"),
]

UNSENDABLE = [
    ("reason_text", "lone \ud800 surrogate"),
    ("entity_instance_id", "host=\udfff"),
    ("alarm_id", 300.010),
    ("alarm_id", " "),
    ("entity_type_id", ""),
    ("reason_text", b"bytes"),
    ("reason_text", "x" * 65_537),
    ("uuid", "not a uuid"),
    ("timestamp", "yesterday"),
    ("timestamp", 1_700_000_000),
    ("timestamp", datetime.date(2026, 11, 22)),
    ("timestamp", datetime.datetime.min.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=2)))),
    ("service_affecting", "perhaps"),
    ("suppression", 2),
    ("inhibit_alarms", "on"),
    ("keep_existing_alarm", []),
]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_field_that_is_none(api: fm_api.FaultAPIsBase, name: str) -> None:
    with pytest.raises(fm_api.ClientException, match=f"^{name}: "):
        api.set_fault(make_fault(**{name: None}))


@pytest.mark.parametrize(("name", "value", "start"), LISTED)
def test_a_value_outside_its_list(api: fm_api.FaultAPIsBase, name: str, value: Any, start: str) -> None:
    fault = make_fault(**{name: value})
    for send in (lambda: api.set_fault(fault), lambda: api.set_faults([make_fault(), fault])):
        with pytest.raises(fm_api.ClientException, match=f" {name} ") as refused:
            send()
        assert str(refused.value).startswith(start)


@pytest.mark.parametrize(("name", "value"), UNSENDABLE)
def test_a_value_that_cannot_be_sent(api: fm_api.FaultAPIsBase, name: str, value: Any) -> None:
    fault = make_fault(**{name: value})
    for send in (lambda: api.set_fault(fault), lambda: api.set_faults([make_fault(), fault])):
        with pytest.raises(fm_api.ClientException, match=f"^{name}: "):
            send()


def test_the_place_in_a_list_is_named(api: fm_api.FaultAPIsBase) -> None:
    with pytest.raises(fm_api.ClientException, match="fault 2 of the list"):
        api.set_faults([make_fault(), make_fault(severity="fatal")])


@pytest.mark.parametrize("value", [None, "text", {}])
def test_what_is_no_fault(api: fm_api.FaultAPIsBase, value: Any) -> None:
    with pytest.raises(fm_api.ClientException, match="expected a Fault, got"):
        api.set_fault(value)
    with pytest.raises(fm_api.ClientException, match="expected a Fault, got .* 2 of the list"):
        api.set_faults([make_fault(), value])


def test_a_list_with_nothing_readable() -> None:
    assert fm_api.FaultAPIs().set_faults([None, "text"]) is None  # type: ignore[list-item]
    with pytest.raises(fm_api.ClientException, match="fault 1 of the list"):
        fm_api.FaultAPIsV2().set_faults([None, "text"])  # type: ignore[list-item]


@pytest.mark.parametrize("value", [None, [], ()])
def test_an_empty_list(api: fm_api.FaultAPIsBase, core: SimpleNamespace, value: Any) -> None:
    assert api.set_faults(value) is None
    core.set_alarms.assert_not_called()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("alarm_state", constants.ALARM_STATE),
        ("severity", constants.ALARM_SEVERITY),
        ("alarm_type", constants.ALARM_TYPE),
        ("probable_cause", constants.ALARM_PROBABLE_CAUSE),
    ],
)
def test_every_listed_value_is_sent(core: SimpleNamespace, name: str, values: list[str]) -> None:
    for value in values:
        fm_api.FaultAPIs().set_fault(make_fault(**{name: value}))
        assert core.set_alarm.call_args.args[0][name] == value


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (True, True),
        (False, False),
        ("True", True),
        ("False", False),
        ("false", False),
        (None, False),
        (1, True),
        (0, False),
        (" ", False),
    ],
)
def test_flags_as_callers_write_them(core: SimpleNamespace, given: Any, sent: bool) -> None:
    flags = ["service_affecting", "suppression", "inhibit_alarms", "keep_existing_alarm"]
    fm_api.FaultAPIs().set_fault(make_fault(**dict.fromkeys(flags, given)))
    fields = core.set_alarm.call_args.args[0]
    assert [fields[flag] for flag in flags] == [sent] * 4


def test_times_as_callers_write_them(core: SimpleNamespace) -> None:
    east = datetime.timezone(datetime.timedelta(hours=2))
    for given, sent in [
        (None, None),
        ("2026-11-22 10:00:00.500000", "2026-11-22 10:00:00.500000"),
        ("2026-11-22T12:00:00.5+02:00", "2026-11-22T12:00:00.5+02:00"),
        (datetime.datetime(2026, 11, 22, 10, 0, 0, 500_000), "2026-11-22 10:00:00.500000+00:00"),
        (datetime.datetime(2026, 11, 22, 12, 0, 0, tzinfo=east), "2026-11-22 10:00:00+00:00"),
    ]:
        fm_api.FaultAPIs().set_fault(make_fault(timestamp=given))
        assert core.set_alarm.call_args.args[0]["timestamp"] == sent
