//! Whether a file has changed since it was read, without reading it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What tells one content of a file from another one: a file that is replaced has another inode, one that
/// is written in place another time or length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(Option<(u64, u64, i64, i64)>);

impl Stamp {
    /// Of the file as it is now; one that is not there has a stamp of its own.
    pub(super) fn of(path: &Path) -> Self {
        let metadata = std::fs::metadata(path).ok();
        Self(metadata.map(|data| (data.ino(), data.size(), data.ctime(), data.ctime_nsec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_appears_changes_or_is_replaced_has_another_stamp() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let none = Stamp::of(&path);
        std::fs::write(&path, "one").unwrap();
        let one = Stamp::of(&path);
        assert_ne!(none, one);
        assert_eq!(one, Stamp::of(&path));
        std::fs::write(&path, "three").unwrap();
        let three = Stamp::of(&path);
        assert_ne!(one, three);
        let other = directory.path().join("other");
        std::fs::write(&other, "seven").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(three, Stamp::of(&path));
    }
}
