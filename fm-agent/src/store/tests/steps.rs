//! What is done to the store and its model: steps at random.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::*;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Batch(Vec<Ask>),
    /// The last batch again, as a caller repeats it that got no answer.
    Again,
    Report(Domain, Index, Said),
    /// Requests up to so many places behind this one may be sent.
    Begin(Domain, Index, i64),
    /// A batch whose transaction fails, after all of it was done.
    Fail(Vec<Ask>),
    Reopen,
    /// The disk gets full.
    Fill,
    /// It has room again.
    Room,
}

#[derive(Debug, Clone)]
pub(super) enum Ask {
    Raise { key: AlarmKey, domain: Domain, text: &'static str, keep: bool, same_uuid: bool },
    Log(Domain, Severity),
    Clear(AlarmKey, Unknown),
    ClearAll(&'static str, EntityMatch, Unknown, Vec<Domain>),
}

/// A text of several pages.
const LONG: &str = match std::str::from_utf8(&[b'x'; 9000]) {
    Ok(text) => text,
    Err(_) => panic!(),
};

/// What is said of a delivery: for a raise, done under its own uuid, under another, or gone again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said {
    Own,
    Other,
    Gone,
    Refused,
}

/// The alarms in play.
pub(super) fn keys() -> Vec<AlarmKey> {
    [("1", "host=a"), ("2", "host=a.p=1"), ("1", "host=ab"), ("1", "host=b")]
        .map(|(id, entity)| AlarmKey::new(id, entity))
        .to_vec()
}

fn ask() -> impl Strategy<Value = Ask> {
    let domain = || select(Domain::ALL.to_vec());
    let unknown = || prop_oneof![Just(Unknown::Tell), domain().prop_map(Unknown::Deliver)];
    let raise =
        (select(keys()), domain(), select(vec!["hot", "cold", LONG]), any::<[bool; 2]>(), any::<bool>());
    let rule = select(vec![EntityMatch::Component, EntityMatch::Prefix]);
    let filter = select(vec!["host=a", "host=", "host=b"]);
    let domains = prop_oneof![3 => Just(Domain::ALL.to_vec()), 1 => subsequence(Domain::ALL.to_vec(), 1)];
    prop_oneof![
        6 => raise.prop_map(|(key, domain, text, keep, same_uuid)| Ask::Raise {
            key, domain, text, keep: keep == [true; 2], same_uuid
        }),
        2 => (domain(), select(vec![Severity::Warning, Severity::Critical]))
            .prop_map(|(domain, severity)| Ask::Log(domain, severity)),
        3 => (select(keys()), unknown()).prop_map(|(key, unknown)| Ask::Clear(key, unknown)),
        2 => (filter, rule, unknown(), domains)
            .prop_map(|(filter, rule, unknown, domains)| Ask::ClearAll(filter, rule, unknown, domains)),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let said = select(vec![Said::Own, Said::Own, Said::Own, Said::Other, Said::Gone, Said::Refused]);
    prop_oneof![
        8 => vec(ask(), 1..3).prop_map(Step::Batch),
        8 => (select(Domain::ALL.to_vec()), any::<Index>(), said)
            .prop_map(|(domain, index, said)| Step::Report(domain, index, said)),
        2 => (select(Domain::ALL.to_vec()), any::<Index>(), 0..3_i64)
            .prop_map(|(domain, index, ahead)| Step::Begin(domain, index, ahead)),
        1 => vec(ask(), 1..3).prop_map(Step::Fail),
        1 => Just(Step::Again),
        1 => Just(Step::Reopen),
    ]
}

/// Steps on a disk that gets full now and then.
pub(super) fn step_on_a_disk() -> impl Strategy<Value = Step> {
    prop_oneof![10 => step(), 1 => Just(Step::Fill), 1 => Just(Step::Room)]
}
