//! The text of `dplx_last_error`: the reason why the last call of a thread failed.
//!
//! A call that succeeds leaves an empty text. A call that fails leaves the errors that it logged or, without any, the
//! meaning of its status; so the text never belongs to an earlier call. It lies in thread-local memory: to note it
//! neither allocates nor locks.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::c_char;

/// Size of the text in bytes. Longer texts are cut off.
const CAPACITY: usize = 1024;

struct Text {
    bytes: [Cell<u8>; CAPACITY],
    /// Length in bytes, without the NUL at the end.
    length: Cell<usize>,
    /// True if the call that left the text has returned.
    is_old: Cell<bool>,
}

thread_local! {
    static TEXT: Text = const {
        Text { bytes: [const { Cell::new(0) }; CAPACITY], length: Cell::new(0), is_old: Cell::new(true) }
    };
}

/// Result of a call, as far as its return value says.
pub enum CallResult {
    /// The call succeeded.
    Success,
    /// The call failed; this is the meaning of the value.
    Failure(&'static str),
    /// The value does not say.
    Unknown,
}

/// A type that exported functions return.
pub trait Outcome {
    /// Returns the result that the value means.
    fn result(&self) -> CallResult;
}

/// True once any thread has noted a text. Before that a call need not look at its thread-local memory.
static EVER_NOTED: AtomicBool = AtomicBool::new(false);

/// Runs the body of an exported function, and updates the text by its result.
#[inline]
pub fn of_call<T: Outcome>(body: impl FnOnce() -> T) -> T {
    let outcome = body();
    let result = outcome.result();
    if EVER_NOTED.load(Ordering::Relaxed) || matches!(result, CallResult::Failure(_)) {
        TEXT.with(|text| text.end_call(result));
    }
    outcome
}

/// Runs the body of an exported function that does not end the text of a call, or that of a call within which it is
/// called: the log function of the program may be one of this library.
pub fn aside<T>(body: impl FnOnce() -> T) -> T {
    let was_old = TEXT.with(|text| text.is_old.get());
    let outcome = body();
    if was_old {
        TEXT.with(|text| text.is_old.set(true));
    }
    outcome
}

/// Runs a function of the program within a call. The calls of this library that it makes have a text of their own
/// meanwhile, and the call's comes back.
pub fn within_call<T>(function: impl FnOnce() -> T) -> T {
    let before = TEXT.with(Text::take);
    let outcome = function();
    TEXT.with(|text| text.put_back(&before));
    outcome
}

/// Adds a reason for the failure of the current call.
pub fn note(reason: fmt::Arguments<'_>) {
    TEXT.with(|text| text.note(reason));
}

/// Returns the text of the calling thread. Its address stays the same, and each call changes it.
pub fn as_ptr() -> *const c_char {
    TEXT.with(|text| text.bytes.as_ptr().cast())
}

/// The text of a call that is under way, kept while a function of the program runs.
struct Kept {
    bytes: [u8; CAPACITY],
    length: usize,
    is_old: bool,
}

impl Text {
    /// Keeps the text for [`Text::put_back`]. Until then it counts as that of an earlier call.
    fn take(&self) -> Kept {
        let mut kept = Kept { bytes: [0; CAPACITY], length: self.length.get(), is_old: self.is_old.get() };
        for (to, from) in kept.bytes.iter_mut().zip(&self.bytes[..kept.length]) {
            *to = from.get();
        }
        self.is_old.set(true);
        kept
    }

    fn put_back(&self, kept: &Kept) {
        for (to, from) in self.bytes.iter().zip(&kept.bytes[..=kept.length]) {
            to.set(*from);
        }
        self.length.set(kept.length);
        self.is_old.set(kept.is_old);
    }

    fn end_call(&self, result: CallResult) {
        match result {
            CallResult::Success => self.clear(),
            CallResult::Failure(meaning) if self.is_old.get() => self.note(format_args!("{meaning}")),
            CallResult::Failure(_) | CallResult::Unknown => {}
        }
        self.is_old.set(true);
    }

    #[inline]
    fn clear(&self) {
        self.length.set(0);
        self.bytes[0].set(0);
    }

    #[cold]
    fn note(&self, reason: fmt::Arguments<'_>) {
        EVER_NOTED.store(true, Ordering::Relaxed);
        if self.is_old.get() {
            self.clear();
            self.is_old.set(false);
        } else {
            self.append("; ");
        }
        // It fails only if the reason's own `Display` does.
        let _ = Appender(self).write_fmt(reason);
    }

    fn append(&self, more: &str) {
        let start = self.length.get();
        let room = CAPACITY - 1 - start;
        let length = (0..=room.min(more.len())).rev().find(|&length| more.is_char_boundary(length));
        let end = start + length.unwrap_or(0);
        for (place, byte) in self.bytes[start..end].iter().zip(more.bytes()) {
            // A reason may quote a name from a profile, with any bytes in it.
            place.set(if byte == 0 { b' ' } else { byte });
        }
        self.bytes[end].set(0);
        self.length.set(end);
    }
}

struct Appender<'a>(&'a Text);

impl Write for Appender<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.0.append(more);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Outcome for Result<(), &'static str> {
        fn result(&self) -> CallResult {
            match self {
                Ok(()) => CallResult::Success,
                Err(meaning) => CallResult::Failure(meaning),
            }
        }
    }

    fn text() -> String {
        TEXT.with(|text| {
            let bytes = text.bytes.iter().map(Cell::get).take_while(|byte| *byte != 0);
            String::from_utf8(bytes.collect()).expect("whole characters")
        })
    }

    fn fail(reasons: &[&str]) {
        let _ = of_call(|| {
            reasons.iter().for_each(|reason| note(format_args!("{reason}")));
            Err("failure")
        });
    }

    #[test]
    fn reasons_are_joined_and_replaced_by_the_next_call() {
        fail(&["a: refused", "b: timed out"]);
        assert_eq!(text(), "a: refused; b: timed out");
        fail(&["c"]);
        assert_eq!(text(), "c");
    }

    #[test]
    fn a_failure_without_a_reason_replaces_an_earlier_one() {
        fail(&["a: refused"]);
        fail(&[]);
        assert_eq!(text(), "failure");
    }

    #[test]
    fn a_call_aside_ends_no_text_of_another() {
        let _ = of_call(|| {
            note(format_args!("a"));
            aside(|| ());
            note(format_args!("b"));
            Err("failure")
        });
        assert_eq!(text(), "a; b");
        aside(|| note(format_args!("c")));
        fail(&["d"]);
        assert_eq!(text(), "d", "nor is it added to a later one");
    }

    #[test]
    fn calls_of_a_log_function_have_a_text_of_their_own() {
        let _ = of_call(|| {
            note(format_args!("a"));
            within_call(|| {
                fail(&["inner"]);
                assert_eq!(text(), "inner");
                fail(&["other", "reasons"]);
                let _ = of_call(|| Ok(()));
                assert_eq!(text(), "");
            });
            note(format_args!("b"));
            Err("failure")
        });
        assert_eq!(text(), "a; b");
        within_call(|| fail(&["c"]));
        fail(&["d"]);
        assert_eq!(text(), "d");
    }

    #[test]
    fn success_leaves_no_text() {
        fail(&["a"]);
        let _ = of_call(|| {
            note(format_args!("the first host: refused"));
            Ok(())
        });
        assert_eq!(text(), "");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        fail(&["ä".repeat(CAPACITY).as_str()]);
        assert_eq!(text(), "ä".repeat((CAPACITY - 1) / 2));
    }

    #[test]
    fn a_nul_does_not_end_the_text() {
        fail(&["a\0b"]);
        assert_eq!(text(), "a b");
    }
}
