//! The audit file, and the thread that alone writes it.
//!
//! Invariants:
//! - Lines wait in a bounded queue; one that finds no room is lost and counted.
//! - The file is appended to, and is opened anew when another one is at its path: after a rotation, or after
//!   it was removed. It is opened at the start and when it is asked for, before there is a line to lose.
//! - After lines were lost, the file says how many before it goes on; what a full disk cut off is ended first.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use fm_common::Timestamp;

use super::AuditCounters;
use crate::seldom::Seldom;

/// Lines that may wait for the disk: seconds of the busiest node.
const QUEUE: usize = 16 * 1024;
/// Lines written at once, at most.
const MOST_AT_ONCE: usize = 1024;

enum Message {
    Line(String),
    Reopen,
    Flush(SyncSender<()>),
}

/// The way to the thread. It ends when this is dropped, after what waits is written.
#[derive(Debug)]
pub(super) struct AuditFile {
    queue: SyncSender<Message>,
    counters: Arc<AuditCounters>,
    /// Lost for want of room in the queue, and not told in the file yet.
    overrun: Arc<AtomicU64>,
}

impl AuditFile {
    pub(super) fn start(path: PathBuf, counters: Arc<AuditCounters>) -> io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE);
        let overrun = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            path,
            file: None,
            cut: false,
            untold: 0,
            counters: Arc::clone(&counters),
            overrun: Arc::clone(&overrun),
            telling: Seldom::new(),
        };
        thread::Builder::new().name("fm-audit".to_owned()).spawn(move || writer.run(&messages))?;
        Ok(Self { queue, counters, overrun })
    }

    pub(super) fn write(&self, line: &str) {
        let line = format!("{} {line}\n", Timestamp::now().to_iso());
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
            self.overrun.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn reopen(&self) {
        // With a full queue the thread looks at the file's path before the next line anyway.
        let _full = self.queue.try_send(Message::Reopen);
    }

    pub(super) fn flush(&self, limit: Duration) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_err() || wait.recv_timeout(limit).is_err() {
            tracing::warn!("the last audit lines may be missing: their disk is too slow");
        }
    }
}

struct Writer {
    path: PathBuf,
    file: Option<File>,
    /// The file ends within a line.
    cut: bool,
    /// Lines that were lost and that the file does not tell of yet.
    untold: u64,
    counters: Arc<AuditCounters>,
    overrun: Arc<AtomicU64>,
    telling: Seldom,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        self.open();
        while let Ok(first) = messages.recv() {
            let (mut lines, mut flushed, mut reopen) = (Vec::new(), Vec::new(), false);
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Line(line) => lines.push(line),
                    Message::Reopen => reopen = true,
                    Message::Flush(done) => flushed.push(done),
                }
                next = if lines.len() < MOST_AT_ONCE { messages.try_recv().ok() } else { None };
            }
            if reopen {
                self.open();
            }
            self.write(&lines);
            for done in flushed {
                // Who does not wait any more need not know.
                let _gone = done.send(());
            }
        }
    }

    /// Opens the file anew.
    fn open(&mut self) {
        self.file = None;
        let opened = self.file().err();
        self.counters.tried(opened.as_ref().map(ToString::to_string));
        if let Some(error) = opened {
            tracing::error!(
                path = %self.path.display(),
                %error,
                "the audit file cannot be opened; until it can, audit lines are lost, and alarms are not. Let the \
                 agent's user write there, or name another file in audit.to: under the unit that is shipped those are \
                 in /var/log/fm, /var/lib/fm-agent or /run/fm, and ReadWritePaths= of the unit adds others"
            );
        }
    }

    fn write(&mut self, lines: &[String]) {
        self.untold += self.overrun.swap(0, Ordering::Relaxed);
        if lines.is_empty() && self.untold == 0 {
            return;
        }
        let untold = self.untold;
        let mut text = String::new();
        if untold > 0 {
            text = format!("{} lost lines={untold}\n", Timestamp::now().to_iso());
        }
        let preface = usize::from(untold > 0);
        text.extend(lines.iter().map(String::as_str));
        let (written, result) = self.append(text.as_bytes());
        let whole = text.as_bytes()[..written].split(|byte| *byte == b'\n').count() - 1;
        if whole >= preface {
            self.untold = 0;
        }
        let whole = whole.saturating_sub(preface);
        self.counters.written.fetch_add(whole as u64, Ordering::Relaxed);
        let trouble = result.as_ref().err().map(ToString::to_string);
        if self.counters.tried(trouble).is_some() && result.is_ok() {
            tracing::info!(path = %self.path.display(), "audit lines are written again");
        }
        if let Err(error) = result {
            self.file = None;
            let lost = (lines.len() - whole) as u64;
            self.untold += lost;
            self.counters.lost.fetch_add(lost, Ordering::Relaxed);
            if let Some(kept_back) = self.telling.may() {
                tracing::error!(
                    path = %self.path.display(),
                    %error,
                    lines = lost,
                    kept_back,
                    "audit lines are lost: make room, or name another file in audit.to"
                );
            }
        }
    }

    /// Appends, and says how many bytes are in the file.
    fn append(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let cut = self.cut;
        let file = match self.file() {
            Ok(file) => file,
            Err(error) => return (0, Err(error)),
        };
        if cut && let Err(error) = file.write_all(b"\n") {
            return (0, Err(error));
        }
        let mut written = 0;
        let result = loop {
            match file.write(&bytes[written..]) {
                Ok(0) => {
                    break if written == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) };
                }
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.cut = written > 0 && bytes[written - 1] != b'\n';
        (written, result)
    }

    /// The file at the path, opened anew if it is another than the one that is open.
    fn file(&mut self) -> io::Result<&mut File> {
        let same = |file: &File| {
            let (open, there) = (file.metadata()?, std::fs::metadata(&self.path)?);
            io::Result::Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
        };
        let current = self.file.take().filter(|file| same(file).unwrap_or(false));
        let file = if let Some(file) = current {
            file
        } else {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
            if file.metadata()?.len() == 0 {
                self.cut = false;
            }
            file
        };
        Ok(self.file.insert(file))
    }
}
