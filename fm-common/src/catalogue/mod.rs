//! The alarm catalogue: which alarm ids exist, what they are and which context they belong to.
//!
//! Invariants:
//! - Ids are texts (`300.010` is not `300.01`), sorted and unique.
//! - The table is generated from `data/alarm_catalogue.csv` by `cargo xtask gen`; it is not edited by
//!   hand, and the check mode of that command fails when the two differ.
//!
//! The catalogue informs; it refuses nothing: logs may carry any id, and controllers know alarm types
//! of their own.

mod table;

use crate::values::Severity;

/// Whether an id names an alarm or a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is raised and cleared.
    Alarm,
    /// It is recorded once.
    Log,
}

/// Which fault management an id belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// The platform's.
    StarlingX,
    /// The containerized OpenStack's.
    OpenStack,
    /// Not said.
    None,
}

/// One id of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The alarm id.
    pub id: &'static str,
    /// Alarm or log.
    pub kind: Kind,
    /// Which fault management it belongs to.
    pub context: Context,
    /// The severities it is raised with.
    pub severities: &'static [Severity],
}

/// Every id, sorted.
pub fn entries() -> &'static [Entry] {
    table::ENTRIES
}

/// The entry of an id, if the catalogue has it.
pub fn find(alarm_id: &str) -> Option<&'static Entry> {
    let entries = entries();
    entries.binary_search_by(|entry| entry.id.cmp(alarm_id)).ok().map(|index| &entries[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_committed_data_to_the_letter() {
        let mut rows = 0;
        for line in include_str!("../../data/alarm_catalogue.csv").lines().skip(1) {
            let columns: Vec<&str> = line.split(',').collect();
            let entry = find(columns[0]).unwrap_or_else(|| panic!("{} is missing", columns[0]));
            let kind = if entry.kind == Kind::Alarm { "alarm" } else { "log" };
            let context = match entry.context {
                Context::StarlingX => "starlingx",
                Context::OpenStack => "openstack",
                Context::None => "none",
            };
            let severities: Vec<&str> = entry.severities.iter().map(Severity::as_str).collect();
            assert_eq!((kind, context, severities.join("|")), (columns[1], columns[2], columns[3].into()));
            rows += 1;
        }
        assert_eq!(rows, 331);
        assert_eq!(entries().len(), rows);
    }

    #[test]
    fn ids_are_texts() {
        assert!(find("300.010").is_some());
        assert!(find("300.01").is_none());
        assert!(entries().windows(2).all(|pair| pair[0].id < pair[1].id));
    }
}
