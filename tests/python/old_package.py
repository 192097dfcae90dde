"""A caller of the text interface: what the old pure-Python package does with its faults and with what
the extension module returns.
"""

from __future__ import annotations

from typing import Any

import fm_core
from fm_api import fm_api

SEPARATOR = "###"

SENT = [
    "uuid",
    "alarm_id",
    "alarm_state",
    "entity_type_id",
    "entity_instance_id",
    "timestamp",
    "severity",
    "reason_text",
    "alarm_type",
    "probable_cause",
    "proposed_repair_action",
    "service_affecting",
    "suppression",
    "inhibit_alarms",
    "keep_existing_alarm",
]

RETURNED = SENT[:14]


def text_of(fields: list[Any]) -> str:
    """The separator before each field and after the last; nothing is one space."""
    return "".join(f"{SEPARATOR}{' ' if field is None else field}" for field in fields) + SEPARATOR


def alarm_text(fault: fm_api.Fault) -> str:
    return text_of([fault.as_dict()[name] for name in SENT])


def fields_of(line: str) -> dict[str, str]:
    """The fields of a returned alarm by name, split at each separator without thought."""
    parts = line.split(SEPARATOR)
    assert parts.pop() == "", line
    assert len(parts) == len(RETURNED), line
    return dict(zip(RETURNED, parts))


class TextApi:
    """The calls of the old package, its fields as they travel."""

    def set_fault(self, fault: fm_api.Fault) -> str | None:
        return fm_core.set(alarm_text(fault))

    def set_faults(self, faults: list[fm_api.Fault]) -> bool | None:
        return fm_core.set_fault_list([alarm_text(fault) for fault in faults])

    def clear_fault(self, alarm_id: str, entity: str | None) -> bool:
        return bool(fm_core.clear(text_of([alarm_id, entity])))

    def clear_all(self, entity: str) -> bool:
        return bool(fm_core.clear_all(entity))

    def clear_faults_list(self, keys: list[tuple[str, str]]) -> bool | None:
        return fm_core.clear_list([text_of([alarm_id, entity]) for alarm_id, entity in keys])

    def get_fault(self, alarm_id: str, entity: str | None) -> dict[str, str] | None:
        line = fm_core.get(text_of([alarm_id, entity]))
        return fields_of(line) if line else None

    def get_faults(self, entity: str) -> list[dict[str, str]] | None:
        return [fields_of(line) for line in fm_core.get_by_eid(entity) or ()] or None

    def get_faults_by_id(self, alarm_id: str) -> list[dict[str, str]] | None:
        return [fields_of(line) for line in fm_core.get_by_aid(alarm_id) or ()] or None

    def get_faults_by_id_n_eid(self, alarm_id: str, entity: str) -> list[dict[str, str]] | None:
        lines = fm_core.get_by_id_n_eid(text_of([alarm_id, entity]), max=1000)
        return [fields_of(line) for line in lines or ()] or None
