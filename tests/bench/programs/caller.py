"""Makes one kind of call over and over and prints the nanoseconds of each: caller.py set|get|clear LABEL COUNT."""

from __future__ import annotations

import sys
import time

from fm_api import constants, fm_api

ALARM_ID = "100.103"


def entity(label: str, number: int) -> str:
    """The entity of one alarm."""
    return f"host=compute-1.run={label}.process={number:06}-000"


def main() -> None:
    """Calls and prints."""
    what, label, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    api = fm_api.FaultAPIs()

    def raise_alarm(label: str, number: int) -> object:
        return api.set_fault(
            fm_api.Fault(
                alarm_id=ALARM_ID,
                alarm_state=constants.FM_ALARM_STATE_SET,
                entity_type_id="host.process",
                entity_instance_id=entity(label, number),
                severity=constants.FM_ALARM_SEVERITY_MAJOR,
                reason_text="Memory threshold exceeded; threshold 80.00%, actual 86.42%",
                alarm_type=constants.FM_ALARM_TYPE_7,
                probable_cause=constants.ALARM_PROBABLE_CAUSE_50,
                proposed_repair_action="Monitor and if condition persists, contact next level of support.",
                suppression=True,
            )
        )

    def call(number: int) -> object:
        if what == "get":
            return api.get_fault(ALARM_ID, entity(label, number))
        if what == "clear":
            return api.clear_fault(ALARM_ID, entity(label, number))
        return raise_alarm(label, number)

    # The first call, which connects, is not counted.
    raise_alarm("first", 0)
    taken = []
    for number in range(count):
        begin = time.perf_counter_ns()
        answer = call(number)
        taken.append(time.perf_counter_ns() - begin)
        if not answer:
            sys.exit(f"{what} {number} failed: {answer}")
    print("\n".join(map(str, taken)))


if __name__ == "__main__":
    main()
