//! The calling thread's queue of OpenSSL errors, which belongs to the program.
//!
//! SSL_get_error(3) reads the queue, so an operation must begin with an empty one; the step of a handshake even
//! empties it. The program's errors are therefore put aside meanwhile, with the marks on them (ERR_set_mark(3)).

use std::ffi::c_ulong;

use openssl::error::ErrorStack;
use openssl_sys::ERR_clear_error;

unsafe extern "C" {
    fn ERR_peek_error() -> c_ulong;
}

/// Runs a TLS operation with an empty error queue. Afterwards the thread's queue is as before: it has the program's
/// errors and marks, and none of the operation.
#[inline]
pub fn with_own_errors<R>(operation: impl FnOnce() -> R) -> R {
    struct Cleared;
    impl Drop for Cleared {
        fn drop(&mut self) {
            if is_any_error() {
                // SAFETY: no argument; empties the queue of this thread.
                unsafe { ERR_clear_error() };
            }
        }
    }
    if is_any_error() {
        return with_errors_aside(operation);
    }
    let _cleared = Cleared;
    operation()
}

/// Not inlined: the queue is seldom not empty, and its copy takes a kilobyte of the stack.
#[cold]
#[inline(never)]
fn with_errors_aside<R>(operation: impl FnOnce() -> R) -> R {
    let _aside = aside::Errors::take();
    operation()
}

fn is_any_error() -> bool {
    // SAFETY: no argument; only reads the queue of this thread.
    unsafe { ERR_peek_error() != 0 }
}

/// Takes the errors of the last operation from the queue.
pub fn take_errors() -> ErrorStack {
    ErrorStack::get()
}

/// Leaves an error of libssl with this reason in the queue.
#[cfg(all(test, openssl3))]
fn fail_with(reason: i32) {
    /// `ERR_LIB_SSL`.
    const LIBRARY: i32 = 20;
    // SAFETY: they add an error to the queue of this thread. NULL is no text.
    unsafe {
        openssl_sys::ERR_new();
        openssl_sys::ERR_set_error(LIBRARY, reason, std::ptr::null());
    }
}

/// Returns the errors of an operation that has failed for this reason.
#[cfg(all(test, openssl3))]
pub fn errors_with(reason: i32) -> ErrorStack {
    take_errors();
    fail_with(reason);
    take_errors()
}

#[cfg(openssl3)]
mod aside {
    use std::ffi::{c_char, c_int, c_ulong};
    use std::{mem, ptr};

    use openssl_sys::CRYPTO_free;

    /// The size of a queue (`ERR_NUM_ERRORS`). One place stays free.
    const ERRORS: usize = 16;

    /// `ERR_TXT_MALLOCED`: the queue owns the text.
    const OWN_TEXT: c_int = 1;

    /// A thread's queue: `struct err_state_st` of <openssl/err.h>, which is the same in all versions of OpenSSL 3.
    /// OpenSSL has no function that reads or restores the marks.
    #[repr(C)]
    pub struct Queue {
        flags: [c_int; ERRORS],
        marks: [c_int; ERRORS],
        codes: [c_ulong; ERRORS],
        texts: [*mut c_char; ERRORS],
        text_sizes: [usize; ERRORS],
        text_flags: [c_int; ERRORS],
        files: [*mut c_char; ERRORS],
        lines: [c_int; ERRORS],
        functions: [*mut c_char; ERRORS],
        top: c_int,
        bottom: c_int,
    }

    unsafe extern "C" {
        fn ERR_get_state() -> *mut Queue;
    }

    impl Queue {
        const EMPTY: Queue = Queue {
            flags: [0; ERRORS],
            marks: [0; ERRORS],
            codes: [0; ERRORS],
            texts: [ptr::null_mut(); ERRORS],
            text_sizes: [0; ERRORS],
            text_flags: [0; ERRORS],
            files: [ptr::null_mut(); ERRORS],
            lines: [0; ERRORS],
            functions: [ptr::null_mut(); ERRORS],
            top: 0,
            bottom: 0,
        };
    }

    impl Drop for Queue {
        fn drop(&mut self) {
            let own = |at: &usize| self.text_flags[*at] & OWN_TEXT != 0;
            let texts = (0..ERRORS).filter(own).map(|at| self.texts[at]);
            for memory in texts.chain(self.files).chain(self.functions) {
                // SAFETY: NULL, or memory of OpenSSL's allocator that this queue owns.
                unsafe { CRYPTO_free(memory.cast(), c"".as_ptr(), 0) };
            }
        }
    }

    /// The program's errors, put back when this is dropped.
    pub struct Errors(Queue);

    impl Errors {
        pub fn take() -> Errors {
            Errors(exchange(Queue::EMPTY))
        }
    }

    impl Drop for Errors {
        fn drop(&mut self) {
            drop(exchange(mem::replace(&mut self.0, Queue::EMPTY)));
        }
    }

    /// Replaces the thread's queue, and returns the old one.
    fn exchange(other: Queue) -> Queue {
        // SAFETY: NULL, or the queue of this thread. Only functions of OpenSSL access it otherwise, and none runs
        // now.
        match unsafe { ERR_get_state().as_mut() } {
            Some(own) => mem::replace(own, other),
            None => other,
        }
    }
}

#[cfg(not(openssl3))]
mod aside {
    use openssl::error::ErrorStack;

    /// The program's errors, put back when this is dropped. Marks are lost.
    pub struct Errors(ErrorStack);

    impl Errors {
        pub fn take() -> Errors {
            Errors(ErrorStack::get())
        }
    }

    impl Drop for Errors {
        fn drop(&mut self) {
            drop(ErrorStack::get());
            self.0.put();
        }
    }
}

#[cfg(all(test, openssl3))]
mod tests {
    use std::ffi::c_int;

    use super::*;

    unsafe extern "C" {
        fn ERR_set_mark() -> c_int;
        fn ERR_pop_to_mark() -> c_int;
    }

    /// Leaves an error in the queue.
    fn fail() {
        fail_with(7);
    }

    fn count() -> usize {
        let errors = take_errors();
        errors.put();
        errors.errors().len()
    }

    #[test]
    fn an_operation_has_an_empty_queue_and_leaves_no_error() {
        take_errors();
        for before in 0..3 {
            let found = with_own_errors(|| {
                let found = is_any_error();
                fail();
                found
            });
            assert!(!found && count() == before);
            fail();
        }
        take_errors();
    }

    #[test]
    fn marks_survive() {
        take_errors();
        // SAFETY: no arguments; they access the queue of this thread.
        let (mark, pop) = unsafe { (|| ERR_set_mark(), || ERR_pop_to_mark()) };
        fail();
        assert_eq!(mark(), 1);
        fail();
        assert_eq!((mark(), mark()), (1, 1));
        fail();
        with_own_errors(fail);
        assert_eq!((pop(), pop()), (1, 1), "two marks on the second");
        assert!(is_any_error());
        assert_eq!(pop(), 1, "one on the first");
        assert!(is_any_error());
        assert_eq!(pop(), 0, "and no more");
        assert!(!is_any_error());
    }
}
