"""What arrived, counted from the controllers' databases and compared with what was sent.

Invariants:

- Every number comes from rows of a controller's database; what was sent is only compared with them.
- A raise and a log are known by their uuid, a clear (which the service gives a uuid of its own) by its
  alarm. An event at the wrong controller is lost at the one and too much at the other.
- A hard kill between a service's two steps (alarm row, then event row) leaves a half. It is proven by the
  database as the kill left it, and then counts by its alarm; nothing else excuses a missing event.

Reads, never writes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from items import Item

SET, LOG, CLEAR = "set", "log", "clear"
STATES = (SET, LOG, CLEAR)

_EVENTS = """SELECT state, event_log_id, entity_instance_id, uuid, timestamp, stored_at, entity_type_id, severity,
    event_log_type, probable_cause, reason_text, coalesce(proposed_repair_action, ''), service_affecting,
    suppression FROM event_log ORDER BY id"""
_ALARMS = "SELECT alarm_id, entity_instance_id, uuid FROM alarm ORDER BY id"

_DIFFERENCES_SHOWN = 20


@dataclass(frozen=True)
class Ident:
    """What an event is known by."""

    state: str
    alarm_id: str
    entity_instance_id: str
    uuid: str


@dataclass(frozen=True)
class Event:
    """One row of a controller's event log; times in microseconds since the epoch."""

    ident: Ident
    timestamp_us: int
    stored_at_us: int
    content: tuple[object, ...]


@dataclass(frozen=True)
class Sent:
    """One call that was answered: what it asked for, and when."""

    state: str
    item: Item
    uuid: str
    begun_us: int

    def ident(self) -> Ident:
        return Ident(self.state, self.item.alarm_id, self.item.entity_instance_id, self.uuid)


@dataclass(frozen=True)
class Outage:
    """A controller was away: killed at the one time, started again at the other."""

    domain: str
    stopped_us: int
    started_us: int
    #: What the kill cut in half: done by its alarm, without an event for ever.
    halves: frozenset[Ident] = frozenset()

    def covers(self, domain: str, time_us: int) -> bool:
        return self.domain == domain and self.stopped_us <= time_us <= self.started_us


@dataclass
class Count:
    """What arrived. ``differences`` is empty when it is exactly what was sent."""

    #: Domain and state.
    arrived: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Of these, what was sent while the controller was away and stored after it came back.
    buffered: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Of these, what the kill left without an event.
    halves: int = 0
    lost: int = 0
    doubled: int = 0
    differences: list[str] = field(default_factory=list)

    def of(self, state: str) -> int:
        return sum(number for (_, its_state), number in self.arrived.items() if its_state == state)

    def at(self, domain: str) -> int:
        return sum(number for (its_domain, _), number in self.arrived.items() if its_domain == domain)

    def raised_while_away(self) -> int:
        return sum(number for (_, state), number in self.buffered.items() if state != CLEAR)


@contextlib.contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    if not database.is_file():
        raise FileNotFoundError(f"{database} is not there")
    connection = sqlite3.connect(str(database), timeout=10)
    try:
        connection.execute("PRAGMA query_only = 1")
        yield connection
    finally:
        connection.close()


def events(database: Path) -> list[Event]:
    """The event log of a controller, in the order of storing."""
    with _reading(database) as connection:
        return [_event(row) for row in connection.execute(_EVENTS)]


def _event(row: tuple[object, ...]) -> Event:
    state, alarm_id, entity, uuid, timestamp, stored_at, *content = row
    ident = Ident(str(state), str(alarm_id), str(entity), "" if state == CLEAR else str(uuid))
    return Event(ident, _microseconds(str(timestamp)), int(str(stored_at)), tuple(content))


def alarms(database: Path) -> list[Ident]:
    """The alarms that stand at a controller."""
    with _reading(database) as connection:
        return [Ident(SET, *row) for row in connection.execute(_ALARMS)]


def rows(database: Path, table: str) -> int:
    """How many rows a table has."""
    with _reading(database) as connection:
        number: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return number


def halves(database: Path, standing_before: Iterable[Ident]) -> frozenset[Ident]:
    """What the kill of a controller cut in half, from its database as the kill left it.

    An alarm row without its event is a raise; an alarm that stood before, whose row is gone without an event,
    is a clear.
    """
    stored, now = {event.ident for event in events(database)}, set(alarms(database))
    raises = {alarm for alarm in now if alarm not in stored}
    gone = (
        Ident(CLEAR, alarm.alarm_id, alarm.entity_instance_id, "")
        for alarm in standing_before
        if alarm not in now
    )
    return frozenset(raises | {clear for clear in gone if clear not in stored})


def count(sent: Iterable[Sent], databases: Mapping[str, Path], outages: Iterable[Outage] = ()) -> Count:
    """Compares what was sent with the event logs of the controllers."""
    result, sent, outages = Count(), list(sent), list(outages)
    for domain, database in databases.items():
        cut = Counter({half for outage in outages if outage.domain == domain for half in outage.halves})
        wanted = {one.ident(): one for one in sent if one.item.domain == domain}
        stored = events(database)
        found = Counter(event.ident for event in stored) + cut
        lost, doubled = Counter(wanted.keys()) - found, found - Counter(wanted.keys())
        result.lost += sum(lost.values())
        result.doubled += sum(doubled.values())
        result.halves += sum(cut.values())
        result.arrived.update((domain, ident.state) for ident in found.elements())
        result.differences += [f"{domain}: lost: {_shown(ident)}" for ident in lost]
        result.differences += [f"{domain}: once too often: {_shown(ident)}" for ident in doubled]
        result.differences += _changed(domain, wanted, stored)
        for outage in outages:
            _count_buffered(result, outage, domain, wanted, stored)
    return result


def _count_buffered(
    result: Count, outage: Outage, domain: str, wanted: Mapping[Ident, Sent], stored: list[Event]
) -> None:
    """Counts what was sent while the controller was away. A clear's event bears the time of its storing, so the
    time of its call counts; for the others the row's own."""
    found: Counter[tuple[str, str]] = Counter()
    for event in stored:
        sent = wanted.get(event.ident)
        if event.ident.state == CLEAR:
            begun_us = sent.begun_us if sent else event.timestamp_us
        else:
            begun_us = event.timestamp_us
        if outage.covers(domain, begun_us) and event.stored_at_us >= outage.started_us:
            found[domain, event.ident.state] += 1
    called = Counter((domain, one.state) for one in wanted.values() if outage.covers(domain, one.begun_us))
    for key in sorted(called.keys() | found.keys()):
        if called[key] != found[key]:
            result.differences.append(
                f"{domain}: {called[key]} {key[1]} calls while it was away, {found[key]} such events stored after"
            )
    result.buffered += found


def _changed(domain: str, wanted: Mapping[Ident, Sent], stored: list[Event]) -> list[str]:
    """The events that say something else than their call did."""
    different = []
    for event in stored:
        sent = wanted.get(event.ident)
        if sent is not None and event.content != _content(sent.item):
            different.append(
                f"{domain}: {_shown(event.ident)} has {event.content}, sent was {_content(sent.item)}"
            )
    return different


def _content(item: Item) -> tuple[object, ...]:
    """In the order of the columns."""
    return (
        item.entity_type_id,
        item.severity,
        item.alarm_type,
        item.probable_cause,
        item.reason_text,
        item.proposed_repair_action,
        int(item.service_affecting),
        int(item.suppression),
    )


def shorten(differences: list[str]) -> list[str]:
    """So many that a person reads them."""
    more = len(differences) - _DIFFERENCES_SHOWN
    return differences[:_DIFFERENCES_SHOWN] + ([f"and {more} more"] if more > 0 else [])


def _shown(ident: Ident) -> str:
    return " ".join(filter(None, (ident.state, ident.alarm_id, ident.entity_instance_id, ident.uuid)))


def _microseconds(text: str) -> int:
    since = datetime.fromisoformat(text).replace(tzinfo=timezone.utc) - datetime(
        1970, 1, 1, tzinfo=timezone.utc
    )
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
