"""The units of systemd as sections with their keys, for those who check or stand in for it."""

from __future__ import annotations

from pathlib import Path


class Unit:
    """One unit; a key that is given several times has several values."""

    def __init__(self, file: Path) -> None:
        self.sections: dict[str, dict[str, list[str]]] = {}
        section: dict[str, list[str]] = {}
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                section = self.sections.setdefault(line.strip("[]"), {})
            elif line and not line.startswith(("#", ";")):
                key, _, value = line.partition("=")
                section.setdefault(key, []).append(value)

    def all(self, section: str, key: str) -> list[str]:
        """Every value of a key."""
        return self.sections[section].get(key, [])

    def one(self, section: str, key: str) -> str:
        """The only value of a key."""
        (value,) = self.all(section, key)
        return value

    def environment(self) -> dict[str, str]:
        """The variables that a service gets."""
        return dict(text.split("=", 1) for text in self.all("Service", "Environment"))
