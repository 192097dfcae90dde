//! What the kernel says of a process: memory, processor time, switches, descriptors, threads.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

/// A process by its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

/// What a process has used up so far, all its threads together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// Time on a processor, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// How often a thread went to sleep by itself: each is a wake-up later.
    pub(crate) switches: u64,
}

impl Used {
    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

impl Process {
    fn path(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    /// A field of its status, such as `VmRSS` (in KiB) or `Threads`.
    pub(crate) fn status(self, field: &str) -> anyhow::Result<u64> {
        let path = self.path("status");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        number_after(&text, field).with_context(|| format!("{}: no {field}", path.display()))
    }

    /// Memory in use, in MiB: what is resident, the files it has mapped among it.
    pub(crate) fn resident_mib(self) -> anyhow::Result<f64> {
        Ok(self.status("VmRSS")? as f64 / 1024.0)
    }

    /// Open descriptors.
    pub(crate) fn descriptors(self) -> anyhow::Result<usize> {
        let path = self.path("fd");
        Ok(fs::read_dir(&path).with_context(|| path.display().to_string())?.count())
    }

    /// What its threads have used. A thread that has ended meanwhile is not counted.
    pub(crate) fn used(self) -> anyhow::Result<Used> {
        let path = self.path("task");
        let mut used = Used::default();
        for thread in fs::read_dir(&path).with_context(|| path.display().to_string())? {
            let thread = thread?.path();
            let read = |name: &str| fs::read_to_string(thread.join(name)).unwrap_or_default();
            let time = read("schedstat");
            used.cpu_ns += time.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
            used.switches += number_after(&read("status"), "voluntary_ctxt_switches").unwrap_or(0);
        }
        Ok(used)
    }
}

/// The number in the line that begins with `field:`.
fn number_after(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_there() {
        let own = Process(std::process::id());
        assert!(own.resident_mib().unwrap() > 0.5);
        assert!(own.descriptors().unwrap() >= 3);
        let before = own.used().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| std::thread::sleep(std::time::Duration::from_millis(1))).join().unwrap();
        });
        let rest = own.used().unwrap().since(before);
        assert!(rest.cpu_ns < 1_000_000_000_000);
        assert!(Process(u32::MAX).used().is_err());
    }

    #[test]
    fn fields_are_found_by_their_whole_names() {
        let text = "VmRSS:\t   512 kB\nnonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t9\n";
        assert_eq!(number_after(text, "voluntary_ctxt_switches"), Some(9));
        assert_eq!(number_after(text, "VmRSS"), Some(512));
        assert_eq!(number_after(text, "Vm"), None);
    }
}
