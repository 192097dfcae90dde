"""The dashboard as data: its panels and the expressions that they ask Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "packaging/grafana/fm-agent.json"
RULES = ROOT / "packaging/prometheus/fm-agent.rules.yaml"
DOCUMENT = ROOT / "docs/metrics.md"


@dataclass(frozen=True)
class Query:
    """One expression and how its series are called."""

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One panel, with its place on the grid of 24 columns."""

    kind: str
    title: str
    unit: str
    place: dict[str, int]
    queries: list[Query]


def filled(expression: str, rate_interval: str = "1m") -> str:
    """An expression as Grafana sends it, with all nodes chosen."""
    return expression.replace("$__rate_interval", rate_interval).replace("$instance", ".*")


def panels(dashboard: dict[str, Any]) -> list[Panel]:
    """The dashboard's panels."""
    return [
        Panel(
            panel["type"],
            panel["title"],
            panel["fieldConfig"]["defaults"]["unit"],
            panel["gridPos"],
            [Query(target["expr"], target["legendFormat"]) for target in panel["targets"]],
        )
        for panel in dashboard["panels"]
    ]


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    """Every expression, those of the annotations among them."""
    for panel in panels(dashboard):
        for query in panel.queries:
            yield query.expression
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["expr"]


def load() -> dict[str, Any]:
    """The committed dashboard."""
    parsed: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return parsed


def figures(text: str) -> set[str]:
    """The names of the agent's figures in a text, without the ends that a histogram's series have."""
    names = re.findall(r"\b(?:fm_agent|process)_[a-z_]+\b", text)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def described() -> set[str]:
    """The names in the documents' list."""
    return set(re.findall(r"^\| `([a-z_]+)` \|", DOCUMENT.read_text(), re.MULTILINE))
