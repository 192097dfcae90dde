"""The catalogue as it is raised, and the last line as others read it."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from pathlib import Path

import pytest
from counting import CLEAR, LOG, SET, Count
from entities import entity_of
from fm_api import constants
from items import OPENSTACK, PLATFORM, load
from report import percentile, summary

ITEMS = load(Path(__file__).resolve().parents[2] / "fm-common/data/alarm_catalogue.csv")


def test_the_whole_catalogue_each_once() -> None:
    assert Counter(item.is_log for item in ITEMS) == {False: 135, True: 196}
    assert len({item.alarm_id for item in ITEMS}) == len(ITEMS)
    assert {item.domain for item in ITEMS} == {PLATFORM, OPENSTACK}


def test_values_are_those_that_callers_may_use() -> None:
    for item in ITEMS:
        assert item.severity in constants.ALARM_SEVERITY
        assert item.alarm_type in constants.ALARM_TYPE
        assert item.probable_cause in constants.ALARM_PROBABLE_CAUSE


def test_an_entity_is_of_its_type() -> None:
    for item in ITEMS:
        pattern = r"\.".join(f"{re.escape(name)}=.+" for name in item.entity_type_id.split("."))
        assert re.fullmatch(pattern, item.entity_instance_id), item


def test_a_port_of_the_openstack_has_a_uuid() -> None:
    ports = [
        item.entity_instance_id
        for item in ITEMS
        if item.domain == OPENSTACK and ".port=" in item.entity_instance_id
    ]
    assert ports
    for port in ports:
        uuid.UUID(port.rpartition(".port=")[2])


def test_the_longest_beginning_decides() -> None:
    assert entity_of("100.106")[0] == "host.port"
    assert entity_of("100.999")[0] == "host"
    with pytest.raises(LookupError, match="777"):
        entity_of("777.001")


def test_the_last_line() -> None:
    count = Count(lost=7, doubled=8)
    count.arrived.update({(PLATFORM, SET): 1, (OPENSTACK, SET): 2, (PLATFORM, LOG): 4, (OPENSTACK, CLEAR): 3})
    count.buffered.update({(OPENSTACK, SET): 2, (OPENSTACK, CLEAR): 3})
    expected = "demo ok: raised 3 logged 4 cleared 3 platform 5 openstack 5 buffered 2 lost 7 doubled 8"
    assert summary(count) == expected


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, percent) for percent in (50, 99, 100)] == [50.0, 99.0, 100.0]
    assert percentile([3.0], 50) == percentile([3.0], 99) == 3.0
