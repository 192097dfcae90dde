"""Faults, the order of severities, and the exceptions, as callers use them without an agent."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest
from faults import make_fault
from fm_api import constants, fm_api

FIELDS = [
    "alarm_id",
    "alarm_state",
    "entity_type_id",
    "entity_instance_id",
    "severity",
    "reason_text",
    "alarm_type",
    "probable_cause",
    "proposed_repair_action",
    "service_affecting",
    "suppression",
    "uuid",
    "timestamp",
    "inhibit_alarms",
    "keep_existing_alarm",
]


@pytest.mark.parametrize("count", [9, 11, 12, 15])
def test_arguments_by_position(count: int) -> None:
    given: list[Any] = FIELDS[:count]
    fault = fm_api.Fault(*given)
    defaults = dict(zip(FIELDS[9:], [False, False, None, None, False, False]))
    assert fault.as_dict() == {name: name if name in FIELDS[:count] else defaults[name] for name in FIELDS}


def test_arguments_by_keyword() -> None:
    fault = fm_api.Fault(**{name: name for name in reversed(FIELDS)})  # type: ignore[arg-type]
    assert all(getattr(fault, name) == name for name in FIELDS)


def test_the_dict_is_a_shallow_copy() -> None:
    text = ["shared"]
    fault = make_fault(reason_text=text)
    fields = fault.as_dict()
    assert fields["reason_text"] is text
    fields["severity"] = "minor"
    assert fault.severity == "major"


def test_attributes_are_plain() -> None:
    fault = make_fault()
    fault.severity = "minor"
    assert fault.as_dict()["severity"] == "minor"
    assert pickle.loads(pickle.dumps(fault)).as_dict() == fault.as_dict()


def test_alarm_allowed_below_the_threshold_only() -> None:
    order = ["warning", "minor", "major", "critical", "none"]
    for low, severity in enumerate(order):
        for high, threshold in enumerate(order):
            assert fm_api.FaultAPIs.alarm_allowed(severity, threshold) is (low < high)
            assert fm_api.FaultAPIsV2().alarm_allowed(severity, threshold) is (low < high)


def test_a_severity_without_rank_is_named() -> None:
    with pytest.raises(fm_api.ClientException, match="'fatal'"):
        fm_api.FaultAPIs.alarm_allowed("fatal", "none")


def test_every_known_severity_but_clear_has_a_rank() -> None:
    for severity in set(constants.ALARM_SEVERITY) - {"clear"}:
        assert fm_api.FaultAPIs.alarm_allowed(severity, "none")


def test_the_base_is_shared_and_not_used_alone() -> None:
    assert issubclass(fm_api.FaultAPIs, fm_api.FaultAPIsBase)
    assert issubclass(fm_api.FaultAPIsV2, fm_api.FaultAPIsBase)
    with pytest.raises(TypeError):
        fm_api.FaultAPIsBase()  # type: ignore[abstract]


def test_the_lock_serves_callers() -> None:
    assert isinstance(fm_api.fm_api_lock, type(threading.Lock()))


def test_a_call_goes_through_while_the_lock_is_held() -> None:
    with fm_api.fm_api_lock:
        assert fm_api.FaultAPIs().get_fault("100.101", "host=a") is None
