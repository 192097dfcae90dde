"""Faults for tests. Needs nothing but the package, so that every interpreter can run it."""

from __future__ import annotations

from typing import Any

from fm_api import constants, fm_api


def make_fault(**changed: Any) -> fm_api.Fault:
    """A fault that is right in every field but the changed ones."""
    fields: dict[str, Any] = {
        "alarm_id": "300.010",
        "alarm_state": constants.FM_ALARM_STATE_SET,
        "entity_type_id": "host.ml2driver",
        "entity_instance_id": "host=compute-1.ml2driver=ovs",
        "severity": constants.FM_ALARM_SEVERITY_MAJOR,
        "reason_text": "driver is not in sync",
        "alarm_type": constants.FM_ALARM_TYPE_3,
        "probable_cause": constants.ALARM_PROBABLE_CAUSE_UNKNOWN,
        "proposed_repair_action": "look at its log",
    }
    return fm_api.Fault(**{**fields, **changed})
