"""The callers: the calls of ``FaultAPIsV2``, with how long each took.

Invariant: a call that fails fails the demo. What was sent is known only from what a call returned.
"""

from __future__ import annotations

import time

from counting import CLEAR, LOG, SET, Sent
from fm_api import constants, fm_api
from items import Item
from programs import Failed
from report import Wait


class Callers:
    """Makes calls and remembers them."""

    def __init__(self) -> None:
        self.api = fm_api.FaultAPIsV2()
        self.sent: list[Sent] = []
        self.waits: list[Wait] = []
        #: The domain whose controller is stopped.
        self.away: str | None = None

    def report(self, item: Item) -> None:
        """Raises the alarm, or records the log."""
        fault = _fault(item)
        begun_us, begun = _now_us(), time.perf_counter()
        try:
            uuid = self.api.set_fault(fault)
        except fm_api.APIException as error:
            raise Failed(f"set_fault of {item.alarm_id}: {error} {error.reason} ({error.code})") from error
        self._note(LOG if item.is_log else SET, item, uuid or "", begun_us, time.perf_counter() - begun)

    def clear(self, item: Item) -> None:
        """Clears the alarm."""
        begun_us, begun = _now_us(), time.perf_counter()
        try:
            found = self.api.clear_fault(item.alarm_id, item.entity_instance_id)
        except fm_api.APIException as error:
            raise Failed(f"clear_fault of {item.alarm_id}: {error} {error.reason} ({error.code})") from error
        if not found:
            raise Failed(
                f"clear_fault of {item.alarm_id}: the agent knows no alarm on {item.entity_instance_id}"
            )
        self._note(CLEAR, item, "", begun_us, time.perf_counter() - begun)

    def _note(self, state: str, item: Item, uuid: str, begun_us: int, seconds: float) -> None:
        self.sent.append(Sent(state, item, uuid, begun_us))
        self.waits.append(Wait(state, item.domain != self.away, seconds))


def _fault(item: Item) -> fm_api.Fault:
    return fm_api.Fault(
        alarm_id=item.alarm_id,
        alarm_state=constants.FM_ALARM_STATE_LOG if item.is_log else constants.FM_ALARM_STATE_SET,
        entity_type_id=item.entity_type_id,
        entity_instance_id=item.entity_instance_id,
        severity=item.severity,
        reason_text=item.reason_text,
        alarm_type=item.alarm_type,
        probable_cause=item.probable_cause,
        proposed_repair_action=item.proposed_repair_action,
        service_affecting=item.service_affecting,
        suppression=item.suppression,
    )


def _now_us() -> int:
    return time.time_ns() // 1000
