//! Lines that cannot be forged, and files that are rotated, removed and full.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::*;

fn origin(program: &str) -> Origin {
    Origin { uid: 1, gid: 2, pid: 3, program: program.to_owned(), executable: Some("/bin/a b".to_owned()) }
}

fn audit(path: &Path) -> Audit {
    Audit::new(&AuditConfig { to: AuditTo::File(path.to_owned()) }).unwrap()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn no_text_can_end_a_line_or_pass_for_another_key() {
    let evil = "x\n2026-01-01T00:00:00 set uid=0 \"\r\u{85}\u{2028}\u{2029}\u{1b}[2K\u{202e}\0 result=ok";
    let line = Line::new("set", &origin(evil)).text("entity", evil).word("result", "ok").0;
    assert!(line.starts_with("set uid=1 gid=2 pid=3 program=\"x\\n2026"), "{line}");
    assert!(!line.chars().any(|c| c.is_control() || "\u{2028}\u{2029}\u{202e}".contains(c)), "{line}");
    // Every quote of the caller's is escaped, so the last key is the agent's.
    assert_eq!(line.matches('"').count() - line.matches("\\\"").count(), 6, "{line}");
    assert!(line.ends_with("result=ok\" result=ok"), "{line}");
    let long = Line::new("set", &origin("p")).text("entity", &"ä".repeat(100_000)).0;
    assert!(long.len() < 2000);
}

#[test]
fn the_file_is_for_its_owner_and_follows_a_rotation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let audit = audit(&path);
    audit.write(&Line::new("set", &origin("one")));
    audit.flush();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let old = directory.path().join("audit.log.1");
    fs::rename(&path, &old).unwrap();
    audit.write(&Line::new("set", &origin("two")));
    audit.flush();
    fs::remove_file(&path).unwrap();
    audit.reopen();
    audit.write(&Line::new("set", &origin("three")));
    audit.flush();
    assert!(lines(&old).len() == 1 && lines(&old)[0].contains("program=\"one\""));
    assert!(lines(&path).len() == 1 && lines(&path)[0].contains("program=\"three\""));
    assert_eq!(audit.counters().written.load(Ordering::Relaxed), 3);
    assert_eq!(audit.counters().lost.load(Ordering::Relaxed), 0);
}

#[test]
fn what_cannot_be_written_is_counted_and_told_in_the_file_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later").join("audit.log");
    let audit = audit(&path);
    for _ in 0..3 {
        audit.write(&Line::new("set", &origin("lost")));
    }
    audit.flush();
    assert_eq!(audit.counters().lost.load(Ordering::Relaxed), 3);
    assert!(audit.trouble().is_some_and(|trouble| trouble.contains("No such file")), "{:?}", audit.trouble());
    fs::create_dir(path.parent().unwrap()).unwrap();
    audit.write(&Line::new("set", &origin("kept")));
    audit.flush();
    let found = lines(&path);
    assert!(
        found.len() == 2 && found[0].ends_with(" lost lines=3") && found[1].contains("kept"),
        "{found:?}"
    );
    assert_eq!(audit.counters().written.load(Ordering::Relaxed), 1);
    assert_eq!(audit.trouble(), None);
}

#[test]
fn a_full_disk_holds_nobody_up() {
    // The device that is always full.
    let audit = audit(Path::new("/dev/full"));
    for _ in 0..2 {
        audit.write(&Line::new("set", &origin("lost")));
        audit.flush();
        assert!(audit.trouble().is_some());
    }
    assert_eq!(audit.counters().lost.load(Ordering::Relaxed), 2);
    assert_eq!(audit.counters().written.load(Ordering::Relaxed), 0);
}

#[test]
fn off_is_off() {
    let audit = Audit::new(&AuditConfig { to: AuditTo::Off }).unwrap();
    assert!(!audit.is_on());
    audit.write(&Line::new("set", &origin("p")));
    audit.flush();
    assert_eq!(audit.counters().written.load(Ordering::Relaxed), 0);
}
