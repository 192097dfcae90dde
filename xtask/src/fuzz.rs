//! The fuzz targets: built with coverage counters by the stable toolchain, run side by side, summed up.
//!
//! Invariants: the committed corpus is only read, what a run finds is kept below `target/fuzz` and read by the
//! next; a crash fails the chore, and the line about it replays it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, bail, ensure};

use crate::tools;

/// The targets' crate.
const CRATE: &str = "tests/fuzz";
/// The longest input tried, in bytes: long enough for each kind of document, short enough to be changed
/// thousands of times a second.
const LONGEST_INPUT: u32 = 4096;
/// The memory that a target may take, in MiB: the agent's whole budget, and what libFuzzer needs.
const MOST_MEMORY: u32 = 512;
/// An input that takes longer, in seconds, is a finding.
const SLOW: u32 = 10;

/// What rustc needs to count what was run, on any channel: what `cargo fuzz` passes, without a sanitizer.
const COVERAGE: [&str; 8] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=16",
];

/// Builds all targets and runs each for so many seconds, one per processor at a time.
///
/// # Errors
/// They cannot be built, there is no target of this name, or one of them found something.
pub(crate) fn run(root: &Path, seconds: u32, only: Option<&str>) -> anyhow::Result<()> {
    let mut targets = names(root)?;
    if let Some(only) = only {
        ensure!(
            targets.iter().any(|name| name == only),
            "there is no {only}; there are {}",
            targets.join(", ")
        );
        targets.retain(|name| name == only);
    }
    let programs = build(root)?;
    let at_once = thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    let waiting = Mutex::new(targets.iter());
    let (told, results) = mpsc::channel();
    let (mut failed, mut out) = (Vec::new(), std::io::stdout());
    thread::scope(|scope| {
        for _ in 0..at_once {
            let (waiting, told, programs) = (&waiting, told.clone(), &programs);
            scope.spawn(move || {
                let next = || waiting.lock().ok().and_then(|mut names| names.next());
                while let Some(name) = next() {
                    // Nobody listens only after the chore itself has failed.
                    let _gone = told.send((name, one(root, programs, name, seconds)));
                }
            });
        }
        drop(told);
        for (name, result) in results {
            match result {
                Ok(line) => writeln!(out, "{name:<8} {line}")?,
                Err(error) => {
                    writeln!(out, "{name:<8} FAILED: {error:#}")?;
                    failed.push(name.as_str());
                }
            }
        }
        anyhow::Ok(())
    })?;
    ensure!(failed.is_empty(), "fuzzing found something: {}", failed.join(", "));
    Ok(())
}

/// The targets: what has a corpus.
fn names(root: &Path) -> anyhow::Result<Vec<String>> {
    let corpus = root.join(CRATE).join("corpus");
    let entries = fs::read_dir(&corpus).with_context(|| format!("reading {}", corpus.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", corpus.display()))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Builds the targets and returns the directory they are in.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let host = host()?;
    let into = root.join("target/fuzz/build");
    // With a target named, build scripts and procedural macros are built as ever.
    let arguments = ["build", "--locked", "--release", "--bins", "--target", &host];
    let mut command = tools::cargo(root, &arguments);
    command.current_dir(root.join(CRATE)).env("CARGO_TARGET_DIR", &into);
    command.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"));
    tools::run(&mut command).context("building the fuzz targets")?;
    Ok(into.join(host).join("release"))
}

/// The machine's own target triple.
fn host() -> anyhow::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("starting rustc")?;
    let text = String::from_utf8(output.stdout).context("rustc's version")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_owned())
}

/// Runs one target; its figures in a line.
fn one(root: &Path, programs: &Path, name: &str, seconds: u32) -> anyhow::Result<String> {
    let place = |kind: &str| -> anyhow::Result<PathBuf> {
        let path = root.join("target/fuzz").join(kind).join(name);
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    };
    let (corpus, found, scratch) = (place("corpus")?, place("artifacts")?, place("scratch")?);
    let program = programs.join(name);
    let log = root.join("target/fuzz").join(format!("{name}.log"));
    let file = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
    let mut command = Command::new(&program);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST_INPUT}"))
        .arg(format!("-rss_limit_mb={MOST_MEMORY}"))
        .arg(format!("-timeout={SLOW}"))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg(format!("-dict={}", root.join(CRATE).join(format!("dictionaries/{name}.dict")).display()))
        .arg("-print_final_stats=1")
        .arg(&corpus)
        .arg(root.join(CRATE).join("corpus").join(name))
        .env("TMPDIR", &scratch)
        .env("RUST_BACKTRACE", "1")
        .stdout(file.try_clone().context("the log")?)
        .stderr(file);
    let status = command.status().with_context(|| format!("starting {}", program.display()))?;
    fs::remove_dir_all(&scratch).with_context(|| format!("removing {}", scratch.display()))?;
    let text = fs::read(&log).with_context(|| format!("reading {}", log.display()))?;
    judged(&String::from_utf8_lossy(&text), status, &program, &log)
}

/// The figures of a run, or what it found and how to see it again.
fn judged(log: &str, status: ExitStatus, program: &Path, place: &Path) -> anyhow::Result<String> {
    if status.success() {
        return figures(log).with_context(|| format!("no figures in {}", place.display()));
    }
    let mut said = format!("{status}, see {}", place.display());
    if let Some(reason) = reason(log) {
        // Writing to a string cannot fail.
        let _infallible = write!(said, "\n  {reason}");
    }
    match log.lines().find_map(|line| line.split_once("Test unit written to ")) {
        Some((_, input)) => bail!("{said}\n  again: {} {}", program.display(), input.trim()),
        None => bail!(said),
    }
}

/// What stopped a target: the words of its panic, else libFuzzer's.
fn reason(log: &str) -> Option<String> {
    let mut lines = log.lines();
    let panic = lines.find(|line| line.contains("panicked at ")).and_then(|at| Some((at, lines.next()?)));
    match panic {
        Some((at, words)) => Some(format!("{at} {words}")),
        None => log.lines().find(|line| line.contains("ERROR: ")).map(str::to_owned),
    }
}

/// Executions, coverage and corpus from libFuzzer's last words.
fn figures(log: &str) -> Option<String> {
    let words: Vec<&str> = log.lines().rfind(|line| line.contains("DONE"))?.split_whitespace().collect();
    let after = |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1));
    let stat = |name: &str| {
        log.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name)).map(str::trim)
    };
    let runs = stat("number_of_executed_units:")?;
    let rate = stat("average_exec_per_sec:")?;
    let (edges, features, inputs) = (after("cov:")?, after("ft:")?, after("corp:")?);
    Some(format!(
        "{runs} executions, {rate} a second, {edges} edges and {features} features covered by {inputs} inputs"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const DONE: &str = "#79336\tDONE   cov: 1274 ft: 4731 corp: 720/77Kb lim: 267 exec/s: 4958 rss: 30Mb\n\
        ###### End of recommended dictionary. ######\nDone 79336 runs in 16 second(s)\n\
        stat::number_of_executed_units: 79336\nstat::average_exec_per_sec:     4958\n";
    const CRASH: &str = "thread '<unnamed>' (7) panicked at targets/text.rs:9:5:\nno such law\n\
        ==7== ERROR: libFuzzer: deadly signal\n\
        artifact_prefix='/a/'; Test unit written to /a/crash-1\nBase64: AA==\n";

    #[test]
    fn a_good_run_has_figures() {
        let line = figures(DONE).unwrap();
        let told = "79336 executions, 4958 a second, 1274 edges and 4731 features covered by 720/77Kb inputs";
        assert_eq!(line, told);
        assert_eq!(figures("nothing"), None);
    }

    #[test]
    fn a_crash_tells_its_words_and_how_to_replay_it() {
        let judge = |log, status| {
            let status = ExitStatus::from_raw(status);
            judged(log, status, Path::new("/p/text"), Path::new("/l")).unwrap_err().to_string()
        };
        let told = judge(CRASH, 77 << 8);
        assert!(told.contains("panicked at targets/text.rs:9:5: no such law"), "{told}");
        assert!(told.ends_with("again: /p/text /a/crash-1"), "{told}");
        assert!(judge("==7== ERROR: libFuzzer: out-of-memory", 71 << 8).contains("out-of-memory"));
        assert!(judge("", 0).contains("no figures"), "without figures there is no success");
    }

    #[test]
    fn each_target_has_its_corpus_its_program_and_its_words() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let manifest = fs::read_to_string(root.join(CRATE).join("Cargo.toml")).unwrap();
        let names = names(root).unwrap();
        assert_eq!(names.len(), manifest.matches("[[bin]]").count());
        for name in names {
            assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
            for file in [format!("targets/{name}.rs"), format!("dictionaries/{name}.dict")] {
                assert!(root.join(CRATE).join(&file).exists(), "{file}");
            }
        }
    }

    #[test]
    fn the_versions_are_the_products() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let packages = |file: &str| -> BTreeSet<String> {
            let text = fs::read_to_string(root.join(file)).unwrap();
            let entries = text.split("[[package]]").skip(1);
            entries.map(|entry| entry.lines().skip(1).take(2).collect::<Vec<_>>().join(" ")).collect()
        };
        let (own, product) = (packages("tests/fuzz/Cargo.lock"), packages("Cargo.lock"));
        let only: Vec<&str> =
            own.difference(&product).map(|package| package.split('"').nth(1).unwrap()).collect();
        let expected = ["arbitrary", "fm-fuzz", "libfuzzer-sys", "peak_alloc"];
        assert_eq!(only, expected, "tests/fuzz/README.md says how the lock file is renewed");
    }
}
