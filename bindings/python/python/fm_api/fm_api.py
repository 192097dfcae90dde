"""Raise, clear and look up alarms through the fault management agent of this node.

``FaultAPIs`` ('V1') answers every failure with a value, ``FaultAPIsV2`` raises ``APIException``. Both
offer the same calls.

Invariants:

- A set is checked before anything is sent, and ``ClientException`` names the field that is wrong.
- 'None there' and 'could not ask' are told apart wherever the call's convention has two answers for
  them.
- No call lasts longer than its deadline (``FM_API_TIMEOUT_MS`` for sets and clears, one second when it
  is not set; ``FM_API_READ_TIMEOUT_MS`` for the others, five seconds).
- Every failure is logged with its reason.
"""

from __future__ import annotations

import abc
import logging
import reprlib
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable, Literal, NoReturn, TypeVar

import fm_core

from . import _native, constants

if TYPE_CHECKING:
    import datetime

    from fm_core import AlarmFields

__all__ = [
    "CLEARED",
    "APIException",
    "ClientException",
    "Fault",
    "FaultAPIs",
    "FaultAPIsBase",
    "FaultAPIsV2",
    "fm_api_lock",
]

LOG = logging.getLogger(__name__)

_T = TypeVar("_T")

#: What ``set_fault`` returns for a fault whose state or severity is 'clear': no alarm, so no uuid.
CLEARED = "cleared"

#: Callers that take turns by it go on doing so. The calls here need no lock and never take it.
fm_api_lock = threading.Lock()

_NOT_FOUND = "FM_ERR_ENTITY_NOT_FOUND"


class ClientException(Exception):
    """A fault that cannot be sent as it is; the text names the field."""


class APIException(Exception):
    """A call of ``FaultAPIsV2`` that was not done.

    Its text is ``Failed to execute <method>.``; ``reason`` says why in words, ``code`` is the error's
    name, such as ``FM_ERR_NOCONNECT``.
    """

    def __init__(self, message: str, reason: str = "", code: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code


class Fault:
    """A fault to raise or clear, a log to record, or an alarm that stands.

    ``timestamp`` is when the fault was noticed: None for now, a datetime (UTC when it has no zone), or
    text ``YYYY-MM-DD HH:MM:SS.ffffff`` with a space or ``T`` between and an optional zone offset.

    In the faults that calls return, every field is text but the last two: ``service_affecting`` and
    ``suppression`` are 'True' or 'False', ``timestamp`` is text in UTC, what is empty is one space;
    ``inhibit_alarms`` and ``keep_existing_alarm`` are False.
    """

    def __init__(
        self,
        alarm_id: str,
        alarm_state: str,
        entity_type_id: str,
        entity_instance_id: str,
        severity: str,
        reason_text: str | None,
        alarm_type: str,
        probable_cause: str,
        proposed_repair_action: str | None,
        service_affecting: bool | str = False,
        suppression: bool | str = False,
        uuid: str | None = None,
        timestamp: str | datetime.datetime | None = None,
        inhibit_alarms: bool = False,
        keep_existing_alarm: bool = False,
    ) -> None:
        self.alarm_id = alarm_id
        self.alarm_state = alarm_state
        self.entity_type_id = entity_type_id
        self.entity_instance_id = entity_instance_id
        self.severity = severity
        self.reason_text = reason_text
        self.alarm_type = alarm_type
        self.probable_cause = probable_cause
        self.proposed_repair_action = proposed_repair_action
        self.service_affecting = service_affecting
        self.suppression = suppression
        self.uuid = uuid
        self.timestamp = timestamp
        self.inhibit_alarms = inhibit_alarms
        self.keep_existing_alarm = keep_existing_alarm

    def as_dict(self) -> dict[str, Any]:
        """The fields by name; changing the dict does not change the fault."""
        return dict(self.__dict__)


class FaultAPIsBase(abc.ABC):
    """The calls that both conventions share."""

    @staticmethod
    def alarm_allowed(alarm_severity: str, threshold: str) -> bool:
        """Whether a severity lies below a threshold; everything lies below 'none'."""
        return _rank(alarm_severity) < _rank(threshold)

    @abc.abstractmethod
    def _failed(self, method: str, error: _native.FmError, answer: _T) -> _T:
        """What the caller sees of a failure that was logged; ``answer`` is V1's."""

    def set_fault(self, fault: Fault) -> str | None:
        """Raises an alarm or records a log, and returns its uuid: it is on this node's disk then.

        A fault with the state or the severity 'clear' is a clear of that alarm: ``CLEARED``, or None
        when there is no such alarm. A failure is None in V1, ``APIException`` in V2.
        """
        alarm = _fields(fault)

        def send() -> str | None:
            return _native.call(fm_core.set_alarm, alarm) or CLEARED

        return self._call("set_fault", _refusing_by_field(send), None, None)

    def set_faults(self, faults: Iterable[Fault] | None) -> bool | None:
        """As ``set_fault`` for each, all or nothing; True. None for an empty list.

        A failure is False in V1, ``APIException`` in V2.
        """
        alarms = [_fields_in_list(fault, place) for place, fault in enumerate(faults or (), start=1)]
        if not alarms:
            return None

        def send() -> bool:
            _native.call(fm_core.set_alarms, alarms)
            return True

        return self._call("set_faults", _refusing_by_field(send), False, False)

    def clear_fault(self, alarm_id: str, entity_instance_id: str | None) -> bool:
        """Clears one alarm: True, or False when there is none.

        A failure is False in V1, ``APIException`` in V2.
        """
        return self._clear("clear_fault", fm_core.clear_alarm, alarm_id, entity_instance_id)

    def clear_all(self, entity_instance_id: str) -> bool:
        """Clears every alarm of an entity and of what lies under it: True, or False when there is none.

        A failure is False in V1, ``APIException`` in V2.
        """
        return self._clear("clear_all", fm_core.clear_all_alarms, entity_instance_id)

    def clear_faults_list(self, alarms: Iterable[tuple[str, str | None]] | None) -> bool:
        """Clears each (alarm_id, entity_instance_id): True, also for those that are not there.

        A failure is False in V1, ``APIException`` in V2.
        """
        keys = [(alarm_id, entity_instance_id) for alarm_id, entity_instance_id in alarms or ()]
        return self._clear("clear_faults_list", fm_core.clear_alarms, keys) if keys else True

    def get_fault(self, alarm_id: str, entity_instance_id: str | None) -> Fault | None:
        """The alarm of exactly this entity, or None when there is none.

        A failure is None in V1, ``APIException`` in V2.
        """

        def ask() -> Fault | None:
            return _fault(_native.call(fm_core.get_alarm, alarm_id, entity_instance_id))

        return self._call("get_fault", ask, None, None)

    def get_faults(self, entity_instance_id: str | None) -> list[Fault] | None:
        """The alarms of an entity and of what lies under it, by time raised, or None when there is none.

        A failure is None in V1, ``APIException`` in V2.
        """
        return self._call("get_faults", _lister(fm_core.list_by_entity, entity_instance_id), None, None)

    def get_faults_by_id(self, alarm_id: str) -> list[Fault] | None:
        """The alarms with this id, by time raised, or None when there is none.

        A failure is None in V1, ``APIException`` in V2.
        """
        return self._call("get_faults_by_id", _lister(fm_core.list_by_id, alarm_id), None, None)

    def get_faults_by_id_n_eid(
        self, alarm_id: str, entity_instance_id: str | None
    ) -> list[Fault] | None:
        """The alarms with this id of an entity and of what lies under it, by time raised, or None.

        A failure is None in V1, ``APIException`` in V2.
        """
        ask = _lister(fm_core.list_by_id_and_entity, alarm_id, entity_instance_id)
        return self._call("get_faults_by_id_n_eid", ask, None, None)

    def get_faults_strict(
        self, entity_instance_id: str | None
    ) -> list[Fault] | None | Literal[False]:
        """As ``get_faults``, but False in V1 when the alarms could not be asked for."""
        ask = _lister(fm_core.list_by_entity, entity_instance_id)
        return self._call("get_faults_strict", ask, None, False)

    def get_faults_by_id_strict(self, alarm_id: str) -> list[Fault] | None | Literal[False]:
        """As ``get_faults_by_id``, but False in V1 when the alarms could not be asked for."""
        return self._call("get_faults_by_id_strict", _lister(fm_core.list_by_id, alarm_id), None, False)

    def _clear(self, method: str, function: Callable[..., None], *arguments: object) -> bool:
        def send() -> bool:
            _native.call(function, *arguments)
            return True

        return self._call(method, send, False, False)

    def _call(self, method: str, ask: Callable[[], _T], none_found: _T, failed: _T) -> _T:
        try:
            return ask()
        except _native.FmError as error:
            if error.code == _NOT_FOUND:
                return none_found
            LOG.error("%s was not done: %s (%s)", method, error, error.code)
            return self._failed(method, error, failed)


class FaultAPIs(FaultAPIsBase):
    """V1: a failure is a value, so that a service goes on without its alarm."""

    def set_faults(self, faults: Iterable[Fault] | None) -> bool | None:
        """As ``set_fault`` for each, all or nothing: True, or False for a failure.

        None for an empty list and for one in which nothing is a fault.
        """
        given = list(faults or ())
        if given and not any(map(_is_fault, given)):
            LOG.error("set_faults was not done: nothing in the list of %d is a Fault", len(given))
            return None
        return super().set_faults(given)

    def _failed(self, method: str, error: _native.FmError, answer: _T) -> _T:
        return answer


class FaultAPIsV2(FaultAPIsBase):
    """V2: a failure is an ``APIException``."""

    def _failed(self, method: str, error: _native.FmError, answer: object) -> NoReturn:
        raise APIException(f"Failed to execute {method}.", str(error), error.code) from error


_TEXTS = ("reason_text", "proposed_repair_action", "uuid")

_REQUIRED = (
    "alarm_id",
    "alarm_state",
    "severity",
    "alarm_type",
    "probable_cause",
    "entity_type_id",
    "entity_instance_id",
)

_FLAGS = ("service_affecting", "suppression", "inhibit_alarms", "keep_existing_alarm")

#: Which constant lists the values of a field, and what the field is called in messages.
_VALUES = {
    "alarm_state": ("State", "ALARM_STATE"),
    "severity": ("Severity", "ALARM_SEVERITY"),
    "alarm_type": ("Type", "ALARM_TYPE"),
    "probable_cause": ("Probable Cause", "ALARM_PROBABLE_CAUSE"),
}

_RANKS = {severity: rank for rank, severity in enumerate(["warning", "minor", "major", "critical", "none"])}


def _rank(severity: str) -> int:
    rank = _RANKS.get(severity)
    if rank is None:
        known = ", ".join(_RANKS)
        raise ClientException(f"Invalid Fault Severity: {reprlib.repr(severity)} has no rank; known are {known}")
    return rank


def _is_fault(value: object) -> bool:
    return all(hasattr(value, name) for name in (*_REQUIRED, *_TEXTS, *_FLAGS, "timestamp"))


def _fields(fault: Fault) -> AlarmFields:
    """The fields of a fault as ``fm_core`` takes them, or ``ClientException``."""
    if not _is_fault(fault):
        raise ClientException(f"expected a Fault, got {type(fault).__name__}")
    for name in _REQUIRED:
        if getattr(fault, name) is None:
            raise ClientException(f"{name}: a value is required, got None")
    for name, (title, constant) in _VALUES.items():
        value = getattr(fault, name)
        if value not in getattr(constants, constant):
            shown = reprlib.repr(value)
            raise ClientException(f"Invalid Fault {title}: {shown} for {name} is not in constants.{constant}")
    return {
        "uuid": fault.uuid,
        "alarm_id": fault.alarm_id,
        "alarm_state": fault.alarm_state,
        "entity_type_id": fault.entity_type_id,
        "entity_instance_id": fault.entity_instance_id,
        "timestamp": _timestamp(fault.timestamp),
        "severity": fault.severity,
        "reason_text": fault.reason_text,
        "alarm_type": fault.alarm_type,
        "probable_cause": fault.probable_cause,
        "proposed_repair_action": fault.proposed_repair_action,
        "service_affecting": _flag("service_affecting", fault.service_affecting),
        "suppression": _flag("suppression", fault.suppression),
        "inhibit_alarms": _flag("inhibit_alarms", fault.inhibit_alarms),
        "keep_existing_alarm": _flag("keep_existing_alarm", fault.keep_existing_alarm),
    }


def _fields_in_list(fault: Fault, place: int) -> AlarmFields:
    try:
        return _fields(fault)
    except ClientException as error:
        raise ClientException(f"{error} (fault {place} of the list)") from error


def _flag(name: str, value: object) -> bool:
    """A flag as callers write it: a bool, 0 or 1, the text that a returned fault has, or None."""
    text = "false" if value is None else str(value).strip().lower()
    if text in ("true", "1"):
        return True
    if text in ("false", "0", ""):
        return False
    raise ClientException(f"{name}: expected True or False, got {reprlib.repr(value)}")


def _timestamp(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    # Costs a fifth of importing this module, and whoever has a datetime has it loaded.
    import datetime

    if not isinstance(value, datetime.datetime):
        kind = type(value).__name__
        raise ClientException(f"timestamp: expected None, text or a datetime, got {kind}")
    zoned = value if value.tzinfo is not None else value.replace(tzinfo=datetime.timezone.utc)
    try:
        return zoned.astimezone(datetime.timezone.utc).isoformat(sep=" ")
    except OverflowError as error:
        raise ClientException(f"timestamp: {value} is out of range in UTC") from error


def _refusing_by_field(send: Callable[[], _T]) -> Callable[[], _T]:
    """Makes a value that cannot be sent the caller's fault, not the call's."""

    def checked() -> _T:
        try:
            return send()
        except _native.FmError as error:
            if error.field is not None:
                raise ClientException(str(error)) from error
            raise

    return checked


def _lister(function: Callable[..., list[AlarmFields]], *arguments: object) -> Callable[[], list[Fault]]:
    return lambda: [_fault(alarm) for alarm in _native.call(function, *arguments)]


def _fault(alarm: AlarmFields) -> Fault:
    """An alarm as callers get it: text in every field, one space for the empty one."""
    return Fault(
        alarm_id=alarm["alarm_id"] or " ",
        alarm_state=alarm["alarm_state"] or " ",
        entity_type_id=alarm["entity_type_id"] or " ",
        entity_instance_id=alarm["entity_instance_id"] or " ",
        severity=alarm["severity"] or " ",
        reason_text=alarm["reason_text"] or " ",
        alarm_type=alarm["alarm_type"] or " ",
        probable_cause=alarm["probable_cause"] or " ",
        proposed_repair_action=alarm["proposed_repair_action"] or " ",
        service_affecting=str(alarm["service_affecting"]),
        suppression=str(alarm["suppression"]),
        uuid=alarm["uuid"] or " ",
        timestamp=alarm["timestamp"] or " ",
    )
