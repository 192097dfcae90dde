//! A disk that gets full while the store is open. The disk is a small one of its own, in memory: making it
//! takes root; without root these tests say so and do nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::StoreErrorKind;
use super::*;

/// A file system of so many MiB.
pub(super) struct Disk(PathBuf);

impl Disk {
    pub(super) fn new(directory: &Path, mib: u32) -> Option<Self> {
        let made = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(directory)
            .output()
            .unwrap();
        if made.status.success() {
            return Some(Self(directory.to_owned()));
        }
        assert!(!nix::unistd::geteuid().is_root() || in_container(), "mount: {made:?}");
        println!("not run: a disk cannot be made here: {}", String::from_utf8_lossy(&made.stderr));
        None
    }

    /// Takes what is free, but for the last few bytes.
    pub(super) fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = File::options().create(true).append(true).open(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

/// Root in a container may lack the right to mount.
fn in_container() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("CapEff:")).unwrap();
    let capabilities = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
    capabilities & (1 << 21) == 0
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status().unwrap();
        assert!(unmounted.success());
    }
}

#[tokio::test]
async fn reports_and_clears_go_on_and_sets_work_again_when_there_is_room() {
    let parent = TempDir::new().unwrap();
    let Some(disk) = Disk::new(parent.path(), 16) else { return };
    let mut options = options(&parent.path().join("state"), &[(Platform, false), (Openstack, false)]);
    options.durability = Durability::Power;
    let store = Some(Store::open(&options).unwrap());
    let mut bed = Bed::over(TempDir::new().unwrap(), options, store);
    let text = "x".repeat(8000);
    for number in 0..100 {
        bed.one(raise(Platform, &alarm(&number.to_string(), &text))).await;
    }
    let ballast = disk.fill();
    let mut refused = 0;
    for number in 100..400 {
        match bed.try_submit(None, vec![raise(Platform, &alarm(&number.to_string(), &text))]).await {
            // What has room in the file of the WAL is taken.
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind, StoreErrorKind::Full);
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "the disk does not get full");
    let before = bed.waiting(Platform).await;
    let meter = || bed.store().reader.meter();
    assert_eq!(meter().refused_disk_full(), refused);
    // Deliveries and clears: as many as are waiting.
    for request in &before {
        bed.report(Report::Done { seq: request.seq, uuid: Some(asked(request)) }).await;
    }
    for number in 0..100 {
        assert_eq!(bed.one(clear(&number.to_string(), Unknown::Tell)).await, Outcome::Cleared);
    }
    assert!(bed.store().reader.find(key("1")).await.unwrap().is_some());
    assert!(meter().disk_full(), "the reserve was not needed: the test is too kind");
    let error = bed.try_submit(None, vec![raise(Platform, &alarm("new", &text))]).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Full);

    fs::remove_file(ballast).unwrap();
    bed.one(raise(Platform, &alarm("new", &text))).await;
    assert!(!meter().disk_full());
    // And the reserve is there for the next time.
    let ballast = disk.fill();
    let reserve = fs::metadata(bed.options.state_dir.join("fm-agent.reserve")).unwrap();
    assert_eq!(reserve.len(), 1 << 20);
    fs::remove_file(ballast).unwrap();
    bed.reopen();
    assert!(bed.find("new").await.is_some());
    let database = Connection::open(bed.options.state_dir.join("fm-agent.db")).unwrap();
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    drop((database, bed));
}
