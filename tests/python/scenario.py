"""What every interpreter must do with the installed package, without a test runner: ``scenario.py RUN``.

``RUN`` is a number that no other run against the same agent has.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading

import fm_core
from faults import make_fault
from fm_api import fm_api
from old_behaviour import BEHAVIOURS
from old_package import TextApi


def behaviours(run: str) -> None:
    """All that the old package's callers rely on, and the differences that are meant."""
    for number, behaviour in enumerate(BEHAVIOURS):
        behaviour.check(f"98{run}.{number:03}", f"host=run-{run}-{number}x")


def text(run: str) -> None:
    """The text interface."""
    old, key = TextApi(), (f"97{run}.001", f"host=run-{run}-text")
    made = old.set_fault(make_fault(alarm_id=key[0], entity_instance_id=key[1], reason_text="é # \N{FIRE}"))
    found = old.get_fault(*key)
    assert found is not None
    assert (found["uuid"], found["reason_text"]) == (made, "é # \N{FIRE}")
    assert old.clear_fault(*key) is True
    assert fm_core.get("nonsense") is False


def own_answers(name: str) -> None:
    """Fails when a call gets another one's answer."""
    api = fm_api.FaultAPIsV2()
    for turn in range(10):
        made = api.set_fault(make_fault(alarm_id="970.002", entity_instance_id=name, reason_text=str(turn)))
        found = api.get_fault("970.002", name)
        assert found is not None
        assert (found.uuid, found.reason_text) == (made, str(turn))
    assert api.clear_fault("970.002", name) is True


def threads_and_forks(run: str) -> None:
    """Calls of threads, and of a child beside its parent."""
    names = [f"host=run-{run}-thread-{number}" for number in range(4)]
    threads = [threading.Thread(target=own_answers, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = os.fork()
    if child == 0:
        own_answers(f"host=run-{run}-child")
        os._exit(0)
    own_answers(f"host=run-{run}-parent")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def failures() -> None:
    """Exceptions with their attributes."""
    try:
        fm_api.FaultAPIsV2().clear_all("")
    except fm_api.APIException as error:
        assert (str(error), error.code) == ("Failed to execute clear_all.", "FM_ERR_INVALID_PARAMETER")
    else:
        raise AssertionError("an empty filter was taken")


def end_during_calls(run: str) -> None:
    """The interpreter ends while threads call."""

    def keep_calling() -> None:
        while True:
            fm_api.FaultAPIs().get_fault("970.003", f"host=run-{run}")

    for _ in range(3):
        threading.Thread(target=keep_calling, daemon=True).start()


def main(run: str) -> None:
    logging.disable()
    json.loads(fm_core.status())
    behaviours(run)
    text(run)
    failures()
    threads_and_forks(run)
    end_during_calls(run)
    print("passed", len(BEHAVIOURS))


if __name__ == "__main__":
    main(sys.argv[1])
