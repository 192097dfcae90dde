"""``python -m fm_api``, run as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid

import pytest
from conftest import PACKAGE_DIR

DONE, NONE_FOUND, NOT_DONE, USAGE = 0, 1, 2, 64


def tool(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Runs it; returns its status, its output and its errors."""
    done = subprocess.run(
        [sys.executable, "-m", "fm_api", *arguments],
        env={**os.environ, "PYTHONPATH": str(PACKAGE_DIR), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.usefixtures("agent")
def test_set_get_list_clear(alarm_id: str, host: str) -> None:
    texts = ["--reason", "a ### b", "--repair", "look", "--timestamp", "2026-06-01 10:00:00.5"]
    status, made, errors = tool("set", alarm_id, host, "--severity", "major", *texts, "--suppression")
    assert (status, errors) == (DONE, "")
    assert str(uuid.UUID(made.strip())) == made.strip()

    status, shown, _ = tool("get", alarm_id, host)
    assert status == DONE
    assert f"uuid: {made}" in shown
    assert "reason_text: a ### b\n" in shown

    status, shown, _ = tool("get", alarm_id, host, "--json")
    fields = json.loads(shown)
    assert (fields["uuid"], fields["severity"], fields["suppression"]) == (made.strip(), "major", "True")

    line = f"2026-06-01 10:00:00.500000  major  {alarm_id}  {host}  a ### b\n"
    for which in (["--alarm-id", alarm_id], ["--entity", host], ["--alarm-id", alarm_id, "--entity", host]):
        assert tool("list", *which) == (DONE, line, "")
    status, shown, _ = tool("list", "--entity", host, "--json")
    assert json.loads(shown) == fields

    assert tool("clear", alarm_id, host) == (DONE, "cleared\n", "")
    for gone in (["get", alarm_id, host], ["list", "--entity", host], ["clear", alarm_id, host]):
        assert tool(*gone) == (NONE_FOUND, "", "no such alarm\n")


@pytest.mark.usefixtures("agent")
def test_clear_all(alarm_id: str, host: str) -> None:
    assert tool("set", alarm_id, f"{host}.port=eth0")[0] == DONE
    assert tool("clear", "--all", host) == (DONE, "cleared\n", "")
    assert tool("clear", "--all", host)[0] == NONE_FOUND


@pytest.mark.usefixtures("agent")
def test_ping() -> None:
    status, said, errors = tool("ping")
    assert (status, errors) == (DONE, "")
    assert said.splitlines()[0] == "the agent answers and its disk takes writes"


@pytest.mark.parametrize(
    "command",
    [
        ["ping"],
        ["set", "100.101", "host=a"],
        ["clear", "100.101", "host=a"],
        ["get", "100.101", "host=a"],
        ["list", "--entity", "host=a"],
    ],
    ids=lambda command: str(command[0]),
)
def test_without_an_agent_the_reason_is_said_once(command: list[str]) -> None:
    status, said, errors = tool(*command, FM_AGENT_SOCKET="/nonexistent/fm-agent.sock")
    assert (status, said) == (NOT_DONE, "")
    [line] = errors.splitlines()
    assert line.startswith("not done: no agent at /nonexistent/fm-agent.sock")
    assert line.endswith("(FM_ERR_NOCONNECT)")


@pytest.mark.parametrize(
    "command",
    [[], ["raise"], ["set", "100.101"], ["set", "100.101", "host=a", "--severity", "bad"], ["list"], ["clear", "host=a"]],
    ids=repr,
)
def test_a_wrong_command_is_a_usage_error(command: list[str]) -> None:
    status, said, errors = tool(*command)
    assert (status, said) == (USAGE, "")
    assert errors.startswith("usage: python -m fm_api")


@pytest.mark.usefixtures("agent")
def test_a_value_that_cannot_be_sent_is_named() -> None:
    status, _, errors = tool("set", "100.101", "host=a", "--timestamp", "yesterday")
    assert status == NOT_DONE
    assert errors.startswith("not done: timestamp: 'yesterday' is not a time")


def test_help_names_the_commands() -> None:
    status, said, _ = tool("--help")
    assert status == DONE
    assert all(f"    {command} " in said for command in ("set", "clear", "get", "list", "ping"))
