//! The border to C: what every exported call has around it.
//!
//! Invariants: no panic goes further, `errno` is left as it was, the thread's last message says why the
//! call failed, and each failure is offered to the log.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

use fm_common::ErrorCode;

use crate::enums::EFmErrorT;
use crate::failure::{self, Failure};
use crate::library::{Library, Visit};
use crate::syslog;

/// One exported call: null checks, then the body with the library in `$library`, as a `Result`.
macro_rules! entry {
    ($call:literal, [$($pointer:ident),*], |$library:ident| $body:expr) => {
        $crate::border::guard($call, |$library| {
            $(if $pointer.is_null() {
                return Err($crate::failure::Failure::invalid(concat!(stringify!($pointer), ": is NULL")));
            })*
            $body
        })
    };
}
pub(crate) use entry;

/// What callers see of a code.
pub(crate) fn to_c(code: ErrorCode) -> EFmErrorT {
    let index = usize::try_from(code.number()).unwrap_or(usize::MAX);
    EFmErrorT::ALL.get(index).copied().unwrap_or(EFmErrorT::FM_ERR_RESOURCE_UNAVAILABLE)
}

pub(crate) fn guard(call: &'static str, body: impl FnOnce(&Library) -> Result<(), Failure>) -> EFmErrorT {
    let _errno = Errno::keep();
    let Some(visit) = Visit::begin() else {
        failure::remember("the process is exiting");
        return EFmErrorT::FM_ERR_RESOURCE_UNAVAILABLE;
    };
    // Nothing of ours is seen after a panic but what is made to be: the client passes over what a panic
    // left locked.
    let done = panic::catch_unwind(AssertUnwindSafe(|| {
        let library = visit.library();
        let done = body(library);
        if let Err(failure) = &done {
            syslog::report(library.level, call, failure);
        }
        done
    }));
    match done {
        Ok(Ok(())) => {
            failure::remember("");
            EFmErrorT::FM_ERR_OK
        }
        Ok(Err(failure)) => {
            failure::remember(&failure.message);
            to_c(failure.code)
        }
        Err(panic) => {
            failure::remember("a defect of libfmcommon: the call was given up");
            let_go(panic);
            EFmErrorT::FM_ERR_RESOURCE_UNAVAILABLE
        }
    }
}

/// Drops what a panic carried, which may panic again.
fn let_go(panic: Box<dyn Any + Send>) {
    if let Err(again) = panic::catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}

/// Sends a panic's words to the log: by default they would go to the caller's standard error.
pub(crate) fn quiet_panics() {
    panic::set_hook(Box::new(|panic| {
        let errno = Errno::keep();
        syslog::defect(&panic.to_string());
        drop(errno);
    }));
}

/// The caller's `errno`, put back when this is dropped.
struct Errno(i32);

impl Errno {
    fn keep() -> Self {
        // SAFETY: the address of this thread's errno, which is always there.
        Self(unsafe { *libc::__errno_location() })
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_here_and_errno_is_kept() {
        // SAFETY: this thread's errno.
        unsafe { *libc::__errno_location() = 33 };
        let code = guard("test", |_| panic!("a defect"));
        assert_eq!(code, EFmErrorT::FM_ERR_RESOURCE_UNAVAILABLE);
        failure::with_last(|text| assert!(text.starts_with("a defect of libfmcommon"), "{text}"));
        assert_eq!(Errno::keep().0, 33);
        assert_eq!(guard("test", |_| Ok(())), EFmErrorT::FM_ERR_OK);
        failure::with_last(|text| assert_eq!(text, ""));
    }

    #[test]
    fn every_code_has_its_number() {
        for code in ErrorCode::ALL {
            assert_eq!(to_c(*code) as u32, code.number());
        }
    }

    #[test]
    fn null_is_refused_by_name() {
        let filter: *const u8 = std::ptr::null();
        assert_eq!(entry!("test", [filter], |_library| Ok(())), EFmErrorT::FM_ERR_INVALID_PARAMETER);
        failure::with_last(|text| assert_eq!(text, "filter: is NULL"));
    }
}
