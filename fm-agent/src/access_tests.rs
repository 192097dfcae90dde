//! Rules and callers, with a user database of their own.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::caller::Origin;

fn caller(uid: u32, gid: u32, groups: &[u32], door: Door) -> Caller {
    let origin = Origin { uid, gid, pid: 7, program: "p".to_owned(), executable: None };
    Caller { origin: Arc::new(origin), groups: groups.to_vec(), door }
}

fn someone(uid: u32) -> Caller {
    caller(uid, uid, &[], Door::Admin)
}

fn rules(text: &str) -> AccessConfig {
    toml::from_str(text).unwrap()
}

/// An agent of uid 500 on a node that knows the user fm (1001) and the group fm (2001).
fn access(text: &str) -> Arc<Access> {
    let known = |principal: &Principal| {
        Ok(match principal.to_string().as_str() {
            "user:fm" => Some(1001),
            "group:fm" => Some(2001),
            "user:root" => Some(0),
            _ => None,
        })
    };
    Arc::new(Access::with(rules(text), 500, Box::new(known)))
}

#[tokio::test]
async fn without_a_table_everybody_reads_and_writes_and_root_administers() {
    let access = access("");
    for need in [Need::Nothing, Need::Read, Need::Write] {
        assert_eq!(access.admit(need, "x", &someone(77)).await, Ok(()), "{need}");
    }
    for uid in [0, 500] {
        assert_eq!(access.admit(Need::Admin, "replay", &someone(uid)).await, Ok(()));
    }
    let refusal = access.admit(Need::Admin, "replay", &someone(77)).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidRequest);
    for part in ["'replay'", "uid 77", "pid 7", "access.admin", "user:root", "uid 500", "uid:77"] {
        assert!(refusal.message.contains(part), "{part}: {refusal}");
    }
    assert_eq!(access.counters().refused_admin.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn users_and_groups_by_name_and_number() {
    let access = access("read = ['gid:30']\nwrite = ['fm', 'uid:9']\nadmin = ['group:fm']");
    let may = async |need, caller: &Caller| access.admit(need, "x", caller).await.is_ok();
    assert!(may(Need::Write, &someone(1001)).await && may(Need::Write, &someone(9)).await);
    assert!(!may(Need::Read, &someone(1001)).await && !may(Need::Write, &someone(30)).await);
    // By its own group, by one besides it, and not by a user of that number.
    assert!(may(Need::Read, &caller(7, 30, &[], Door::Main)).await);
    assert!(may(Need::Read, &caller(7, 7, &[1, 30], Door::Main)).await);
    assert!(!may(Need::Read, &caller(30, 7, &[1], Door::Main)).await);
    // Whoever administers may read and write.
    let admin = caller(7, 7, &[2001], Door::Admin);
    for need in [Need::Admin, Need::Read, Need::Write] {
        assert!(may(need, &admin).await, "{need}");
    }
    assert!(!may(Need::Admin, &someone(2001 - 1)).await);
    let counters = access.counters();
    let refused = [&counters.refused_reads, &counters.refused_writes, &counters.refused_admin];
    assert_eq!(refused.map(|counter| counter.load(Ordering::Relaxed)), [2, 1, 1]);
}

#[tokio::test]
async fn administrators_have_a_socket_of_their_own() {
    let access = access("");
    let refusal = access.admit(Need::Admin, "replay", &caller(0, 0, &[], Door::Main)).await.unwrap_err();
    assert!(refusal.message.contains("FM_AGENT_ADMIN_SOCKET"), "{refusal}");
    assert_eq!(access.admit(Need::Write, "set", &caller(0, 0, &[], Door::Admin)).await, Ok(()));
}

#[tokio::test]
async fn names_are_looked_up_again_when_they_are_used_later() {
    // A user who comes, and a database that is away afterwards.
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let late = move |_: &Principal| match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(None),
        1 => Ok(Some(1001)),
        _ => Err(Errno::EIO),
    };
    let access = Arc::new(Access::with(rules("write = ['fm']\nadmin = []"), 500, Box::new(late)));
    let admit = async || access.admit(Need::Write, "set", &someone(1001)).await.is_ok();
    assert!(!admit().await && !admit().await);
    assert_eq!(looks.load(Ordering::Relaxed), 1, "not at each use");
    access.names().at = Instant::now().checked_sub(FRESH * 2);
    assert!(admit().await);
    access.reload().await;
    assert_eq!(looks.load(Ordering::Relaxed), 3);
    assert!(admit().await, "it means what it meant");
}
