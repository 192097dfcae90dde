//! What the disk keeps and what it may lose.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use tempfile::TempDir;

use crate::disk::{Disk, Style};
use crate::log::{Operation, Record};

struct Bed {
    root: TempDir,
    disk: Disk,
}

impl Bed {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        let disk = Disk::of(root.path());
        Self { root, disk }
    }

    fn apply(&mut self, path: &str, operation: Operation) {
        let path = self.root.path().join(path);
        self.disk.apply(&Record { path, operation, began_at: 0, end: 0 });
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        self.apply("d/f", Operation::Write { offset, data: data.to_vec() });
    }

    /// The contents of `d/f` that cuts leave; `None`: no such file.
    fn outcomes(&self, style: Style) -> BTreeSet<Option<Vec<u8>>> {
        let outcome = |seed| {
            let image = tempfile::tempdir().unwrap();
            self.disk.cut(style, &mut Rng::with_seed(seed), image.path());
            fs::read(image.path().join("d/f")).ok()
        };
        (0..100).map(outcome).collect()
    }
}

const TORN: Style = Style::Torn { unit: 512, newest: 50 };

#[test]
fn a_file_is_there_for_sure_when_its_directory_was_synced() {
    let mut bed = Bed::new();
    bed.apply("d/f", Operation::Create);
    bed.write(0, b"x");
    bed.apply("d/f", Operation::Sync);
    assert_eq!(bed.outcomes(Style::Lost), BTreeSet::from([None]));
    assert_eq!(bed.outcomes(TORN), BTreeSet::from([None, Some(b"x".to_vec())]));
    bed.apply("d", Operation::Sync);
    assert_eq!(bed.outcomes(TORN), BTreeSet::from([Some(b"x".to_vec())]));
    bed.apply("d/f", Operation::Unlink);
    assert_eq!(bed.outcomes(TORN), BTreeSet::from([None, Some(b"x".to_vec())]));
}

#[test]
fn a_directory_that_is_not_synced_takes_all_in_it_along() {
    let mut bed = Bed::new();
    bed.apply("d/e", Operation::Mkdir);
    bed.apply("d/e/f", Operation::Create);
    bed.apply("d/e", Operation::Sync);
    let lost = |bed: &Bed| {
        let image = tempfile::tempdir().unwrap();
        bed.disk.cut(Style::Lost, &mut Rng::with_seed(1), image.path());
        !image.path().join("d/e/f").exists()
    };
    assert!(lost(&bed));
    bed.apply("d", Operation::Sync);
    assert!(!lost(&bed));
}

#[test]
fn sectors_are_lost_each_for_itself_and_never_in_part() {
    let mut bed = Bed::new();
    bed.apply("d/f", Operation::Create);
    bed.apply("d", Operation::Sync);
    bed.write(0, &[1; 1024]);
    bed.apply("d/f", Operation::Sync);
    bed.write(256, &[2; 512]);
    bed.write(0, &[3; 8]);
    let outcomes = bed.outcomes(TORN);
    let first: BTreeSet<&[u8]> = outcomes.iter().flatten().map(|content| &content[..512]).collect();
    let second: BTreeSet<&[u8]> = outcomes.iter().flatten().map(|content| &content[512..]).collect();
    let sector = |parts: &[(u8, usize)]| -> Vec<u8> {
        parts.iter().flat_map(|(byte, count)| vec![*byte; *count]).collect()
    };
    let old = sector(&[(1, 512)]);
    let (once, twice) = (sector(&[(1, 256), (2, 256)]), sector(&[(3, 8), (1, 248), (2, 256)]));
    assert_eq!(first, BTreeSet::from([&old[..], &once[..], &twice[..]]));
    let half = sector(&[(2, 256), (1, 256)]);
    assert_eq!(second, BTreeSet::from([&old[..], &half[..]]));
    assert_eq!(outcomes.len(), 6, "every combination");
    // In order: none, the first, both.
    assert_eq!(bed.outcomes(Style::Prefix).len(), 3);
}

#[test]
fn a_length_may_come_without_the_content_and_a_cut_may_not_come() {
    let mut bed = Bed::new();
    bed.apply("d/f", Operation::Create);
    bed.apply("d", Operation::Sync);
    bed.write(0, &[7; 512]);
    assert_eq!(bed.outcomes(Style::Hollow), BTreeSet::from([Some(vec![0; 512])]));
    let expected = [vec![], vec![0; 512], vec![7; 512]].map(Some);
    assert_eq!(bed.outcomes(TORN), BTreeSet::from(expected));
    bed.apply("d/f", Operation::Sync);
    bed.apply("d/f", Operation::Truncate(0));
    assert_eq!(bed.outcomes(TORN), BTreeSet::from([vec![], vec![7; 512]].map(Some)));
    bed.write(600, &[8; 8]);
    let later = [vec![0; 512 + 96], [vec![0; 600], vec![8; 8]].concat()].map(Some);
    let expected = BTreeSet::from([vec![], vec![7; 512]].map(Some)).into_iter().chain(later).collect();
    assert_eq!(bed.outcomes(TORN), expected);
    assert_eq!(bed.disk.unsynced(), 2);
    let path = bed.root.path().join(Path::new("d/f"));
    assert_eq!(bed.disk.content(&path).unwrap().len(), 608);
}
