"""The counting finds what is wrong: each test spoils the copy of a real controller's database in one way."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import subprocess
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from counting import CLEAR, LOG, SET, STATES, Ident, Outage, Sent, alarms, count, events, halves
from items import PLATFORM, Item

ROOT = Path(__file__).resolve().parents[2]
BIN_DIR = Path(os.environ.get("FM_TEST_BIN_DIR", ROOT / "target/debug")).resolve()

#: Nobody can call the service through a proxy that this machine may have.
open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

TIMES = {
    "100.101": "2026-06-01T10:00:00",
    "100.102": "2026-06-01T10:00:10.500000",
    "200.020": "2026-06-01T10:00:10",
}
JUNE = 1_780_308_000_000_000


def item(alarm_id: str, is_log: bool = False) -> Item:
    return Item(
        alarm_id=alarm_id,
        is_log=is_log,
        domain=PLATFORM,
        entity_type_id="host",
        entity_instance_id="host=c0",
        severity="major",
        alarm_type="equipment",
        probable_cause="unknown",
        reason_text="a reason",
        proposed_repair_action="" if is_log else "a repair",
        service_affecting=True,
        suppression=False,
    )


ITEMS = [item("100.101"), item("100.102"), item("200.020", is_log=True)]


def post(url: str, state: str, one: Item, given_uuid: str) -> None:
    fields = dataclasses.asdict(one)
    del fields["is_log"], fields["domain"]
    body = {**fields, "alarm_state": state, "timestamp": TIMES[one.alarm_id]}
    if given_uuid:
        body["uuid"] = given_uuid
    request = urllib.request.Request(
        f"{url}/v1/alarms", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with open_url(request, timeout=30) as answer:
        assert answer.status == 200


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Sent]]]:
    """The database of a controller that got two alarms and a log, and the clear of the first alarm."""
    database = tmp_path_factory.mktemp("controller") / "controller.db"
    command = [str(BIN_DIR / "fm-rest-sim"), "--no-token", f"--database={database}"]
    sent = []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            for one in ITEMS:
                state, given = LOG if one.is_log else SET, str(uuid.uuid4())
                post(url, state, one, given)
                sent.append(Sent(state, one, given, JUNE))
            post(url, CLEAR, ITEMS[0], "")
            sent.append(Sent(CLEAR, ITEMS[0], "", JUNE))
            yield database, sent
        finally:
            process.terminate()


@pytest.fixture
def copy(original: tuple[Path, list[Sent]], tmp_path: Path) -> tuple[Path, list[Sent]]:
    """A copy of it to spoil."""
    database, sent = original
    path = tmp_path / "copy.db"
    source, target = sqlite3.connect(str(database)), sqlite3.connect(str(path))
    source.backup(target)
    source.close()
    target.close()
    return path, sent


def change(database: Path, sql: str, *values: Any) -> None:
    """Changes exactly one row."""
    connection = sqlite3.connect(str(database))
    with connection:
        assert connection.execute(sql, values).rowcount == 1
    connection.close()


def drop(database: Path, state: str) -> None:
    change(
        database, "DELETE FROM event_log WHERE id = (SELECT min(id) FROM event_log WHERE state = ?)", state
    )


def duplicate(database: Path, state: str) -> None:
    columns = (
        "event_log_id, state, entity_type_id, entity_instance_id, timestamp, severity, reason_text, event_log_type,"
        "probable_cause, proposed_repair_action, service_affecting, suppression, stored_at, alarm_key"
    )
    sql = (
        f"INSERT INTO event_log (uuid, {columns}) SELECT ?, {columns} FROM event_log WHERE state = ? LIMIT 1"
    )
    change(database, sql, str(uuid.uuid4()), state)


def test_all_that_was_sent_is_there(copy: tuple[Path, list[Sent]]) -> None:
    database, sent = copy
    result = count(sent, {PLATFORM: database})
    assert (result.lost, result.doubled, result.differences) == (0, 0, [])
    assert [result.of(state) for state in STATES] == [2, 1, 1]
    assert result.at(PLATFORM) == 4
    assert [alarm.alarm_id for alarm in alarms(database)] == ["100.102"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("spoil", "lost", "doubled"), [(drop, 1, 0), (duplicate, 0, 1)])
def test_one_event_dropped_or_doubled(
    copy: tuple[Path, list[Sent]], state: str, spoil: Callable[[Path, str], None], lost: int, doubled: int
) -> None:
    database, sent = copy
    spoil(database, state)
    result = count(sent, {PLATFORM: database})
    assert (result.lost, result.doubled) == (lost, doubled)
    assert len(result.differences) == 1
    assert state in result.differences[0]
    assert result.at(PLATFORM) == 4 - lost + doubled


def test_one_dropped_and_one_doubled_do_not_even_out(copy: tuple[Path, list[Sent]]) -> None:
    database, sent = copy
    drop(database, LOG)
    duplicate(database, CLEAR)
    result = count(sent, {PLATFORM: database})
    assert (result.lost, result.doubled, result.at(PLATFORM)) == (1, 1, 4)


def test_another_uuid_is_another_event(copy: tuple[Path, list[Sent]]) -> None:
    database, sent = copy
    change(database, "UPDATE event_log SET uuid = ? WHERE state = 'log'", str(uuid.uuid4()))
    result = count(sent, {PLATFORM: database})
    assert (result.lost, result.doubled) == (1, 1)


def test_a_changed_text_is_a_difference(copy: tuple[Path, list[Sent]]) -> None:
    database, sent = copy
    change(database, "UPDATE event_log SET reason_text = 'another' WHERE state = 'log'")
    result = count(sent, {PLATFORM: database})
    assert (result.lost, result.doubled, len(result.differences)) == (0, 0, 1)
    assert "another" in result.differences[0]


def test_an_event_at_the_wrong_controller(copy: tuple[Path, list[Sent]]) -> None:
    database, sent = copy
    moved = [dataclasses.replace(one, item=dataclasses.replace(one.item, domain="openstack")) for one in sent]
    result = count(moved, {PLATFORM: database})
    assert (result.lost, result.doubled) == (0, 4)


def test_buffered_is_sent_while_away_and_stored_after(copy: tuple[Path, list[Sent]]) -> None:
    database, sent = copy
    away = Outage(PLATFORM, JUNE + 10_000_000, JUNE + 11_000_000)
    within = [
        one if one.item.alarm_id == "100.101" else dataclasses.replace(one, begun_us=JUNE + 10_000_000)
        for one in sent
    ]
    result = count(within, {PLATFORM: database}, [away])
    assert result.buffered == {(PLATFORM, SET): 1, (PLATFORM, LOG): 1}
    assert (result.raised_while_away(), result.differences) == (2, [])
    # Stored before it came back: that is no waiting on this node's disk.
    change(database, "UPDATE event_log SET stored_at = ? WHERE state = 'log'", JUNE + 10_900_000)
    result = count(within, {PLATFORM: database}, [away])
    assert result.raised_while_away() == 1
    assert len(result.differences) == 1


def test_a_clear_waited_by_the_time_of_its_call(copy: tuple[Path, list[Sent]]) -> None:
    database, sent = copy
    [cleared] = [event for event in events(database) if event.ident.state == CLEAR]
    stored = cleared.stored_at_us
    called = [dataclasses.replace(one, begun_us=stored - 500) if one.state == CLEAR else one for one in sent]
    result = count(called, {PLATFORM: database}, [Outage(PLATFORM, stored - 1000, stored - 100)])
    assert (result.buffered, result.differences) == ({(PLATFORM, CLEAR): 1}, [])
    assert result.raised_while_away() == 0


def test_a_half_is_excused_where_the_killed_database_proves_it(copy: tuple[Path, list[Sent]]) -> None:
    database, sent = copy
    change(database, "DELETE FROM event_log WHERE event_log_id = '100.102'")
    change(database, "DELETE FROM event_log WHERE state = 'clear'")
    assert count(sent, {PLATFORM: database}).lost == 2
    stood = [Ident(SET, one.item.alarm_id, "host=c0", one.uuid) for one in sent if one.state == SET]
    proven = halves(database, stood)
    assert sorted((half.state, half.alarm_id) for half in proven) == [(CLEAR, "100.101"), (SET, "100.102")]
    result = count(sent, {PLATFORM: database}, [Outage(PLATFORM, 0, 1, proven)])
    assert (result.lost, result.doubled, result.halves, result.at(PLATFORM)) == (0, 0, 2, 4)
    drop(database, LOG)
    assert count(sent, {PLATFORM: database}, [Outage(PLATFORM, 0, 1, proven)]).lost == 1


def test_without_a_kill_in_between_nothing_is_half(copy: tuple[Path, list[Sent]]) -> None:
    database, _ = copy
    assert not halves(database, alarms(database))
