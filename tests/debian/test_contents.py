"""What is in the packages, and what must not be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from packages import BUILT, ROOT, field, files, multiarch
from system import run

AGENT, LIBRARY, DEVELOPMENT, PYTHON = files()
LIB = f"/usr/lib/{multiarch()}"
DOC = "/usr/share/doc/fm-agent"

CONTENTS = {
    AGENT: [
        "/usr/bin/fm-agent",
        "/usr/bin/fmctl",
        "/lib/systemd/system/fm-agent.service",
        "/lib/systemd/system/fm-agent.socket",
        "/lib/systemd/system/fm-agent-admin.socket",
        "/usr/lib/sysusers.d/fm-agent.conf",
        "/etc/fm/fm-agent.toml",
        "/etc/fm/credentials/",
        "/etc/logrotate.d/fm-agent",
        "/usr/share/man/man8/fm-agent.8.gz",
        "/usr/share/man/man1/fmctl.1.gz",
        "/usr/share/man/man1/fmctl-status.1.gz",
        "/usr/share/man/man1/fmctl-doctor.1.gz",
        "/usr/share/bash-completion/completions/fmctl",
        "/usr/share/zsh/vendor-completions/_fmctl",
        "/usr/share/fish/vendor_completions.d/fmctl.fish",
        "/usr/share/fm-agent/pmon/fm-agent.conf",
        "/usr/share/fm-agent/pmon/fm-agent.init",
        "/usr/share/fm-agent/pmon/pmon.conf",
        "/usr/share/fm-agent/prometheus/fm-agent.rules.yaml",
        f"{DOC}/examples/controller.toml",
        f"{DOC}/changelog.Debian.gz",
        f"{DOC}/copyright",
    ],
    LIBRARY: [f"{LIB}/libfmcommon.so.1", f"{LIB}/libfmcommon.so.1.0", "/usr/local/bin/fmClientCli"],
    DEVELOPMENT: [
        "/usr/include/fmAPI.h",
        "/usr/include/fmAlarm.h",
        f"{LIB}/libfmcommon.so",
        f"{LIB}/libfmcommon.a",
        f"{LIB}/pkgconfig/libfmcommon.pc",
    ],
    PYTHON: [
        "/usr/lib/python3/dist-packages/fm_api/fm_api.py",
        "/usr/lib/python3/dist-packages/fm_core.abi3.so",
    ],
}


def listed(package: Path) -> dict[str, str]:
    """Each path of a package with its mode, owner and, for a link, where it leads to."""
    found = {}
    for line in run(["dpkg-deb", "--contents", str(package)]).stdout.splitlines():
        mode, owner, _, _, _, name = line.split(maxsplit=5)
        name, _, target = name.partition(" -> ")
        found[name.removeprefix(".")] = f"{mode} {owner} {target}".strip()
    return found


@pytest.mark.parametrize("package", CONTENTS, ids=lambda package: package.name.split("_")[0])
def test_it_is_all_there(package: Path) -> None:
    paths = listed(package)
    missing = [path for path in CONTENTS[package] if path not in paths and f"{path}.gz" not in paths]
    assert not missing
    assert all(line.split()[1] == "root/root" for line in paths.values())


def test_documents_and_dashboard() -> None:
    paths = listed(AGENT)
    for document in (ROOT / "docs").glob("*.md"):
        assert {f"{DOC}/{document.name}", f"{DOC}/{document.name}.gz"} & set(paths), document
    assert any(re.fullmatch(r"/usr/share/fm-agent/grafana/.*\.json", path) for path in paths)


def test_secrets_are_for_those_who_need_them() -> None:
    paths = listed(AGENT)
    assert paths["/etc/fm/credentials/"].startswith("drwx------")
    assert paths["/etc/fm/fm-agent.toml"].startswith("-rw-r-----")
    conffiles = run(["dpkg-deb", "--info", str(AGENT), "conffiles"]).stdout.split()
    assert sorted(conffiles) == ["/etc/fm/fm-agent.toml", "/etc/logrotate.d/fm-agent"]


def test_the_library_is_found_by_its_name() -> None:
    runtime, development = listed(LIBRARY), listed(DEVELOPMENT)
    assert runtime[f"{LIB}/libfmcommon.so.1"].endswith(" libfmcommon.so.1.0")
    # The linker's name may lead over the loader's or straight to the file.
    assert development[f"{LIB}/libfmcommon.so"].split()[-1] in {"libfmcommon.so.1", "libfmcommon.so.1.0"}
    shlibs = run(["dpkg-deb", "--info", str(LIBRARY), "shlibs"]).stdout.strip()
    assert shlibs.startswith("libfmcommon 1 fm-common")
    assert "ldconfig" in run(["dpkg-deb", "--info", str(LIBRARY), "triggers"]).stdout


def test_dependencies_are_named() -> None:
    def depends(package: Path) -> set[str]:
        return {part.split()[0].split(":")[0] for part in re.split("[,|]", field(package, "Depends"))}

    assert {"libc6", "libgcc-s1", "systemd"} <= depends(AGENT)
    assert "libc6" in depends(LIBRARY) and "libc6" in depends(PYTHON)
    assert "fm-common" in depends(DEVELOPMENT) and "python3" in depends(PYTHON)
    for package in CONTENTS:
        version = field(package, "Version")
        compared = ["dpkg", "--compare-versions", version, "gt", "1.0-1.stx"]
        assert subprocess.run(compared, check=False).returncode == 0, version


def test_the_user_is_there_before_the_service_is_started() -> None:
    script = run(["dpkg-deb", "--info", str(AGENT), "postinst"]).stdout
    steps = [script.index(word) for word in ("systemd-sysusers", "chgrp", "deb-systemd-invoke")]
    assert steps == sorted(steps)


def invoked(script: str) -> list[tuple[str, set[str]]]:
    """What a script of the package has systemd do: the verb and the units."""
    text = run(["dpkg-deb", "--info", str(AGENT), script]).stdout
    return [(verb, set(re.findall(r"'([^']+)'", units))) for verb, units in re.findall(r"deb-systemd-invoke (\S+) (.*)>", text)]


def test_sockets_stay_over_an_upgrade_and_go_first_with_the_package() -> None:
    sockets, service = {"fm-agent.socket", "fm-agent-admin.socket"}, {"fm-agent.service"}
    # `$_dh_action` is a restart in an upgrade; a start changes nothing about a socket that is there.
    assert invoked("postinst") == [("$_dh_action", service), ("start", sockets)]
    # A socket that is left would have the next caller start the agent again.
    assert invoked("prerm") == [("stop", sockets), ("stop", service)]


def test_nothing_of_the_tests_is_shipped(tmp_path: Path) -> None:
    run(["dpkg-deb", "--extract", str(AGENT), str(tmp_path)])
    # What the feature fail-points brings into a program; its source would tell if it were called otherwise.
    assert 'var("FM_FAIL_POINT")' in (ROOT / "fm-agent/src/failpoint.rs").read_text()
    for program in ("fm-agent", "fmctl"):
        content = (tmp_path / "usr/bin" / program).read_bytes()
        assert b"fm-agent" in content and b"FM_FAIL_POINT" not in content
        sections = run(["readelf", "--sections", "--wide", str(tmp_path / "usr/bin" / program)]).stdout
        assert ".debug_info" not in sections and ".symtab" not in sections
    # The features are asked for by nobody: neither by default nor by the command that builds.
    manifest = (ROOT / "fm-agent/Cargo.toml").read_text()
    assert not re.search(r"^default\s*=", manifest, re.M)
    assert "features" not in (ROOT / "xtask/src/package.rs").read_text()


def test_the_names_are_those_that_users_know() -> None:
    text = (BUILT / "build/debian/changelog").read_text()
    version = re.search(r'^version = "([^"]+)"', (ROOT / "Cargo.toml").read_text(), re.M)
    assert version is not None and text.startswith(f"fm-agent (1:{version[1]}-1) ")
