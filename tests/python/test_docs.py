"""The examples of docs/python.md do what it says, and it lists the differences that are meant."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from conftest import PACKAGE_DIR, ROOT, run_agent
from old_behaviour import BEHAVIOURS

DOCUMENT = (ROOT / "docs/python.md").read_text()

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Example(NamedTuple):
    """A program, what it prints, and whether an agent answers it."""

    program: str
    output: str
    has_agent: bool


def blocks(text: str) -> Iterator[Example]:
    pattern = r"(<!-- no agent -->\n)?```python\n(.*?)```\n```text\n(.*?)```\n"
    for absent, program, output in re.findall(pattern, text, re.DOTALL):
        yield Example(program, output, not absent)


EXAMPLES = list(blocks(DOCUMENT))


@pytest.fixture(scope="module")
def own_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The socket of an agent that has no alarms but the examples'."""
    base = tmp_path_factory.mktemp("d")
    with run_agent(base / "a.sock", base) as path:
        yield str(path)


def run(command: list[str], socket: str) -> str:
    """What a command prints, with the interpreter of this test and uuids by their name."""
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_DIR), "FM_AGENT_SOCKET": socket},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return _UUID.sub("<uuid>", done.stdout)


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == len(re.findall("^```python", DOCUMENT, re.MULTILINE)) > 0
    assert len(re.findall("^```console", DOCUMENT, re.MULTILINE)) == 1


@pytest.mark.parametrize("example", EXAMPLES, ids=range(1, len(EXAMPLES) + 1))
def test_a_program(own_agent: str, example: Example) -> None:
    socket = own_agent if example.has_agent else "/nonexistent/fm-agent.sock"
    assert run([sys.executable, "-W", "ignore", "-c", example.program], socket) == example.output


def test_the_commands(own_agent: str) -> None:
    [session] = re.findall(r"```console\n(.*?)```", DOCUMENT, re.DOTALL)
    steps = re.findall(r"\$ python (.*)\n((?:[^$].*\n)*)", session)
    assert len(steps) == session.count("$ ")
    for arguments, output in steps:
        assert run([sys.executable, *shlex.split(arguments)], own_agent) == output


def test_every_difference_is_listed() -> None:
    rows = {row.rpartition("| ")[2].rstrip(" |") for row in DOCUMENT.splitlines() if row.startswith("| ")}
    assert {behaviour.reason for behaviour in BEHAVIOURS if behaviour.reason} <= rows
