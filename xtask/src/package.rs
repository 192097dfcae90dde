//! The Debian packages, from one command.
//!
//! Invariants: everything is below `target/package`; what is packed is what a release build gives; packages
//! that lintian finds fault with are no packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{c, python, tools};

/// The programs of the packages.
const PROGRAMS: [&str; 3] = ["fm-agent", "fmctl", "fmClientCli"];

/// What lintian asks of an upload to Debian: an address that takes mail, the number of a wish for the package.
const OF_UPLOADS: &str = "bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs";

/// Builds the packages and returns the directory that they are in.
///
/// # Errors
/// A tool is missing, something cannot be built, or lintian finds a fault.
pub(crate) fn build(root: &Path) -> anyhow::Result<PathBuf> {
    for (tool, package) in [
        ("dpkg-buildpackage", "dpkg-dev"),
        ("dh", "debhelper"),
        ("dh_python3", "dh-python"),
        ("lintian", "lintian"),
    ] {
        ensure!(tools::on_path(tool), "{tool} is not on this machine: on Debian install {package}");
    }
    let package = root.join("target/package");
    let build = package.join("build");
    if package.exists() {
        fs::remove_dir_all(&package).with_context(|| format!("removing {}", package.display()))?;
    }
    let debian = build.join("debian");
    copy(&root.join("packaging/debian"), &debian)?;
    place(&root.join("packaging/logrotate/fm-agent"), &debian.join("fm-agent.logrotate"))?;
    stage(root, &build.join("stage"))?;
    let mut pack = Command::new("dpkg-buildpackage");
    tools::run(pack.current_dir(&build).args([
        "--build=binary",
        "--unsigned-changes",
        "--unsigned-buildinfo",
    ]))?;
    lint(&package)?;
    Ok(package)
}

/// Lays everything out as it will lie in the system.
fn stage(root: &Path, stage: &Path) -> anyhow::Result<()> {
    let mut command = vec!["--release"];
    command.extend(["--package=fm-agent", "--bins"]);
    let programs = tools::build_with(root, &command, &PROGRAMS)?;
    for program in &programs {
        let name = program.file_name().context("cargo built a program without a name")?;
        place(program, &stage.join("usr/bin").join(name))?;
    }
    let ctl = programs.get(1).context("cargo built no fmctl")?;
    let man = stage.join("usr/share/man/man1");
    tools::run(Command::new(ctl).args(["generate", "man"]).arg(&man))?;
    place(&root.join("packaging/man/fm-agent.8"), &stage.join("usr/share/man/man8/fm-agent.8"))?;
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/fmctl"),
        ("zsh", "usr/share/zsh/vendor-completions/_fmctl"),
        ("fish", "usr/share/fish/vendor_completions.d/fmctl.fish"),
    ] {
        let output = Command::new(ctl).args(["completion", shell]).output().context("starting fmctl")?;
        ensure!(output.status.success(), "fmctl completion {shell} ended with {}", output.status);
        write(&stage.join(path), &output.stdout)?;
    }

    let library = stage.join("usr/lib").join(multiarch()?);
    let laid_out = c::lay_out(root, true, Path::new("target/package/c"))?;
    copy(&laid_out.join("lib"), &library)?;
    copy(&laid_out.join("include"), &stage.join("usr/include"))?;
    let file = library.join("pkgconfig/libfmcommon.pc");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    write(&file, c::installed(&text, &multiarch()?).as_bytes())?;
    let modules = stage.join("usr/lib/python3/dist-packages");
    python::lay_out(root, true, &modules)?;
    python::describe(&modules)?;

    let packaging = root.join("packaging");
    copy(&packaging.join("systemd"), &stage.join("lib/systemd/system"))?;
    place(&packaging.join("sysusers/fm-agent.conf"), &stage.join("usr/lib/sysusers.d/fm-agent.conf"))?;
    place(&packaging.join("config/fm-agent.toml"), &stage.join("etc/fm/fm-agent.toml"))?;
    for directory in ["pmon", "prometheus", "grafana"] {
        copy(&packaging.join(directory), &stage.join("usr/share/fm-agent").join(directory))?;
    }
    copy(&packaging.join("examples"), &stage.join("examples"))?;
    copy(&root.join("docs"), &stage.join("doc"))
}

/// The directory of this machine's libraries below `/usr/lib`, as Debian calls it.
fn multiarch() -> anyhow::Result<String> {
    let output = Command::new("dpkg-architecture").arg("-qDEB_HOST_MULTIARCH").output();
    let output = output.context("starting dpkg-architecture: on Debian install dpkg-dev")?;
    ensure!(output.status.success(), "dpkg-architecture ended with {}", output.status);
    Ok(String::from_utf8(output.stdout).context("dpkg-architecture's answer")?.trim().to_owned())
}

/// Fails on every finding that is not excused with a reason.
fn lint(package: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(package).with_context(|| format!("reading {}", package.display()))?;
    let changes = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|it| it == "changes"))
        .context("dpkg-buildpackage wrote no list of changes")?;
    let mut lintian = Command::new("lintian");
    lintian.args(["--fail-on=error,warning", "--tag-display-limit=0"]).arg(changes);
    lintian.args(["--suppress-tags", OF_UPLOADS]);
    // As root it would refuse to look into archives as another user.
    tools::run(lintian.arg("--allow-root")).context("the packages have faults")
}

/// Copies a directory, with its links and modes.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    let mut copy = Command::new("cp");
    tools::run(copy.arg("-R").arg("--preserve=mode,links").arg(from.join(".")).arg(to))
}

fn place(from: &Path, to: &Path) -> anyhow::Result<()> {
    let directory = to.parent().context("a file lies in a directory")?;
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let directory = path.parent().context("a file lies in a directory")?;
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
