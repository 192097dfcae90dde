//! SQL's LIKE as the manager's database has it: `%` is any text, `_` any character, and a backslash takes
//! the meaning from what follows.

/// Whether the text matches the pattern.
pub fn like(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    matches(&pattern, &text)
}

fn matches(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        (['%', rest @ ..], text) => (0..=text.len()).any(|taken| matches(rest, &text[taken..])),
        (['_', rest @ ..], [_, text @ ..]) => matches(rest, text),
        (['\\', literal, rest @ ..] | [literal, rest @ ..], [first, text @ ..]) => {
            literal == first && matches(rest, text)
        }
        (_, []) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn as_the_database_matches() {
        for (pattern, text, matched) in [
            ("host=c1%", "host=c1", true),
            ("host=c1%", "host=c10", true),
            ("host=c1%", "host=c2", false),
            ("site_1%", "siteA1.x", true),
            ("a%b%", "a--b--", true),
            ("a%b%", "ab", true),
            ("a%b%", "ac", false),
            (r"a\b%", "ab", true),
            (r"a\b%", r"a\b", false),
            (r"a\%", "a%", true),
            (r"a\%", "ab", false),
            ("%", "", true),
        ] {
            assert_eq!(like(pattern, text), matched, "{pattern} {text}");
        }
    }
}
