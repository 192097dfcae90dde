//! The state directory, made so that a power cut does not take it away.
//!
//! A file's sync says nothing of the directories that lead to it: each new name is durable only once its own
//! directory was synced. SQLite sees to the names of its files; those above are made and synced here.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::error::StoreError;

/// Makes the directory, and those above it that are missing, for this user only.
///
/// # Errors
/// One of them cannot be made or synced; the error names it.
pub(super) fn make(directory: &Path) -> Result<(), StoreError> {
    let directory = std::path::absolute(directory)
        .map_err(|error| StoreError::path("cannot make the state directory", directory, &error))?;
    let missing: Vec<&Path> = directory.ancestors().take_while(|path| !path.is_dir()).collect();
    // A start that was cut short may have made the innermost one that is there, and not synced it.
    let mut names: Vec<&Path> = directory.ancestors().skip(missing.len()).take(1).collect();
    for path in missing.iter().rev() {
        // Somebody else may make it at the same time.
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if !path.is_dir() => {
                return Err(StoreError::path("cannot make the state directory", path, &error));
            }
            _ => names.push(path),
        }
    }
    names.into_iter().filter_map(Path::parent).try_for_each(|parent| {
        sync(parent).map_err(|error| StoreError::path("cannot make durable what is in", parent, &error))
    })
}

/// Makes the names in a directory durable.
fn sync(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(|file| file.sync_all()) {
        // Whoever made a directory in one that this user may not read answers for its name; and there are file
        // systems that sync no directories.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::StoreErrorKind;

    #[test]
    fn what_is_missing_is_made_for_this_user_only() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("a/b/c");
        for _ in 0..2 {
            make(&directory).unwrap();
        }
        for path in [directory.clone(), base.path().join("a")] {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        std::fs::write(&file, "").unwrap();
        for path in [file.join("state"), file.clone()] {
            let error = make(&path).unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Io);
            assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
        }
    }
}
