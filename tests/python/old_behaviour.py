"""How the old package behaves, as data, and where this one differs on purpose.

Each entry is one observable behaviour: what the old package did, as observed (2026-06), and what this one
does. ``SAME`` is the rule; a difference has its reason. ``docs/python.md`` lists the differences.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from faults import make_fault
from fm_api import constants, fm_api

V1, V2 = fm_api.FaultAPIs, fm_api.FaultAPIsV2

#: This package does what the old one did.
SAME = object()

#: Stands for a value that no two calls share: a uuid made by the call.
A_UUID = "<uuid>"


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """``run(alarm_id, entity)`` gives ``old`` with the old package and ``ours`` with this one."""

    name: str
    run: Callable[[str, str], Any]
    old: Any
    ours: Any = SAME
    reason: str = ""

    def check(self, alarm_id: str, entity: str) -> None:
        """Fails when this package does not do what it is to do."""
        expected = self.old if self.ours is SAME else self.ours
        answer = _without_uuids(self.run(alarm_id, entity))
        assert (type(answer), answer) == (type(expected), expected), self.name


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _without_uuids(value: Any) -> Any:
    """The value with each uuid replaced by the word for one."""
    if isinstance(value, list):
        return [_without_uuids(member) for member in value]
    return A_UUID if isinstance(value, str) and _UUID.fullmatch(value) else value


def fault(alarm_id: str, entity: str, **changed: Any) -> fm_api.Fault:
    return make_fault(alarm_id=alarm_id, entity_instance_id=entity, **changed)


def raised(call: Callable[[], Any]) -> str:
    """What a call raises, as 'Name: text', or its answer."""
    try:
        return f"answered {call()!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def field_after(name: str, **changed: Any) -> Callable[[str, str], Any]:
    """The field as it comes back after a set with these fields."""

    def run(alarm_id: str, entity: str) -> Any:
        V2().set_fault(fault(alarm_id, entity, **changed))
        found = V2().get_fault(alarm_id, entity)
        return None if found is None else getattr(found, name)

    return run


def field_kept(name: str, value: Any) -> Callable[[str, str], Any]:
    """Whether a field comes back as it was set."""
    read = field_after(name, **{name: value})
    return lambda alarm_id, entity: read(alarm_id, entity) == value


def refusal(**changed: Any) -> Callable[[str, str], Any]:
    """How the exception begins that a set of such a fault raises."""
    return lambda i, e: raised(lambda: V1().set_fault(fault(i, e, **changed))).partition(": '")[0]


def after_set(call: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    """What a call answers while the alarm stands."""

    def run(alarm_id: str, entity: str) -> Any:
        V2().set_fault(fault(alarm_id, entity))
        return call(alarm_id, entity)

    return run


def entities(faults: list[fm_api.Fault] | None, base: str) -> list[str]:
    """What alarms stand on, without the part that all tests' entities share."""
    return [found.entity_instance_id.removeprefix(base) for found in faults or []]


def left_after_clearing(cleared: str, *raised_on: str) -> Callable[[str, str], Any]:
    """Which alarms stay when clear_all takes an entity."""

    def run(alarm_id: str, entity: str) -> Any:
        for name in raised_on:
            V2().set_fault(fault(alarm_id, entity + name))
        V2().clear_all(entity + cleared)
        return entities(V2().get_faults_by_id(alarm_id), entity)

    return run


def order_of_times(alarm_id: str, entity: str) -> Any:
    for minute in (2, 0, 1):
        V2().set_fault(fault(alarm_id, f"{entity}.n={minute}", timestamp=f"2026-06-01 10:0{minute}:00"))
    return entities(V2().get_faults(entity), entity)


def uuid_of_list_is_the_alarms(alarm_id: str, entity: str) -> bool:
    made = V2().set_fault(fault(alarm_id, entity))
    return [found.uuid for found in V2().get_faults(entity) or []] == [made]


def matches_past_a_thousand(alarm_id: str, entity: str) -> Any:
    V2().set_faults([fault(alarm_id, f"{entity}.n={number}") for number in range(1001)])
    return len(V1().get_faults(entity) or [])


def keeps_existing(alarm_id: str, entity: str) -> bool:
    made = V2().set_fault(fault(alarm_id, entity))
    return V2().set_fault(fault(alarm_id, entity, keep_existing_alarm=True)) == made


def set_again_by_clear_state(alarm_id: str, entity: str) -> Any:
    V2().set_fault(fault(alarm_id, entity))
    V1().set_fault(fault(alarm_id, entity, severity=constants.FM_ALARM_SEVERITY_CLEAR))
    return V2().get_fault(alarm_id, entity) is None


ANSWERS = [
    Behaviour("V1 set_fault", lambda i, e: V1().set_fault(fault(i, e)), A_UUID),
    Behaviour("V2 set_fault", lambda i, e: V2().set_fault(fault(i, e)), A_UUID),
    Behaviour("V1 set_faults", lambda i, e: V1().set_faults([fault(i, e)]), True),
    Behaviour("V1 set_faults, empty", lambda i, e: V1().set_faults([]), None),
    Behaviour("V1 set_faults, nothing readable", lambda i, e: V1().set_faults([object()]), None),  # type: ignore[list-item]
    Behaviour("V1 clear_fault", after_set(lambda i, e: V1().clear_fault(i, e)), True),
    Behaviour("V1 clear_fault, none", lambda i, e: V1().clear_fault(i, e), False),
    Behaviour("V2 clear_fault", after_set(lambda i, e: V2().clear_fault(i, e)), True),
    Behaviour("V2 clear_fault, none", lambda i, e: V2().clear_fault(i, e), False),
    Behaviour("V1 clear_all", after_set(lambda i, e: V1().clear_all(e)), True),
    Behaviour("V1 clear_all, none", lambda i, e: V1().clear_all(e), False),
    Behaviour("V2 clear_all", after_set(lambda i, e: V2().clear_all(e)), True),
    Behaviour("V2 clear_all, none", lambda i, e: V2().clear_all(e), False),
    Behaviour("V2 clear_faults_list", after_set(lambda i, e: V2().clear_faults_list([(i, e)])), True),
    Behaviour("V2 clear_faults_list, none", lambda i, e: V2().clear_faults_list([(i, e)]), True),
    Behaviour("V1 get_fault, none", lambda i, e: V1().get_fault(i, e), None),
    Behaviour("V2 get_fault, none", lambda i, e: V2().get_fault(i, e), None),
    Behaviour("V1 get_faults, none", lambda i, e: V1().get_faults(e), None),
    Behaviour("V2 get_faults, none", lambda i, e: V2().get_faults(e), None),
    Behaviour("V1 get_faults_by_id, none", lambda i, e: V1().get_faults_by_id(i), None),
    Behaviour("V2 get_faults_by_id, none", lambda i, e: V2().get_faults_by_id(i), None),
    Behaviour("V1 get_faults_by_id_n_eid, none", lambda i, e: V1().get_faults_by_id_n_eid(i, e), None),
]

MISSING = "both interfaces have every call, so that callers can change between them"

CALLS = [
    Behaviour(f"{api.__name__} has {name}", lambda i, e, a=api, n=name: hasattr(a, n), False, True, MISSING)  # type: ignore[misc]
    for api, name in [
        (V2, "set_faults"),
        (V1, "clear_faults_list"),
        (V2, "get_faults_by_id_n_eid"),
        (V1, "get_faults_strict"),
        (V1, "get_faults_by_id_strict"),
        (V2, "get_faults_strict"),
        (V2, "get_faults_by_id_strict"),
    ]
]

REFUSALS = [
    Behaviour("an unknown state", refusal(alarm_state="up"), "ClientException: Invalid Fault State"),
    Behaviour("an unknown severity", refusal(severity="bad"), "ClientException: Invalid Fault Severity"),
    Behaviour("an unknown type", refusal(alarm_type="odd"), "ClientException: Invalid Fault Type"),
    Behaviour(
        "an unknown cause", refusal(probable_cause="imps"), "ClientException: Invalid Fault Probable Cause"
    ),
    Behaviour(
        "an unknown severity has no rank",
        lambda i, e: raised(lambda: V1.alarm_allowed("fatal", "none")).partition(":")[0],
        "TypeError",
        "ClientException",
        "the severity is named, as in a set",
    ),
]

FIELDS = [
    Behaviour("True is text", field_after("service_affecting", service_affecting=True), "True"),
    Behaviour("False is text", field_after("suppression", suppression=False), "False"),
    Behaviour("inhibit_alarms is False", field_after("inhibit_alarms", inhibit_alarms=True), False),
    Behaviour("keep_existing_alarm is False", field_after("keep_existing_alarm"), False),
    Behaviour("no text is one space", field_after("reason_text", reason_text=None), " "),
    Behaviour("empty text is one space", field_after("reason_text", reason_text=""), " "),
    Behaviour(
        "the empty entity is one space",
        lambda i, e: [V2().set_fault(fault(i, "")), [f.entity_instance_id for f in V2().get_faults_by_id(i) or []]],
        [A_UUID, [" "]],
    ),
    Behaviour("microseconds", field_kept("timestamp", "2026-06-01 10:00:00.123456"), True),
    Behaviour(
        "microseconds that end in zeros",
        field_after("timestamp", timestamp="2026-06-01 10:00:00.500000"),
        "2026-06-01 10:00:00.000005",
        "2026-06-01 10:00:00.500000",
        "the fraction lost its zeros, and with them its place",
    ),
    Behaviour(
        "a time with T and zone",
        field_after("timestamp", timestamp="2026-06-01T12:00:00.123456+02:00"),
        "not taken",
        "2026-06-01 10:00:00.123456",
        "what datetime.isoformat writes is taken",
    ),
]

CUT = "text was cut at 254 bytes, and callers that compare it raised for ever"
SHIFT = "the separator inside a field shifted all later fields"
TABLES = "the C tables lack the value and another came back"

TEXTS = [
    Behaviour("254 bytes", field_kept("reason_text", "x" * 254), True),
    Behaviour("255 bytes", field_kept("reason_text", "x" * 255), False, True, CUT),
    Behaviour("two-byte characters", field_kept("reason_text", "ä" * 200), False, True, CUT),
    Behaviour("the separator", field_kept("reason_text", "a###b"), False, True, SHIFT),
    Behaviour("ends in a hash", field_kept("reason_text", "disk #"), False, True, SHIFT),
    Behaviour("plain Unicode", field_kept("reason_text", "Überlauf \N{FIRE}"), True),
    Behaviour(
        "a quote in the entity",
        lambda i, e: V1().set_fault(fault(i, f"{e}.name=o'neil")) and len(V1().get_faults(f"{e}.name=o'neil") or []),
        0,
        1,
        "the entity was put into SQL as it is",
    ),
    *(
        Behaviour(f"{field} {value}", field_kept(field, value), False, True, TABLES)
        for field, value in [
            ("probable_cause", "certificate-expiration"),
            ("probable_cause", "unknown"),
            ("probable_cause", "configuration-out-of-date"),
            ("probable_cause", "configuration-provisioning-required"),
            ("probable_cause", "excessive-vibration"),
            ("alarm_type", "deployment in progress"),
        ]
    ),
    Behaviour(
        "severity clear clears", set_again_by_clear_state, False, True, "it is X.733's word for cleared; " + TABLES
    ),
]

PREFIX = "a name that merely begins alike is another entity"

MATCHING = [
    Behaviour("children of a cleared host go", left_after_clearing("", ".ntp", "=10.0.0.1", ""), []),
    Behaviour("others stay", left_after_clearing(".a=1", ".a=1", ".b=1"), [".b=1"]),
    Behaviour(
        "worker-0 is not worker-01", left_after_clearing(".w=0", ".w=0", ".w=01"), [], [".w=01"], PREFIX
    ),
    Behaviour(
        "rook-ceph is not rook-ceph-two", left_after_clearing(".app=r", ".app=r", ".app=r-2"), [], [".app=r-2"], PREFIX
    ),
    Behaviour(
        "site_1 is not siteA1", left_after_clearing(".s=x_1", ".s=x_1", ".s=xA1"), [], [".s=xA1"],
        "an underscore meant any character",
    ),
]

LISTS = [
    Behaviour("the alarm's own uuid", uuid_of_list_is_the_alarms, False, True, "lists had another table's uuid"),
    Behaviour(
        "ordered by time raised", order_of_times, "unordered", [".n=0", ".n=1", ".n=2"], "lists came unordered"
    ),
    Behaviour("more than 1000", matches_past_a_thousand, 0, 1001, "more than 1000 matches failed"),
    Behaviour("keep_existing_alarm keeps the uuid", keeps_existing, True),
]

BEHAVIOURS = [*ANSWERS, *CALLS, *REFUSALS, *FIELDS, *TEXTS, *MATCHING, *LISTS]
