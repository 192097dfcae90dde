"""The packages over those of old, which have the same names and files."""

from __future__ import annotations

import conftest
import packages
import pytest
import system
from system import System


@pytest.fixture(scope="module")
def host() -> System:
    """A system with the old packages on it."""
    host = system.copy(conftest.DIRECTORY, "old")
    host.install(packages.old(conftest.DIRECTORY / "old-packages"))
    assert host.path("/usr/local/bin/fmClientCli").read_text() == "as of old\n"
    # Another service's, in the same directory.
    host.path("/etc/fm").mkdir()
    host.path("/etc/fm/fm.conf").write_text("[database]\n")
    return host


def version(host: System, package: str) -> str:
    form = "--showformat=${db:Status-Abbrev} ${Version}"
    return host.run("dpkg-query", "--show", form, package).stdout.strip()


def test_they_upgrade(host: System) -> None:
    host.install(packages.files())
    for package in packages.files():
        name = package.name.split("_")[0]
        assert version(host, name) == f"ii  {packages.field(package, 'Version')}"
    # What depends on them stays, what they take the place of goes.
    assert version(host, "a-caller") == f"ii  {packages.OLD_VERSION}"
    assert not version(host, "python3-fm-core").startswith("ii")
    assert host.succeed("dpkg", "--verify") == ""


def test_nothing_of_old_is_left(host: System) -> None:
    library = f"/usr/lib/{packages.multiarch()}/libfmcommon.so.1"
    for file in ("/usr/local/bin/fmClientCli", library, "/usr/include/fmAPI.h"):
        assert b"as of old" not in host.path(file).read_bytes()
        assert ": " in host.succeed("dpkg", "--search", file)
    host.succeed("python3", "-c", "from fm_api import fm_api, constants; fm_api.FaultAPIsV2")


def test_a_purge_leaves_what_is_others(host: System) -> None:
    host.apt("purge", *packages.NAMES)
    assert [file.name for file in host.path("/etc/fm").iterdir()] == ["fm.conf"]
