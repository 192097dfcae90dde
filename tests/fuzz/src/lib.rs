//! What the fuzz targets share: inputs cut into parts, memory measured, texts compared.
//!
//! Invariants: the same input does the same in every run; a law that does not hold panics and says which.
//! Nothing here knows the product: what is true of it is said in the targets.

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Runs `read` and returns what it gives.
///
/// # Panics
/// It took more than `most` bytes of memory at once.
pub fn within<T>(most: usize, read: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let value = read();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= most, "{taken} bytes of memory were taken, {most} are enough");
    value
}

/// Takes what is before the first `mark`, or all that is left.
pub fn part<'a>(rest: &mut &'a [u8], mark: &[u8]) -> &'a [u8] {
    let input = *rest;
    let end = input.windows(mark.len()).position(|window| window == mark);
    *rest = end.map_or(&[], |at| &input[at + mark.len()..]);
    &input[..end.unwrap_or(input.len())]
}

/// An error in words.
///
/// # Panics
/// It has none.
pub fn said(error: &impl ToString) -> String {
    let words = error.to_string();
    assert!(!words.trim().is_empty(), "an error without words");
    words
}

/// Whether a SQL `LIKE '%pattern%'` without an escape character finds something in the text.
pub fn like_contains(text: &str, pattern: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    // Which beginnings of the pattern end here: as in the text so far, `%` matches anything before it too.
    let mut ends = vec![false; pattern.len() + 1];
    ends[0] = true;
    let skip = |ends: &mut Vec<bool>| {
        for at in 0..pattern.len() {
            ends[at + 1] |= ends[at] && pattern[at] == '%';
        }
    };
    skip(&mut ends);
    for c in text.chars() {
        if ends[pattern.len()] {
            return true;
        }
        let mut next = vec![false; pattern.len() + 1];
        next[0] = true;
        for (at, wanted) in pattern.iter().enumerate() {
            next[at + 1] |= ends[at] && (*wanted == '_' || *wanted == c);
            next[at + 1] |= ends[at + 1] && *wanted == '%';
        }
        skip(&mut next);
        ends = next;
    }
    ends[pattern.len()]
}
