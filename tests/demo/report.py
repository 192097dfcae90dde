"""What is shown: progress, what arrived where, how long callers waited. Counts nothing itself."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from counting import CLEAR, LOG, SET, STATES, Count
from items import DOMAINS, OPENSTACK, PLATFORM

_NAMES = {SET: "alarms set", LOG: "logs", CLEAR: "clears"}
_started = time.monotonic()


@dataclass(frozen=True)
class Wait:
    """How long one caller waited, and whether the controller of its alarm was up."""

    state: str
    controller_up: bool
    seconds: float


def say(text: str) -> None:
    """One line of progress, with the seconds since the start."""
    print(f"{time.monotonic() - _started:6.1f} s  {text}", flush=True)


def show_arrived(count: Count) -> None:
    """The table of events by controller."""
    print(f"\n{'arrived at':<36}" + "".join(f"{domain:>11}" for domain in (*DOMAINS, "both")))
    for state in STATES:
        _row(_NAMES[state], [count.arrived[domain, state] for domain in DOMAINS])
        _row("  of these sent while it was away", [count.buffered[domain, state] for domain in DOMAINS])
    _row("all", [count.at(domain) for domain in DOMAINS])
    if count.halves:
        print(
            f"The kill left {count.halves} of these without an event: the service stores it in a second step."
        )


def _row(title: str, numbers: Sequence[int]) -> None:
    print(f"{title:<36}" + "".join(f"{number:>11}" for number in (*numbers, sum(numbers))))


def show_waits(waits: Sequence[Wait]) -> None:
    """The table of how long callers waited."""
    print(f"\n{'callers waited, milliseconds':<36}{'calls':>11}{'p50':>11}{'p99':>11}{'max':>11}")
    for state in STATES:
        for up in (True, False):
            times = waits_of(waits, state, up)
            title = f"{state}, controller {'up' if up else 'down'}"
            figures = [percentile(times, 50), percentile(times, 99), max(times)]
            print(f"{title:<36}{len(times):>11}" + "".join(f"{1000 * seconds:>11.2f}" for seconds in figures))
    print()


def waits_of(waits: Sequence[Wait], state: str, up: bool) -> list[float]:
    """Seconds of one kind of call."""
    return [wait.seconds for wait in waits if (wait.state, wait.controller_up) == (state, up)]


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that is not below so many percent of them (nearest rank)."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def summary(count: Count) -> str:
    """The last line."""
    return (
        f"demo ok: raised {count.of(SET)} logged {count.of(LOG)} cleared {count.of(CLEAR)} "
        f"platform {count.at(PLATFORM)} openstack {count.at(OPENSTACK)} buffered {count.raised_while_away()} "
        f"lost {count.lost} doubled {count.doubled}"
    )
