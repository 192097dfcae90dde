"""Any valid fault comes back equal, through the typed calls; through text it comes back equal or is
refused.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import fm_core
import pytest
from fm_api import constants, fm_api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from old_package import alarm_text, text_of

pytestmark = pytest.mark.usefixtures("agent")

# The agent answers from disk, and a disk's pace is no property of a fault. A fixed seed: the same suite
# gives the same verdict.
each = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

characters = st.characters(exclude_categories=["Cs"])
hashes = st.lists(st.sampled_from(["###", "#", " ", "a", "major", "set", "other", "True"]), max_size=9).map("".join)
texts = st.text(characters, max_size=300) | hashes | st.text(characters, min_size=255, max_size=2000)
names = (st.text(characters, min_size=1, max_size=40) | hashes).filter(lambda text: text.strip() != "")
zones = st.none() | st.integers(-1439, 1439).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)
times = st.datetimes(
    datetime.datetime(1, 1, 3),
    datetime.datetime(9999, 12, 28),
    timezones=zones,  # type: ignore[arg-type]
)
flags = st.booleans()


def utc(time: datetime.datetime) -> str:
    """A time as it comes back."""
    if time.tzinfo is not None:
        time = time.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return time.isoformat(sep=" ", timespec="microseconds")


@st.composite
def faults(draw: st.DrawFn) -> fm_api.Fault:
    """A fault that may be raised."""
    time = draw(st.none() | times)
    spelled = time
    if time is not None and draw(flags):
        separator = draw(st.sampled_from([" ", "T"]))
        spelled = time.isoformat(sep=separator)  # type: ignore[assignment]
    fault = fm_api.Fault(
        alarm_id=draw(names),
        alarm_state=constants.FM_ALARM_STATE_SET,
        entity_type_id=draw(names),
        entity_instance_id=draw(texts),
        severity=draw(st.sampled_from([name for name in constants.ALARM_SEVERITY if name != "clear"])),
        reason_text=draw(st.none() | texts),
        alarm_type=draw(st.sampled_from(constants.ALARM_TYPE)),
        probable_cause=draw(st.sampled_from(constants.ALARM_PROBABLE_CAUSE)),
        proposed_repair_action=draw(st.none() | texts),
        service_affecting=draw(flags),
        suppression=draw(flags),
        uuid=str(uuid.uuid4()) if draw(flags) else None,
        timestamp=spelled,
    )
    return fault


def expected_back(fault: fm_api.Fault, made: str, time: Any) -> dict[str, Any]:
    """The fields of a fault as they come back, with the uuid it got and the time it has when it had none."""
    given_time = fault.timestamp
    if isinstance(given_time, str):
        given_time = datetime.datetime.fromisoformat(given_time)
    expected = fault.as_dict()
    for name in ("reason_text", "proposed_repair_action", "entity_instance_id"):
        expected[name] = expected[name] or " "
    return {
        **expected,
        "uuid": made,
        "timestamp": time if given_time is None else utc(given_time),
        "service_affecting": str(fault.service_affecting),
        "suppression": str(fault.suppression),
    }


@each
@given(fault=faults())
def test_any_fault_comes_back_equal(fault: fm_api.Fault) -> None:
    api = fm_api.FaultAPIsV2()
    key = (fault.alarm_id, fault.entity_instance_id)
    made = api.set_fault(fault)
    assert made is not None
    found = api.get_fault(*key)
    assert found is not None
    expected = expected_back(fault, made, found.timestamp)
    assert found.as_dict() == expected
    assert expected in [listed.as_dict() for listed in api.get_faults(fault.entity_instance_id) or ()]
    assert [listed.as_dict() for listed in api.get_faults_by_id_n_eid(*key) or ()] == [expected]
    assert api.clear_fault(*key) is True
    assert api.get_fault(*key) is None


@each
@given(given_faults=st.lists(faults(), min_size=1, max_size=20, unique_by=lambda fault: fault.alarm_id))
def test_any_list_of_faults_comes_back_equal(given_faults: list[fm_api.Fault]) -> None:
    api = fm_api.FaultAPIsV2()
    assert api.set_faults(given_faults) is True
    for fault in given_faults:
        listed = api.get_faults_by_id(fault.alarm_id)
        assert listed is not None
        [found] = listed
        assert found.as_dict() == expected_back(fault, str(found.uuid), found.timestamp)
    assert api.clear_faults_list([(fault.alarm_id, fault.entity_instance_id) for fault in given_faults]) is True


@each
@given(fault=faults())
def test_any_fault_as_text_comes_back_equal_or_is_refused(fault: fm_api.Fault) -> None:
    api = fm_api.FaultAPIsV2()
    key = (fault.alarm_id, fault.entity_instance_id)
    made = fm_core.set(alarm_text(fault))
    found = api.get_fault(*key)
    if made is None:
        assert found is None
        assert "#" in alarm_text(fault).replace("###", "", 16) or "####" in alarm_text(fault)
        return
    assert found is not None
    assert found.as_dict() == expected_back(fault, made, found.timestamp)
    assert fm_core.clear(text_of(list(key))) is not None or "#" in "".join(key)
    api.clear_faults_list([key])
    assert api.get_fault(*key) is None
