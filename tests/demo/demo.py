"""The demo: every alarm and log of the catalogue, two controllers, and a hard kill of each.

Raises all alarms and records all logs from Python, and kills the OpenStack's controller half way; clears all
alarms, and kills the platform's controller half way. Then it counts in the controllers' databases what arrived.
The last line says what was counted and the status is 0; or it says what differs and the status is 1.

Invariants: leaves no process, and no file outside the directory it is given. Start it with ``make demo``.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import counting
import report
from counting import CLEAR, LOG, SET, STATES, Outage
from items import DOMAINS, OPENSTACK, PLATFORM, Item, load
from programs import Agent, Controller, Failed, running, tail
from report import say

ARRIVAL_LIMIT_S = 120
#: A controller stays away until the agent has run into it and has tried again.
AWAY_AT_LEAST_S = 2.0
#: Half of what a call may wait for a question to a controller: a median near it means that callers waited.
NOTICEABLE_S = 0.25
#: Short, and from the working directory: a Unix socket's path holds 107 bytes, the checkout's may be longer.
SOCKET = Path("run/fm-agent.sock")


class Demo:
    """One run, inside its directory."""

    def __init__(self, items: list[Item], agent_program: Path, controller_program: Path) -> None:
        # The client reads these once, so they are there before it is.
        os.environ["FM_AGENT_SOCKET"] = str(SOCKET)
        # A busy disk must not end the demo; how long callers waited is shown, and checked.
        os.environ["FM_API_TIMEOUT_MS"] = "10000"
        from callers import Callers

        # Every other one first, so that each half has alarms and logs of both domains.
        self.items = items[::2] + items[1::2]
        self.alarms = [item for item in self.items if not item.is_log]
        self.callers = Callers()
        here = Path()
        self.controllers = {
            PLATFORM: Controller(controller_program, PLATFORM, "postgresql", "services", here),
            OPENSTACK: Controller(controller_program, OPENSTACK, "mariadb", "admin", here),
        }
        self.agent = Agent(agent_program, SOCKET, Path("state"), list(self.controllers.values()))
        self.databases = {domain: controller.database for domain, controller in self.controllers.items()}
        self.outages: list[Outage] = []

    def run(self) -> counting.Count:
        """Everything; returns what was counted."""
        with contextlib.ExitStack() as stack:
            for program in (*self.controllers.values(), self.agent):
                stack.enter_context(running(program))
            for controller in self.controllers.values():
                say(f"{controller.name} ({controller.dialect}) answers at {controller.address}")
            say(f"raising {len(self.alarms)} alarms and recording {len(self.items) - len(self.alarms)} logs")
            self._calls(self.items, self.callers.report, OPENSTACK)
            self._wait_for_all()
            differences = self._standing(expected=True)
            say(f"clearing {len(self.alarms)} alarms")
            self._calls(self.alarms, self.callers.clear, PLATFORM)
            self._wait_for_all()
            differences += self._standing(expected=False)
            status = self.agent.stop()
            if status != 0:
                raise Failed(f"the agent ended with status {status}; its log is {self.agent.log}")
        count = counting.count(self.callers.sent, self.databases, self.outages)
        count.differences += differences + self._left_over()
        return count

    def _calls(self, items: list[Item], call: Callable[[Item], None], victim: str) -> None:
        """Makes the calls; the victim is away during the second half of them."""
        half = len(items) // 2
        for item in items[:half]:
            call(item)
        with self._away(victim):
            for item in items[half:]:
                call(item)

    @contextlib.contextmanager
    def _away(self, domain: str) -> Iterator[None]:
        controller = self.controllers[domain]
        standing = counting.alarms(controller.database)
        controller.kill()
        stopped_us = time.time_ns() // 1000
        self.callers.away = domain
        say(f"{controller.name} is killed; calls go on")
        yield
        time.sleep(max(0.0, stopped_us / 1e6 + AWAY_AT_LEAST_S - time.time()))
        halves = counting.halves(controller.database, standing)
        self.callers.away = None
        started_us = time.time_ns() // 1000
        self.outages.append(Outage(domain, stopped_us, started_us, halves))
        controller.start()
        say(f"{controller.name} is back at the same address after {(started_us - stopped_us) / 1e6:.2f} s")

    def _wait_for_all(self) -> None:
        """Until all that was sent is in the controllers' databases."""
        deadline, next_word = time.monotonic() + ARRIVAL_LIMIT_S, 0.0
        while True:
            for program in (*self.controllers.values(), self.agent):
                program.check()
            # A kill's halves have left no event; they are known by now.
            count = counting.count(self.callers.sent, self.databases, self.outages)
            if not count.lost:
                say(f"all {len(self.callers.sent)} have arrived")
                return
            now = time.monotonic()
            if now > deadline:
                missing = "\n".join(counting.shorten(count.differences))
                raise Failed(f"{count.lost} have not arrived after {ARRIVAL_LIMIT_S} s:\n{missing}")
            if now >= next_word:
                say(f"arrived {len(self.callers.sent) - count.lost} of {len(self.callers.sent)}")
                next_word = now + 1
            time.sleep(0.1)

    def _standing(self, expected: bool) -> list[str]:
        """Compares the alarms that stand with those that are to stand: all, or none."""
        differences = []
        for domain, database in self.databases.items():
            sent = (
                one.ident() for one in self.callers.sent if one.state == SET and one.item.domain == domain
            )
            wanted, found = (
                sorted(map(str, sent if expected else ())),
                sorted(map(str, counting.alarms(database))),
            )
            say(f"{len(found)} alarms stand at the {domain} controller")
            if wanted != found:
                differences.append(f"{domain}: {len(found)} alarms stand, expected are {len(wanted)}")
        return differences

    def _left_over(self) -> list[str]:
        """What the agent still keeps: nothing waits, nothing was refused."""
        numbers = {table: counting.rows(self.agent.store, table) for table in ("request", "rejected")}
        return [f"agent: {number} rows in {table}" for table, number in numbers.items() if number]

    def noticed(self) -> list[str]:
        """Whether callers noticed that a controller was away."""
        slow = []
        for state in STATES:
            median = report.percentile(report.waits_of(self.callers.waits, state, up=False), 50)
            if median > NOTICEABLE_S:
                slow.append(
                    f"callers noticed: {state} with the controller down took {1000 * median:.0f} ms (p50)"
                )
        return slow


def show(demo: Demo, count: counting.Count) -> int:
    """The tables and the last line."""
    report.show_arrived(count)
    report.show_waits(demo.callers.waits)
    wanted = {SET: len(demo.alarms), LOG: len(demo.items) - len(demo.alarms), CLEAR: len(demo.alarms)}
    differences = count.differences + demo.noticed()
    differences += [
        f"{state}: {count.of(state)} arrived, sent were {number}"
        for state, number in wanted.items()
        if count.of(state) != number
    ]
    if differences or count.lost or count.doubled:
        print("\n".join(counting.shorten(differences)))
        print(f"demo FAILED: lost {count.lost} doubled {count.doubled} differences {len(differences)}")
        return 1
    print(report.summary(count))
    return 0


@contextlib.contextmanager
def fresh_directory(directory: Path) -> Iterator[None]:
    """Empties the directory and works in it, alone."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(f"{directory}.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"another demo is running in {directory}") from None
        shutil.rmtree(directory)
        directory.mkdir()
        os.chdir(directory)
        yield


def _interrupted(number: int, _frame: FrameType | None) -> None:
    # Programs are being stopped from now on, which takes seconds at most.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    print("interrupted: stopping", flush=True)
    raise SystemExit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(description="The demo; `make demo` builds what it needs.")
    parser.add_argument("--agent", type=Path, required=True, help="the program fm-agent")
    parser.add_argument("--controller", type=Path, required=True, help="the program fm-rest-sim")
    parser.add_argument("--catalogue", type=Path, required=True, help="alarm_catalogue.csv")
    parser.add_argument(
        "--directory", type=Path, required=True, help="what is written goes here; emptied first"
    )
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    agent, controller, catalogue = (
        path.resolve() for path in (given.agent, given.controller, given.catalogue)
    )
    try:
        with fresh_directory(given.directory.resolve()):
            demo = Demo(load(catalogue), agent, controller)
            return show(demo, demo.run())
    except Failed as error:
        print(f"demo FAILED: {error}", flush=True)
        for log in (Path("fm-agent.log"), *(Path(f"{domain}.log") for domain in DOMAINS)):
            end = tail(log)
            if end:
                print(f"--- {log}\n{end}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
