"""Callers that never stop, in Python: NAME THREADS SEED. What they do and print is said in ``caller.c``."""

from __future__ import annotations

import logging
import random
import sys
import threading
import time
from typing import Callable

from fm_api import constants, fm_api

ALARMS = 4
MOST_IN_A_LIST = 3
LONGEST_PAUSE_S = 0.03

_output = threading.Lock()


class Caller:
    """One thread with alarms of its own."""

    def __init__(self, name: str, seed: int) -> None:
        self._name, self._random = name, random.Random(seed)
        self._api = fm_api.FaultAPIsV2()
        self._number = 0

    def run(self, stopping: threading.Event) -> None:
        """Calls until it is told to stop."""
        while not stopping.is_set():
            self._call()
            time.sleep(self._random.random() * LONGEST_PAUSE_S)

    def _call(self) -> None:
        first, kind = self._random.randrange(ALARMS), self._random.random()
        count = 1 + self._random.randrange(MOST_IN_A_LIST)
        some = [(first + step) % ALARMS for step in range(count)]
        if kind < 0.45:
            fault = self._fault(first)
            self._tell([f"S{first}={self._number}"], lambda: self._api.set_fault(fault))
        elif kind < 0.55:
            faults, told = [], []
            for alarm in some:
                faults.append(self._fault(alarm))
                told.append(f"S{alarm}={self._number}")
            self._tell(told, lambda: self._api.set_faults(faults))
        elif kind < 0.77:
            self._tell([f"C{first}"], lambda: self._api.clear_fault(_id(first), self._entity(first)))
        elif kind < 0.83:
            keys = [(_id(alarm), self._entity(alarm)) for alarm in some]
            self._tell([f"C{alarm}" for alarm in some], lambda: self._api.clear_faults_list(keys))
        elif kind < 0.87:
            self._tell(["A"], lambda: self._api.clear_all(f"host={self._name}"))
        else:
            log = self._fault(first, log=True)
            self._tell([f"L{self._number}"], lambda: self._api.set_fault(log))

    def _fault(self, alarm: int, log: bool = False) -> fm_api.Fault:
        self._number += 1
        return fm_api.Fault(
            alarm_id=_id(alarm),
            alarm_state=constants.FM_ALARM_STATE_MSG if log else constants.FM_ALARM_STATE_SET,
            entity_type_id="host",
            entity_instance_id=self._entity(alarm),
            severity=constants.FM_ALARM_SEVERITY_MAJOR,
            reason_text=f"{self._name} {'log ' if log else ''}{self._number}",
            alarm_type=constants.FM_ALARM_TYPE_4,
            probable_cause=constants.ALARM_PROBABLE_CAUSE_UNKNOWN,
            proposed_repair_action="",
        )

    def _entity(self, alarm: int) -> str:
        return f"host={self._name}.disk={alarm}"

    def _tell(self, requests: list[str], call: Callable[[], object]) -> None:
        try:
            result = "ok" if call() else "none"
        except fm_api.APIException as error:
            result = f"failed:{error.code}"
        with _output:
            print(self._name, result, *requests, flush=True)


def _id(alarm: int) -> str:
    return "700.001" if alarm % 2 else "100.103"


def main() -> None:
    # Calls fail all the time here, and each line says so already.
    logging.disable(logging.CRITICAL)
    name, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    stopping = threading.Event()
    callers = [Caller(f"{name}-{number}", 1000 * seed + number) for number in range(count)]
    threads = [threading.Thread(target=caller.run, args=(stopping,)) for caller in callers]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stopping.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
