//! Texts of C: read up to their NUL, written cut at a character's border.
//!
//! Invariant: nothing after a text's NUL is read, nothing past a field's end is read or written.

use std::borrow::Cow;
use std::ffi::c_char;

use crate::abi::FM_MAX_BUFFER_LENGTH;
use crate::failure::Failure;

/// A field of a caller's struct.
pub(crate) type Field = [c_char; FM_MAX_BUFFER_LENGTH];

/// The bytes of a field before its NUL.
///
/// # Safety
/// Readable memory up to the first NUL, or for the length of the field.
unsafe fn bytes(name: &str, field: *const Field) -> Result<Vec<u8>, Failure> {
    let field = field.cast::<c_char>();
    // SAFETY: reads up to the first NUL and no further than the field.
    let length = unsafe { libc::strnlen(field, FM_MAX_BUFFER_LENGTH) };
    if length == FM_MAX_BUFFER_LENGTH {
        return Err(Failure::invalid(format!("{name}: no NUL within its {FM_MAX_BUFFER_LENGTH} bytes")));
    }
    // SAFETY: strnlen has read as many bytes.
    Ok(unsafe { std::slice::from_raw_parts(field.cast::<u8>(), length) }.to_vec())
}

/// A text that identifies something: not valid UTF-8 is refused, as it would name something else.
///
/// # Safety
/// As for [`bytes`].
pub(crate) unsafe fn name(name: &str, field: *const Field) -> Result<String, Failure> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(name, field) }?;
    String::from_utf8(bytes).map_err(|error| Failure::invalid(format!("{name}: {}", error.utf8_error())))
}

/// A text for people: a character that was cut at the end is left away, and other bytes that are no UTF-8
/// are shown as U+FFFD; a bad byte must not lose an alarm.
///
/// # Safety
/// As for [`bytes`].
pub(crate) unsafe fn words(name: &str, field: *const Field) -> Result<String, Failure> {
    // SAFETY: the caller's promise.
    let mut bytes = unsafe { bytes(name, field) }?;
    if let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
    Ok(match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(_) => String::from_utf8(bytes).unwrap_or_default(),
        Cow::Owned(text) => text,
    })
}

/// As much of a text as `room` bytes hold, cut at a character's border.
pub(crate) fn cut(text: &str, room: usize) -> &str {
    &text[..text.floor_char_boundary(room)]
}

/// A text as a field: cut where it must be, the rest zero. A NUL within it ends it.
pub(crate) fn field(text: &str) -> Field {
    let text = text.split('\0').next().unwrap_or_default();
    let mut field = [0; FM_MAX_BUFFER_LENGTH];
    for (to, from) in field.iter_mut().zip(cut(text, FM_MAX_BUFFER_LENGTH - 1).bytes()) {
        *to = from.cast_signed();
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use fm_common::ErrorCode;

    fn raw(bytes: &[u8]) -> Field {
        let mut field = [0x7f; FM_MAX_BUFFER_LENGTH];
        for (to, from) in field.iter_mut().zip(bytes) {
            *to = from.cast_signed();
        }
        field
    }

    fn read_name(field: &Field) -> Result<String, Failure> {
        // SAFETY: a whole field.
        unsafe { name("f", field) }
    }

    fn read_words(bytes: &[u8]) -> String {
        // SAFETY: a whole field.
        unsafe { words("f", &raw(bytes)) }.unwrap()
    }

    #[test]
    fn there_and_back() {
        for text in ["", "host=compute-1", "ä\u{1F525}#'%"] {
            assert_eq!(read_name(&field(text)).unwrap(), text);
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        for (text, kept) in [("x".repeat(300), 254), (format!("{}ä", "x".repeat(253)), 253)] {
            let cut = read_name(&field(&text)).unwrap();
            assert_eq!(cut.len(), kept);
            assert!(text.starts_with(&cut));
        }
        assert_eq!(read_name(&field("be\0fore")).unwrap(), "be");
    }

    #[test]
    fn no_end_is_refused_by_the_fields_name() {
        let failure = read_name(&raw(&[])).unwrap_err();
        assert_eq!(failure.code, ErrorCode::InvalidParameter);
        assert!(failure.message.starts_with("f: no NUL"), "{}", failure.message);
    }

    #[test]
    fn bad_bytes_are_refused_in_names_and_shown_in_words() {
        assert!(read_name(&raw(b"host=\xff\0")).unwrap_err().message.starts_with("f: invalid utf-8"));
        assert_eq!(read_words(b"disk \xff full\0"), "disk \u{fffd} full");
        assert_eq!(read_words(b"cut: \xc3\0"), "cut: ");
    }
}
