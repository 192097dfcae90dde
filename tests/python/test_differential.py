"""This package beside the old one: the same, but for the differences that are meant."""

from __future__ import annotations

import pytest
from old_behaviour import BEHAVIOURS, SAME, Behaviour


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=[behaviour.name for behaviour in BEHAVIOURS])
def test_behaviour(behaviour: Behaviour, alarm_id: str, host: str) -> None:
    behaviour.check(alarm_id, host)


def test_each_difference_has_its_reason_and_nothing_else_has_one() -> None:
    assert len({behaviour.name for behaviour in BEHAVIOURS}) == len(BEHAVIOURS)
    for behaviour in BEHAVIOURS:
        assert (behaviour.ours is not SAME) == bool(behaviour.reason), behaviour.name
        assert behaviour.ours is SAME or behaviour.ours != behaviour.old, behaviour.name
