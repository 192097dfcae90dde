//! Processes that call the agent without end, in C and in Python; what they were told.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use crate::oracle::Oracle;

/// Callers of one kind at the same time.
const THREADS: &str = "3";

struct Caller {
    process: Child,
    lines: JoinHandle<Vec<String>>,
}

/// All callers.
pub(crate) struct Callers(Vec<Caller>);

fn given(variable: &str) -> PathBuf {
    let Some(path) = std::env::var_os(variable) else {
        panic!("{variable} is not set: run the soak with `make soak` or `cargo xtask soak`")
    };
    PathBuf::from(path)
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/soak")
}

/// The program in C, linked with the library that was laid out.
fn c_program(directory: &Path) -> PathBuf {
    let library = given("FM_TEST_C_DIR");
    let program = directory.join("caller");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-pthread"])
        .arg(sources().join("caller.c"))
        .arg("-o")
        .arg(&program)
        .arg("-I")
        .arg(library.join("include"))
        .arg("-L")
        .arg(library.join("lib"))
        .arg(format!("-Wl,-rpath,{}", library.join("lib").display()))
        .arg("-lfmcommon");
    assert!(compiler.status().unwrap().success(), "caller.c does not compile");
    program
}

impl Callers {
    /// Starts them; `directory` is for what is built.
    pub(crate) fn start(socket: &Path, directory: &Path, seed: u64) -> Self {
        let c = || Command::new(c_program(directory));
        let python = || {
            let mut command = Command::new(given("FM_TEST_PYTHON"));
            command.arg(sources().join("caller.py"));
            command.env("PYTHONPATH", given("FM_TEST_PYTHON_DIR")).env("PYTHONDONTWRITEBYTECODE", "1");
            command
        };
        let callers = [("c", c()), ("python", python())].map(|(name, mut command)| {
            command
                .args([name, THREADS, &seed.to_string()])
                .env("FM_AGENT_SOCKET", socket)
                // A busy machine is slow: only a dead agent lets a call fail.
                .env("FM_API_TIMEOUT_MS", "30000")
                .env("FM_API_LOG", "off")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            let mut process = command.spawn().unwrap();
            let output = BufReader::new(process.stdout.take().unwrap());
            let lines = std::thread::spawn(move || output.lines().map(Result::unwrap).collect());
            Caller { process, lines }
        });
        Self(callers.into())
    }

    /// Lets them end, and gives what they were told.
    pub(crate) fn stop(mut self) -> Oracle {
        let mut oracle = Oracle::default();
        for mut caller in self.0.drain(..) {
            drop(caller.process.stdin.take());
            let lines = caller.lines.join().unwrap();
            let status = caller.process.wait().unwrap();
            assert!(status.success(), "a caller ended with {status}");
            for line in &lines {
                oracle.take(line);
            }
        }
        oracle
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        for caller in &mut self.0 {
            // One that has ended already is killed in vain.
            let _ended = caller.process.kill();
            caller.process.wait().unwrap();
        }
    }
}
