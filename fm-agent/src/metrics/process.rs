//! The agent's own process, under the names that Prometheus' libraries share.
//!
//! It reads `/proc` when asked. A value that cannot be read keeps what it had: a missing figure is no
//! reason to give no others.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::{SysconfVar, sysconf};
use prometheus::{Counter, Gauge, IntGauge};

use super::MetricsError;
use super::families::Families;

#[derive(Debug)]
pub(super) struct Process {
    resident: IntGauge,
    descriptors: IntGauge,
    cpu: Counter,
}

impl Process {
    pub(super) fn new(new: &Families) -> Result<Self, MetricsError> {
        let started = new.add(Gauge::new(
            "process_start_time_seconds",
            "When the agent started, in seconds since 1970.",
        )?)?;
        started.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        Ok(Self {
            resident: new.gauge("process_resident_memory_bytes", "Memory that the agent holds.")?,
            descriptors: new.gauge("process_open_fds", "Open file descriptors.")?,
            cpu: new.add(Counter::new("process_cpu_seconds_total", "Processor time used so far.")?)?,
        })
    }

    /// Brings the figures up to date.
    pub(super) fn look(&self) {
        if let Some(pages) = resident_pages()
            && let Ok(Some(page)) = sysconf(SysconfVar::PAGE_SIZE)
        {
            self.resident.set(pages.saturating_mul(page));
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // The directory itself is open while it is read.
            self.descriptors.set(i64::try_from(entries.count()).unwrap_or(i64::MAX).saturating_sub(1));
        }
        if let (Some(ticks), Ok(Some(hertz))) = (cpu_ticks(), sysconf(SysconfVar::CLK_TCK))
            && let (Ok(ticks), Ok(hertz)) = (u32::try_from(ticks), u32::try_from(hertz))
        {
            self.cpu.inc_by((f64::from(ticks) / f64::from(hertz) - self.cpu.get()).max(0.0));
        }
    }
}

fn resident_pages() -> Option<i64> {
    fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()
}

/// Processor time in user and kernel mode, in clock ticks.
fn cpu_ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Registry;

    #[test]
    fn the_figures_are_there() {
        let process = Process::new(&Families(Registry::new())).unwrap();
        process.look();
        assert!(process.resident.get() > 100_000, "{}", process.resident.get());
        assert!(process.descriptors.get() >= 3, "{}", process.descriptors.get());
        assert!(cpu_ticks().is_some());
    }
}
