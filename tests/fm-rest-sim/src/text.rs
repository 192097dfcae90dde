//! Text as the two real databases hold and compare it, and uuid text as the service accepts it.
//!
//! Pure functions. Invariant: `fold` is the identity for PostgreSQL, so keys built from it compare
//! exactly there.

use crate::config::Dialect;

/// Stands for a lone surrogate, which Rust text cannot hold. A noncharacter no caller sends.
pub(crate) const LONE_SURROGATE: char = '\u{fdd0}';
/// Characters a text column holds.
const COLUMN_CHARS: usize = 255;

/// Why a database cannot hold a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextFault {
    #[error("value too long for a column of {COLUMN_CHARS} characters")]
    TooLong,
    #[error("a NUL character cannot be stored")]
    Nul,
    #[error("a lone surrogate cannot be encoded")]
    Surrogate,
    #[error("a character of 4 bytes cannot be stored in 3-byte utf8")]
    FourBytes,
}

/// Whether a text column of `dialect` can hold `text`.
pub(crate) fn check(dialect: Dialect, text: &str) -> Result<(), TextFault> {
    if text.contains(LONE_SURROGATE) {
        return Err(TextFault::Surrogate);
    }
    match dialect {
        Dialect::PostgreSql if text.contains('\0') => return Err(TextFault::Nul),
        Dialect::MariaDb if text.chars().any(|c| c.len_utf8() == 4) => return Err(TextFault::FourBytes),
        _ => {}
    }
    if text.chars().count() > COLUMN_CHARS { Err(TextFault::TooLong) } else { Ok(()) }
}

/// The form in which `dialect` compares `text`: two texts are equal to it if their folds are.
pub(crate) fn fold(dialect: Dialect, text: &str) -> String {
    match dialect {
        Dialect::PostgreSql => text.to_owned(),
        Dialect::MariaDb => text.trim_end_matches(' ').chars().flat_map(fold_char).collect(),
    }
}

/// The form in which `dialect` looks a uuid up; the column itself ignores case where it has to.
pub(crate) fn fold_uuid(dialect: Dialect, uuid: &str) -> &str {
    match dialect {
        Dialect::PostgreSql => uuid,
        Dialect::MariaDb => uuid.trim_end_matches(' '),
    }
}

/// Case and accent away: the letters of Latin-1 and Latin Extended-A, the rest by case only.
fn fold_char(c: char) -> impl Iterator<Item = char> {
    let lower = c.to_lowercase().next().unwrap_or(c);
    let base = match lower {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' => 'd',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ĥ' => 'h',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' => 'i',
        'ĵ' => 'j',
        'ķ' => 'k',
        'ĺ' | 'ļ' | 'ľ' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò'..='ö' | 'ō' | 'ŏ' | 'ő' => 'o',
        'ŕ' | 'ŗ' | 'ř' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' => 's',
        'ţ' | 'ť' => 't',
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => 'u',
        'ŵ' => 'w',
        'ý' | 'ÿ' | 'ŷ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        other => other,
    };
    std::iter::once(base)
}

/// SQL `text LIKE '%' || wanted || '%'` with the wildcards `%` and `_` and the escape `\` live.
pub(crate) fn contains_like(dialect: Dialect, text: &str, wanted: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = match dialect {
        Dialect::PostgreSql => (text.chars().collect(), format!("%{wanted}%").chars().collect()),
        Dialect::MariaDb => (
            text.chars().flat_map(fold_char).collect(),
            format!("%{wanted}%").chars().flat_map(fold_char).collect(),
        ),
    };
    like(&text, &pattern)
}

/// Greedy matching with one point to fall back to: the last `%` seen.
fn like(text: &[char], pattern: &[char]) -> bool {
    let (mut at, mut wanted) = (0, 0);
    let mut fallback: Option<(usize, usize)> = None;
    while at < text.len() {
        let (token, width) = match pattern.get(wanted) {
            Some('\\') if wanted + 1 < pattern.len() => (Token::Literal(pattern[wanted + 1]), 2),
            Some('%') => (Token::Any, 1),
            Some('_') => (Token::One, 1),
            Some(c) => (Token::Literal(*c), 1),
            None => (Token::End, 0),
        };
        let matches = match token {
            Token::Any => {
                fallback = Some((wanted + 1, at));
                wanted += 1;
                continue;
            }
            Token::One => true,
            Token::Literal(c) => c == text[at],
            Token::End => false,
        };
        if matches {
            wanted += width;
            at += 1;
        } else if let Some((after, from)) = fallback {
            wanted = after;
            at = from + 1;
            fallback = Some((after, at));
        } else {
            return false;
        }
    }
    pattern[wanted..].iter().all(|c| *c == '%')
}

enum Token {
    Any,
    One,
    Literal(char),
    End,
}

/// Whether the service takes `text` for a uuid: braces, `urn:uuid:`, hyphens and case are free.
pub(crate) fn is_uuid_like(text: &str) -> bool {
    let plain = text.replace("urn:", "").replace("uuid:", "");
    let digits = plain.trim_matches(['{', '}']).replace('-', "");
    digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_keeps_wildcards_and_escape_alive() {
        let like = |text, wanted| contains_like(Dialect::PostgreSql, text, wanted);
        assert!(like("host=compute-10", "compute-1"));
        assert!(like("host=compute-10", "host%10"));
        assert!(like("host=compute-10", "c_mpute"));
        assert!(!like("host=compute-10", "c__mpute"));
        assert!(like("100%", "0\\%"));
        assert!(!like("1000", "0\\%"));
        assert!(like("", ""));
        assert!(!like("Host", "host"));
        assert!(contains_like(Dialect::MariaDb, "Höst", "host"));
    }

    #[test]
    fn mariadb_folds_case_accents_and_trailing_spaces_only() {
        assert_eq!(fold(Dialect::MariaDb, "HÔST=C0  "), fold(Dialect::MariaDb, "host=c0"));
        assert_ne!(fold(Dialect::MariaDb, " host"), fold(Dialect::MariaDb, "host"));
        assert_eq!(fold(Dialect::PostgreSql, "HOST "), "HOST ");
    }

    #[test]
    fn a_column_holds_255_characters_of_any_width() {
        assert_eq!(check(Dialect::MariaDb, &"é".repeat(255)), Ok(()));
        assert_eq!(check(Dialect::MariaDb, &"é".repeat(256)), Err(TextFault::TooLong));
        assert_eq!(check(Dialect::MariaDb, "😀"), Err(TextFault::FourBytes));
        assert_eq!(check(Dialect::MariaDb, "a\0"), Ok(()));
        assert_eq!(check(Dialect::PostgreSql, "a\0"), Err(TextFault::Nul));
        assert_eq!(check(Dialect::PostgreSql, "😀"), Ok(()));
    }

    #[test]
    fn uuid_text_is_taken_in_all_its_forms() {
        let uuid = "6F1A2B3C-0000-4000-8000-000000000001";
        for form in
            [uuid.to_owned(), format!("{{{uuid}}}"), format!("urn:uuid:{uuid}"), uuid.replace('-', "")]
        {
            assert!(is_uuid_like(&form), "{form}");
        }
        assert!(!is_uuid_like(""));
        assert!(!is_uuid_like("garbage"));
    }
}
