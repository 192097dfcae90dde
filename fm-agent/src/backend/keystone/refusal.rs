//! What Keystone has refused is not offered again at once.
//!
//! Keystone locks an account after a few wrong passwords in a row (five on the platform), for all who use
//! it. So what was refused waits for a pause that grows with each refusal of the account, whoever asks and however
//! often. Another secret, or the same for another project, is offered at once.
//!
//! Invariants:
//! - One account is offered by one at a time: the next one knows what came of it.
//! - Accounts, not those who use them, are counted: all domains of the process and its configurations, one after the
//!   other, are given the same [`Refusals`].
//! - No credential is kept, only its hash under a key of this process. What is kept is bounded.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

/// The pause after the first refusal; each one more makes it so many times as long: what is put
/// right at once is seen soon, and four offers last for more than half an hour.
const SHORTEST: Duration = Duration::from_secs(5);
const GROWTH: u32 = 7;
/// The longest pause. What was not offered for so long after its pause is forgotten.
const LONGEST: Duration = Duration::from_mins(30);
/// The most accounts that are kept, those that are being offered aside; a node has one or two.
const MOST_ACCOUNTS: usize = 64;
/// The most credentials of one account that are kept.
const MOST_OFFERS: usize = 16;

/// What Keystones have refused to this process. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    keyed: RandomState,
    accounts: Mutex<HashMap<u64, Arc<Turns<Record>>>>,
}

/// The refusals of one account, since one of its credentials was taken.
#[derive(Debug, Default)]
struct Record {
    times: u32,
    again_at: Option<Instant>,
    /// What was refused, and how; the latest last.
    refused: Vec<(u64, StatusCode)>,
}

/// The turn to offer an account; others wait until it is dropped.
pub(super) struct Turn {
    keyed: RandomState,
    record: OwnedMutexGuard<Record>,
}

impl Refusals {
    /// Waits for the turn to offer this account to the Keystone at this URL.
    pub(super) async fn turn(&self, auth_url: &str, account: &str) -> Turn {
        let record = self.record(self.0.keyed.hash_one((auth_url, account)), Instant::now());
        Turn { keyed: self.0.keyed.clone(), record: record.lock_owned().await }
    }

    fn record(&self, account: u64, now: Instant) -> Arc<Turns<Record>> {
        let mut accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if !accounts.contains_key(&account) {
            // Whoever has or awaits the turn of an account keeps its record here.
            accounts
                .retain(|_, record| Arc::get_mut(record).is_none_or(|record| record.get_mut().counts(now)));
            while accounts.len() >= MOST_ACCOUNTS {
                let unused = accounts.iter_mut().filter_map(|(account, record)| {
                    Some((Arc::get_mut(record)?.get_mut().again_at, *account))
                });
                let Some((_, oldest)) = unused.min() else { break };
                accounts.remove(&oldest);
            }
        }
        Arc::clone(accounts.entry(account).or_default())
    }
}

impl Record {
    /// Whether it is to be kept.
    fn counts(&self, now: Instant) -> bool {
        self.again_at.is_some_and(|again_at| now < again_at + LONGEST)
    }
}

impl Turn {
    /// How this credential was refused, if it is not to be offered now.
    pub(super) fn standing(&self, credential: &SecretString, now: Instant) -> Option<StatusCode> {
        self.record.again_at.filter(|again_at| now < *again_at)?;
        let credential = self.hash(credential);
        self.record.refused.iter().find(|(refused, _)| *refused == credential).map(|(_, status)| *status)
    }

    /// The credential was offered and refused.
    pub(super) fn refused(&mut self, credential: &SecretString, now: Instant, status: StatusCode) {
        let credential = self.hash(credential);
        let record = &mut *self.record;
        let pause = SHORTEST.saturating_mul(GROWTH.saturating_pow(record.times)).min(LONGEST);
        record.times = record.times.saturating_add(1);
        // Not the same moment for every node: they may have the same credential.
        record.again_at = Some(now + pause.mul_f64(1.0 + fastrand::f64() / 4.0));
        record.refused.retain(|(refused, _)| *refused != credential);
        record.refused.push((credential, status));
        if record.refused.len() > MOST_OFFERS {
            record.refused.remove(0);
        }
    }

    /// A credential of the account was taken: Keystone counts anew, too.
    pub(super) fn taken(&mut self) {
        *self.record = Record::default();
    }

    fn hash(&self, credential: &SecretString) -> u64 {
        self.keyed.hash_one(credential.expose_secret())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: StatusCode = StatusCode::UNAUTHORIZED;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    /// How often these credentials of one account are offered and refused while somebody asks every second for so
    /// long.
    async fn offers(credentials: &[&str], length: Duration) -> Vec<u64> {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let mut offers = Vec::new();
        for second in 0..length.as_secs() {
            let now = start + Duration::from_secs(second);
            for credential in credentials {
                let mut turn = refusals.turn("http://k/v3", "user fm").await;
                if turn.standing(&secret(credential), now).is_none() {
                    turn.refused(&secret(credential), now, NO);
                    offers.push(second);
                }
            }
        }
        offers
    }

    #[tokio::test]
    async fn the_pauses_grow_up_to_a_bound() {
        let offers = offers(&["wrong"], Duration::from_hours(3)).await;
        let pauses: Vec<u64> = offers.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (pause, shortest) in pauses.iter().zip([5, 35, 245, 1715, 1800]) {
            assert!((shortest..=shortest * 5 / 4 + 1).contains(pause), "{pauses:?}");
        }
        assert!(pauses.iter().all(|pause| *pause <= 2251), "{pauses:?}");
        let in_half_an_hour = offers.iter().filter(|second| **second < 1800).count();
        assert!(in_half_an_hour < 5, "an account locks after five: {offers:?}");
    }

    #[tokio::test]
    async fn all_credentials_of_an_account_share_its_offers() {
        let offers = offers(&["wrong", "wrong too"], Duration::from_mins(30)).await;
        assert_eq!(offers[..2], [0, 0], "each is offered at once");
        assert!(offers.len() < 5, "an account locks after five: {offers:?}");
    }

    #[tokio::test]
    async fn what_is_taken_starts_anew_and_accounts_are_told_apart() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let (wrong, right) = (secret("wrong"), secret("right"));
        let mut turn = refusals.turn("http://k/v3", "user fm").await;
        turn.refused(&wrong, now, NO);
        assert_eq!((turn.standing(&wrong, now), turn.standing(&right, now)), (Some(NO), None));
        assert_eq!(turn.standing(&wrong, now + SHORTEST / 2), Some(NO));
        assert_eq!(turn.standing(&wrong, now + SHORTEST * 2), None);
        // Another user, another Keystone: neither waits for this turn, nor for its pause.
        for (auth_url, account) in [("http://k/v3", "user other"), ("http://k2/v3", "user fm")] {
            assert_eq!(refusals.turn(auth_url, account).await.standing(&wrong, now), None);
        }
        drop(turn);
        // A clone knows what the other one does.
        let mut turn = refusals.clone().turn("http://k/v3", "user fm").await;
        assert_eq!(turn.standing(&wrong, now), Some(NO));
        turn.taken();
        assert_eq!(turn.standing(&wrong, now), None);
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let wrong = secret("wrong");
        let kept = || refusals.0.accounts.lock().unwrap().len();
        for number in 0..MOST_ACCOUNTS * 3 {
            let mut turn = refusals.turn("http://k/v3", &format!("user {number}")).await;
            turn.refused(&wrong, now + Duration::from_millis(number as u64), NO);
        }
        assert_eq!(kept(), MOST_ACCOUNTS);
        let last = format!("user {}", MOST_ACCOUNTS * 3 - 1);
        let mut turn = refusals.turn("http://k/v3", &last).await;
        for number in 0..MOST_OFFERS * 3 {
            turn.refused(&secret(&number.to_string()), now, NO);
        }
        assert_eq!(turn.record.refused.len(), MOST_OFFERS);
        drop(turn);
        // A new account shows when what is over is forgotten.
        drop(refusals.record(1, now + LONGEST * 4));
        assert_eq!(kept(), 1);
    }
}
