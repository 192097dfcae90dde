"""The constants are those of the committed table, by name, type, value and order."""

from __future__ import annotations

import csv
import json

from conftest import ROOT
from fm_api import constants


def test_names_types_and_values() -> None:
    with (ROOT / "fm-common/data/fm_api_constants.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    defined = {name: value for name, value in vars(constants).items() if not name.startswith("__")}
    assert len(rows) == 467
    assert list(defined) == [row["name"] for row in rows]
    for row in rows:
        value = defined[row["name"]]
        assert (type(value).__name__, value) == (row["type"], json.loads(row["value_json"]))
