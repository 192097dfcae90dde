"""A small Debian in a directory: bootstrapped once, copied for each use, entered with chroot.

Invariants:

- Everything lies below the given directory; the base is made whole or not at all, and never changed afterwards.
- The mounts that a command in it needs end with that command.
- Nothing is started by a package's scripts: there is no systemd running, as while a machine is being installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

#: What the packages need is there, so that the mirror is asked once; logrotate is what they recommend.
PACKAGES = ["python3", "logrotate", "systemd"]
PATIENCE_S = 600

_APT = ["apt-get", "--quiet", "--quiet", "--yes", "--no-install-recommends", "--option", "Dpkg::Use-Pty=0"]


def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; what it said is in the failure."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done  # type: ignore[no-any-return]


class System:
    """A system in a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, inside: str) -> Path:
        """Where a path of the system lies."""
        return self.root / inside.lstrip("/")

    def command(self, *command: str, user: str | None = None) -> list[str]:
        """The command that runs another one in the system, as that other process."""
        if user is not None:
            uid, gid = self.ids(user)
            ids = [f"--reuid={uid}", f"--regid={gid}", "--init-groups", "--inh-caps=-all", "--no-new-privs"]
            command = ("setpriv", *ids, *command)
        enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        return ["unshare", "--mount", "sh", "-c", enter, str(self.root), *command]

    def run(
        self, *command: str, user: str | None = None, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the system to its end, whatever that is."""
        return subprocess.run(
            self.command(*command, user=user),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env=environment(variables or {}),
        )

    def succeed(self, *command: str, user: str | None = None) -> str:
        """Runs a command that has to succeed, and returns what it printed."""
        done = self.run(*command, user=user)
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def apt(self, *arguments: str) -> str:
        """apt-get in the system, which asks nothing."""
        return self.succeed(*_APT, *arguments)

    def install(self, packages: list[Path], *options: str) -> str:
        """Installs package files with what they depend on."""
        inside = self.path("/packages")
        shutil.rmtree(inside, ignore_errors=True)
        inside.mkdir()
        for package in packages:
            shutil.copy(package, inside)
        return self.apt(*options, "install", *(f"/packages/{package.name}" for package in packages))

    def ids(self, user: str) -> tuple[int, int]:
        """A user's numbers."""
        for line in self.path("/etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == user:
                return int(uid), int(gid)
        raise LookupError(f"{user} is not a user of the system")


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What a command in the system gets: what leads to the mirror, and these."""
    proxies = {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **proxies, **variables}


def release() -> str:
    """The name of this machine's release of Debian: its programs run on its libraries."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["VERSION_CODENAME"]


def mirrors() -> list[tuple[str, str]]:
    """Where this machine gets Debian from: addresses and suites."""
    form = "$(REPO_URI) $(RELEASE)"
    targets = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages", "Origin: Debian"]).stdout
    found = list(dict.fromkeys((line.split()[0], line.split()[1]) for line in targets.splitlines()))
    assert found, "apt knows no mirror of Debian: run apt-get update"
    return found


def base(directory: Path) -> Path:
    """The system that copies are made of; bootstrapped when there is none yet, or another one is wanted."""
    suite, sources = release(), mirrors()
    wanted = hashlib.sha256(repr((suite, sources, PACKAGES)).encode()).hexdigest()
    root, stamp = directory / "base", directory / "base.made-of"
    if root.is_dir() and stamp.is_file() and stamp.read_text() == wanted:
        return root
    stamp.unlink(missing_ok=True)
    fresh = directory / "base.new"
    for old in (root, fresh):
        shutil.rmtree(old, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    mirror = next(address for address, of in sources if of == suite)
    run(["debootstrap", "--variant=minbase", suite, str(fresh), mirror])
    # The machine's own way to its mirror, and no service started.
    text = "".join(f"deb {address} {of} main\n" for address, of in sources)
    (fresh / "etc/apt/sources.list").write_text(text)
    (fresh / "etc/apt/apt.conf.d/99machine").write_text(run(["apt-config", "dump", "Acquire"]).stdout)
    policy = fresh / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    system = System(fresh)
    system.apt("update")
    system.apt("install", *PACKAGES)
    system.apt("clean")
    fresh.rename(root)
    stamp.write_text(wanted)
    return root


def copy(directory: Path, name: str) -> System:
    """A fresh copy of the base."""
    root = directory / name
    shutil.rmtree(root, ignore_errors=True)
    run(["cp", "--archive", "--reflink=auto", str(base(directory)), str(root)])
    return System(root)
