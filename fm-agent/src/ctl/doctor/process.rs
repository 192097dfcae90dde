//! The agent's process, as the system shows it.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use super::finding::Findings;

/// Descriptors that the agent needs besides those of its callers.
const OWN_FILES: u64 = 256;

/// A running agent.
pub(super) struct Process {
    pub(super) pid: u32,
    /// Its user; `None` when it is not seen from here (another container).
    pub(super) uid: Option<u32>,
}

impl Process {
    /// The process that gave this status.
    pub(super) fn of(status: &Value) -> Option<Self> {
        let pid = status["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())?;
        Some(Self { pid, uid: fs::metadata(format!("/proc/{pid}")).ok().map(|data| data.uid()) })
    }
}

/// Whether the agent may open as many files as its callers can make it.
pub(super) fn limits(process: Option<&Process>, max_connections: usize, findings: &mut Findings) {
    let Some(process) = process else {
        return findings.skip("open-files", "the agent's limits", "no agent runs");
    };
    let looked_at = format!("/proc/{}/limits", process.pid);
    let Some(limit) = fs::read_to_string(&looked_at).ok().and_then(|limits| soft_limit(&limits)) else {
        return findings.skip("open-files", &looked_at, "cannot be read by this user");
    };
    let wanted = u64::try_from(max_connections).unwrap_or(u64::MAX).saturating_add(OWN_FILES);
    let found = format!("{limit} open files; {max_connections} connections need {wanted}");
    if limit >= wanted {
        return findings.ok("open-files", &looked_at, &found);
    }
    let advice = "Raise LimitNOFILE in the agent's unit, or lower agent.max_connections; callers beyond the limit are \
                  turned away.";
    findings.warn("open-files", &looked_at, &found, advice);
}

fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_off_the_systems_table() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max processes             95694                95694                processes \n\
                     Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(table), Some(1024));
        assert_eq!(soft_limit(""), None);
    }

    #[test]
    fn too_few_files_are_worth_a_look() {
        let process = Process { pid: std::process::id(), uid: None };
        let mut findings = Findings::default();
        limits(Some(&process), usize::MAX, &mut findings);
        limits(Some(&process), 1, &mut findings);
        let levels: Vec<_> = findings.all().iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [super::super::Level::Warn, super::super::Level::Ok]);
    }
}
