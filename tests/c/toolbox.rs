//! The library laid out, programs compiled with it, and programs run.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The warnings that callers' builds may have on, all of them errors.
pub(crate) const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

/// The workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The library as it is shipped: optimised, with headers and pkg-config file.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let into = directory.join("c");
        // Tests may run in processes of their own: one lays the library out, the others wait.
        let turn = File::create(directory.join("c.lock")).unwrap();
        turn.lock().unwrap();
        let mut command = Command::new(std::env::var_os("CARGO").unwrap());
        command.current_dir(root()).args(["run", "--quiet", "--locked", "--package", "xtask", "--"]);
        succeed(command.args(["c", "--release", "--into"]).arg(&into));
        into
    })
}

/// The shared library's file.
pub(crate) fn shared_library() -> PathBuf {
    library().join("lib/libfmcommon.so.1")
}

/// Runs a command that must succeed and returns what it printed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Whether a program is installed.
pub(crate) fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// The compilers for C that are there. gcc always is.
pub(crate) fn c_compilers() -> Vec<&'static str> {
    ["gcc", "clang"].into_iter().filter(|name| *name == "gcc" || installed(name)).collect()
}

/// The compilers for C++ that are there. g++ always is.
pub(crate) fn cpp_compilers() -> Vec<&'static str> {
    ["g++", "clang++"].into_iter().filter(|name| *name == "g++" || installed(name)).collect()
}

/// One of the programs in `tests/c/programs`.
pub(crate) fn source(name: &str) -> PathBuf {
    root().join("tests/c/programs").join(name)
}

/// A compiler with the library's headers and the strict warnings.
pub(crate) fn compiler(name: &str) -> Command {
    let mut command = Command::new(name);
    command.args(STRICT).arg("-I").arg(library().join("include"));
    command
}

/// Compiles a program of `tests/c/programs` and links it with the library; `flags` come before it.
pub(crate) fn program(compiler_name: &str, name: &str, flags: &[&str]) -> PathBuf {
    let file = format!("{compiler_name}-{name}{}", flags.concat());
    let into = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file.replace(['/', '='], "_"));
    let lib = library().join("lib");
    let standard = if compiler_name.contains("++") { "-std=c++11" } else { "-std=c11" };
    // Written under a name of its own first: tests run side by side and may compile the same program.
    let fresh = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap().into_temp_path();
    succeed(
        compiler(compiler_name)
            .arg(standard)
            .args(["-g", "-pthread"])
            .args(flags)
            .arg(source(name))
            .arg("-o")
            .arg(&fresh)
            .arg("-L")
            .arg(&lib)
            .arg(format!("-Wl,-rpath,{}", lib.display()))
            .args(["-lfmcommon", "-ldl"]),
    );
    fresh.persist(&into).unwrap();
    into
}

/// A program to be run against the agent at this socket, with no impatience.
pub(crate) fn caller(program: &Path, socket: &Path) -> Command {
    at(Command::new(program), socket)
}

/// Gives a command the environment of a caller.
pub(crate) fn at(mut command: Command, socket: &Path) -> Command {
    command
        .env("FM_AGENT_SOCKET", socket)
        .env("FM_API_TIMEOUT_MS", "30000")
        .env("FM_API_READ_TIMEOUT_MS", "30000")
        .env("FM_API_LOG", "off");
    command
}
