//! Why a thread's last call failed, as text that C may read.
//!
//! A call that ends well leaves no text, one that fails always does: what it logged as errors, or else the
//! meaning of what it returned. So nobody reads of an earlier call's failure. The text lies in memory of the
//! thread's own: noting it can neither fail nor wait.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::c_char;

/// What does not fit is cut off.
const CAPACITY: usize = 1024;

struct Text {
    bytes: [Cell<u8>; CAPACITY],
    /// The NUL at the end not counted.
    length: Cell<usize>,
    /// Whether it is that of a call that has ended.
    is_old: Cell<bool>,
}

thread_local! {
    static TEXT: Text = const {
        Text { bytes: [const { Cell::new(0) }; CAPACITY], length: Cell::new(0), is_old: Cell::new(true) }
    };
}

/// What a call ended with, as far as its return value tells.
pub enum Verdict {
    /// It did what it was asked for.
    Success,
    /// It failed; this is the meaning of the value.
    Failure(&'static str),
    /// The value says nothing about that.
    Unknown,
}

/// A type that exported functions return.
pub trait Outcome {
    /// What the value tells.
    fn verdict(&self) -> Verdict;
}

/// Whether a text was ever noted: before that there is none to see to, and no memory of a thread's to look up.
static EVER_NOTED: AtomicBool = AtomicBool::new(false);

/// Runs the body of an exported function, and sees to the text that it leaves.
#[inline]
pub fn of_call<T: Outcome>(body: impl FnOnce() -> T) -> T {
    let outcome = body();
    let verdict = outcome.verdict();
    if EVER_NOTED.load(Ordering::Relaxed) || matches!(verdict, Verdict::Failure(_)) {
        TEXT.with(|text| text.end_call(verdict));
    }
    outcome
}

/// Adds a reason for the current call's failure.
pub fn note(reason: fmt::Arguments<'_>) {
    TEXT.with(|text| text.note(reason));
}

/// The reason for the current call's failure, unless there is one already.
pub fn note_if_none(reason: &str) {
    TEXT.with(|text| {
        if text.is_old.get() {
            text.note(format_args!("{reason}"));
        }
    });
}

/// The text, which stays where it is and changes with the thread's calls.
pub fn as_ptr() -> *const c_char {
    TEXT.with(|text| text.bytes.as_ptr().cast())
}

impl Text {
    fn end_call(&self, verdict: Verdict) {
        match verdict {
            Verdict::Success => self.clear(),
            Verdict::Failure(meaning) if self.is_old.get() => self.note(format_args!("{meaning}")),
            Verdict::Failure(_) | Verdict::Unknown => {}
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
        // It fails only if a Display does.
        let _ = Appender(self).write_fmt(reason);
    }

    fn append(&self, more: &str) {
        let start = self.length.get();
        let end = start + more.floor_char_boundary(CAPACITY - 1 - start);
        for (place, byte) in self.bytes[start..end].iter().zip(more.bytes()) {
            // A name from a profile may hold anything.
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
        fn verdict(&self) -> Verdict {
            match self {
                Ok(()) => Verdict::Success,
                Err(meaning) => Verdict::Failure(meaning),
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
    fn a_failure_without_a_reason_is_not_taken_for_an_earlier_one() {
        fail(&["a: refused"]);
        fail(&[]);
        assert_eq!(text(), "failure");
    }

    #[test]
    fn success_leaves_no_text_whatever_was_noted() {
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
