"""This package beside the old one: the same, but for the differences that are meant."""

from __future__ import annotations

import re
from typing import Any

import pytest
from conftest import ROOT
from old_behaviour import A_UUID, BEHAVIOURS, SAME, Behaviour

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def without_uuids(value: Any) -> Any:
    """The value with each uuid replaced by the word for one."""
    if isinstance(value, list):
        return [without_uuids(member) for member in value]
    return A_UUID if isinstance(value, str) and _UUID.fullmatch(value) else value


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=[behaviour.name for behaviour in BEHAVIOURS])
def test_behaviour(behaviour: Behaviour, alarm_id: str, host: str) -> None:
    answer = without_uuids(behaviour.run(alarm_id, host))
    assert answer == behaviour.expected
    assert type(answer) is type(behaviour.expected)


def test_each_difference_has_its_reason_and_nothing_else_has_one() -> None:
    assert len({behaviour.name for behaviour in BEHAVIOURS}) == len(BEHAVIOURS)
    for behaviour in BEHAVIOURS:
        assert (behaviour.ours is not SAME) == bool(behaviour.reason), behaviour.name
        assert behaviour.ours is SAME or behaviour.ours != behaviour.old, behaviour.name
