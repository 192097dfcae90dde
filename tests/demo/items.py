"""The 135 alarms and 196 logs of the catalogue, each with all that a caller says about it.

Invariant: severity, type and cause are those of the catalogue's row. Reads one file, sends nothing.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from entities import entity_of

PLATFORM = "platform"
OPENSTACK = "openstack"
DOMAINS = (PLATFORM, OPENSTACK)

#: Which domain owns the ids of a context.
_OWNERS = {"starlingx": PLATFORM, "none": PLATFORM, "openstack": OPENSTACK}


@dataclass(frozen=True)
class Item:
    """One alarm to raise, or one log to record."""

    alarm_id: str
    is_log: bool
    domain: str
    entity_type_id: str
    entity_instance_id: str
    severity: str
    alarm_type: str
    probable_cause: str
    reason_text: str
    proposed_repair_action: str
    service_affecting: bool
    suppression: bool


def load(catalogue: Path) -> list[Item]:
    """Every row of the catalogue, in its order."""
    with catalogue.open(newline="", encoding="utf-8") as file:
        return [_item(row) for row in csv.DictReader(file)]


def _item(row: dict[str, str]) -> Item:
    alarm_id, is_log = row["alarm_id"], row["kind"] == "log"
    entity_type, entity = entity_of(alarm_id)
    # A row may offer several; the first is the gravest.
    severity, alarm_type = (row[name].split("|")[0] for name in ("severities", "alarm_type"))
    of_an_instance = "instance" in entity_type.split(".")
    return Item(
        alarm_id=alarm_id,
        is_log=is_log,
        domain=OPENSTACK if of_an_instance else _OWNERS[row["context"]],
        entity_type_id=entity_type,
        entity_instance_id=entity,
        severity=severity,
        alarm_type=alarm_type,
        probable_cause=row["probable_cause"],
        reason_text=f"{row['probable_cause'].replace('-', ' ')}: {entity}",
        proposed_repair_action="" if is_log else f"look at {entity}; its alarm goes when the cause has gone",
        # 'True', or the severities that affect the service.
        service_affecting=row["service_affecting"] == "True"
        or severity in row["service_affecting"].split("|"),
        suppression=row["suppression"] == "True",
    )
