//! Until when a certificate is good.
//!
//! It reads as much of X.509 as leads to the two times, and trusts nothing: whether a certificate is to be
//! believed is decided where it is used.

use std::fs;
use std::path::Path;

use fm_common::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::finding::Findings;

/// Days before its end from which a certificate is worth a look.
const DAYS: i64 = 30;
const DAY_MICROS: i64 = 86_400_000_000;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Tells until when a certificate (DER) is good.
pub(super) fn tell(check: &'static str, looked_at: &str, der: &[u8], findings: &mut Findings) {
    let Some(end) = end(der) else {
        return findings.skip(check, looked_at, "its end cannot be read off it");
    };
    let left = end.as_micros().saturating_sub(Timestamp::now().as_micros());
    let days = left / DAY_MICROS;
    let advice = "Have it renewed; the agent takes changed files without a restart.";
    if left < 0 {
        findings.fail(check, looked_at, &format!("has ended on {end}"), advice);
    } else if days < DAYS {
        findings.warn(check, looked_at, &format!("ends in {days} days, on {end}"), advice);
    } else {
        findings.ok(check, looked_at, &format!("is good until {end}"));
    }
}

/// How many certificates of a file must be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// One will do: they are authorities.
    One,
    /// All: they are a chain.
    All,
}

/// Tells of the certificates in a PEM file.
pub(super) fn tell_file(check: &'static str, path: &Path, need: Need, findings: &mut Findings) {
    let shown = path.display().to_string();
    let pem = match fs::read(path) {
        Ok(pem) => pem,
        Err(error) => {
            let advice = "Put it there, readable for the agent, or correct the configuration.";
            return findings.fail(check, &shown, &format!("cannot be read: {error}"), advice);
        }
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).flatten().collect();
    if certificates.is_empty() {
        let advice = "It must have a certificate in PEM form (BEGIN CERTIFICATE).";
        return findings.fail(check, &shown, "holds no certificate", advice);
    }
    let mut ends: Vec<(Timestamp, &CertificateDer<'_>)> =
        certificates.iter().filter_map(|der| Some((end(der)?, der))).collect();
    ends.sort_by_key(|(end, _)| *end);
    let now = Timestamp::now();
    match (ends.first(), ends.last()) {
        // A bundle of authorities keeps those that have ended.
        (Some((first, _)), Some((last, _))) if *first < now && *last >= now && need == Need::One => {
            let found = format!("one of {} certificates has ended on {first}", ends.len());
            findings.warn(check, &shown, &found, "Take it out, if it is the one that signed the server's.");
        }
        (Some((_, der)), _) => tell(check, &shown, der, findings),
        (None, _) => findings.skip(check, &shown, "its end cannot be read off it"),
    }
}

/// The end of a certificate's time.
fn end(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(der)?;
    let (_, mut fields, _) = element(certificate)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (tag, validity, _) = element(fields)?;
    if tag != SEQUENCE {
        return None;
    }
    let (_, _, after_begin) = element(validity)?;
    let (tag, time, _) = element(after_begin)?;
    self::time(tag, std::str::from_utf8(time).ok()?)
}

/// The first element: its tag, what it holds, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length = digits
            .iter()
            .try_fold(0_usize, |length, digit| length.checked_mul(256)?.checked_add(usize::from(*digit)))?;
        (length, rest)
    };
    let (held, rest) = rest.split_at_checked(length)?;
    Some((tag, held, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    let digits = match tag {
        // As RFC 5280 has it: 50 to 99 are of the last century.
        UTC_TIME if digits.get(..2)? >= "50" => format!("19{digits}"),
        UTC_TIME => format!("20{digits}"),
        GENERALIZED_TIME => digits.to_owned(),
        _ => return None,
    };
    let part = |from, to| digits.get(from..to);
    let text = format!(
        "{}-{}-{} {}:{}:{}",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );
    Timestamp::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn both_forms_of_time_are_read() {
        let parsed = |text| Timestamp::parse(text).ok();
        assert_eq!(time(UTC_TIME, "261122100000Z"), parsed("2026-11-22 10:00:00"));
        assert_eq!(time(UTC_TIME, "991231235959Z"), parsed("1999-12-31 23:59:59"));
        assert_eq!(time(GENERALIZED_TIME, "20510101000000Z"), parsed("2051-01-01 00:00:00"));
        assert_eq!(time(GENERALIZED_TIME, "2051"), None);
        assert_eq!(time(SEQUENCE, "20510101000000Z"), None);
    }

    #[test]
    fn of_authorities_one_that_is_good_will_do_and_of_a_chain_none_may_have_ended() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let made = |year| {
            let mut parameters = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
            parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
        };
        fs::write(file.path(), made(2020) + &made(2999)).unwrap();
        let mut findings = Findings::default();
        tell_file("ca-certificate", file.path(), Need::One, &mut findings);
        tell_file("client-certificate", file.path(), Need::All, &mut findings);
        fs::write(file.path(), "no certificate").unwrap();
        tell_file("ca-certificate", file.path(), Need::One, &mut findings);
        let levels: Vec<Level> = findings.all().iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Warn, Level::Fail, Level::Fail], "{findings:?}");
    }

    #[test]
    fn the_end_is_read_off_a_real_certificate_and_garbage_has_none() {
        let day = rcgen::date_time_ymd(2031, 7, 8);
        let mut parameters = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        parameters.not_after = day;
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let der = certificate.der();
        assert_eq!(end(der), Timestamp::parse("2031-07-08 00:00:00").ok());
        for length in 0..der.len() {
            // A part of it has its end or none, and never a panic.
            let _ = end(&der[..length]);
        }
        assert_eq!(end(&[0x30, 0xff]), None);
        assert_eq!(end(b"no certificate"), None);
    }
}
