//! What Keystone has refused is not offered again at once.
//!
//! Keystone locks an account after a few wrong passwords in a row (five on the platform), for all who use
//! it. So a credential that was refused waits for a pause that grows with each refusal, whoever asks and
//! however often. A changed credential is offered at once.
//!
//! Invariant: the credential itself is not kept, only its hash under a key of this process.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// The pause after the first refusal; each one more makes it so many times as long: what is put
/// right at once is seen soon, and four offers last for more than half an hour.
const SHORTEST: Duration = Duration::from_secs(5);
const GROWTH: u32 = 7;
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(30);

/// The credential that was refused last.
#[derive(Default)]
pub(super) struct Refusals {
    keyed: RandomState,
    last: Option<Refused>,
}

struct Refused {
    credential: u64,
    times: u32,
    again_at: Instant,
    reason: String,
}

impl Refusals {
    /// Why this credential is not to be offered now, if it is not: the reason it was refused for.
    pub(super) fn standing(&self, credential: &str, now: Instant) -> Option<&str> {
        let credential = self.keyed.hash_one(credential);
        let last = self.last.as_ref().filter(|last| last.credential == credential && now < last.again_at);
        last.map(|last| last.reason.as_str())
    }

    /// The credential was refused.
    pub(super) fn add(&mut self, credential: &str, now: Instant, reason: &str) {
        let credential = self.keyed.hash_one(credential);
        let before =
            self.last.as_ref().filter(|last| last.credential == credential).map_or(0, |last| last.times);
        let pause = SHORTEST.saturating_mul(GROWTH.saturating_pow(before)).min(LONGEST);
        self.last = Some(Refused {
            credential,
            times: before.saturating_add(1),
            // Not the same moment for every node: they may have the same credential.
            again_at: now + pause.mul_f64(1.0 + fastrand::f64() / 4.0),
            reason: reason.to_owned(),
        });
    }

    /// A credential was taken.
    pub(super) fn clear(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a credential is offered and refused while somebody asks every second for so long.
    fn offers(refusals: &mut Refusals, start: Instant, length: Duration) -> Vec<u64> {
        (0..length.as_secs())
            .filter(|second| {
                let now = start + Duration::from_secs(*second);
                let offered = refusals.standing("wrong", now).is_none();
                if offered {
                    refusals.add("wrong", now, "no");
                }
                offered
            })
            .collect()
    }

    #[test]
    fn the_pauses_grow_up_to_a_bound() {
        let offers = offers(&mut Refusals::default(), Instant::now(), Duration::from_hours(3));
        let pauses: Vec<u64> = offers.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (pause, shortest) in pauses.iter().zip([5, 35, 245, 1715, 1800]) {
            assert!((shortest..=shortest * 5 / 4 + 1).contains(pause), "{pauses:?}");
        }
        assert!(pauses.iter().all(|pause| *pause <= 2251), "{pauses:?}");
        let in_half_an_hour = offers.iter().filter(|second| **second < 1800).count();
        assert!(in_half_an_hour < 5, "an account locks after five: {offers:?}");
    }

    #[test]
    fn a_changed_credential_and_a_taken_one_start_anew() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        refusals.add("wrong", now, "no");
        assert_eq!(refusals.standing("wrong", now), Some("no"));
        assert_eq!(refusals.standing("right", now), None);
        refusals.add("also wrong", now, "no again");
        assert_eq!(refusals.standing("also wrong", now + SHORTEST / 2), Some("no again"));
        assert_eq!(refusals.standing("also wrong", now + SHORTEST * 2), None);
        refusals.clear();
        assert_eq!(refusals.standing("also wrong", now), None);
    }
}
