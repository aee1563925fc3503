//! Messages for the log. Code of this crate writes them with the macros `log!` and `trace!` to a [`Log`], which its caller
//! passes in; the caller decides where they go. There is no global log.
//!
//! | message | macro | goes to |
//! | --- | --- | --- |
//! | an attempt or a call failed | `log!(log, Error, ...)` | the log callback |
//! | something is unexpected, the call goes on | `log!(log, Warning, ...)` | the log callback |
//! | a host is blacklisted, or is not to blame | `trace!(log, ...)` | the trace, if it is switched on |
#![forbid(unsafe_code)]

use std::fmt;

/// Level of a message, with its number in `dpl_log_level_t`. Two levels are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    /// Something is unexpected, and the call goes on.
    Warning = 2,
    /// An attempt or a call failed.
    Error = 3,
}

/// Place in the source of the call that writes a message.
#[derive(Clone, Copy, Debug)]
pub struct Location {
    /// Source file.
    pub file: &'static str,
    /// Line, counted from 1.
    pub line: u32,
}

impl Location {
    /// Returns the place of the call, or, within a function with `#[track_caller]`, the place of the call to that.
    #[track_caller]
    pub fn here() -> Location {
        let caller = std::panic::Location::caller();
        Location { file: caller.file(), line: caller.line() }
    }
}

/// A receiver of messages. It does not fail, and is called while no lock is held.
pub trait Log {
    /// Takes a message for the log callback.
    fn log(&self, level: Level, location: Location, message: fmt::Arguments<'_>);

    /// Takes a reason for the failure of this call that is not logged, because the log has it already.
    fn note(&self, reason: fmt::Arguments<'_>);

    /// Takes a message for the trace of connections (`DPL_TRACE_CONN`). It is dropped unless the trace is switched on.
    fn trace(&self, location: Location, message: fmt::Arguments<'_>);
}

/// A log that nobody reads.
pub struct Unread;

impl Log for Unread {
    fn log(&self, _: Level, _: Location, _: fmt::Arguments<'_>) {}
    fn note(&self, _: fmt::Arguments<'_>) {}
    fn trace(&self, _: Location, _: fmt::Arguments<'_>) {}
}

/// Writes a message to a [`Log`]: `log!(log, Error, "connect to {address}: {error}")`.
#[macro_export]
macro_rules! log {
    ($log:expr, $level:ident, $($message:tt)+) => {
        $crate::log::Log::log(
            $log,
            $crate::log::Level::$level,
            $crate::log::Location::here(),
            format_args!($($message)+),
        )
    };
}

/// Writes a message to the trace of a [`Log`]: `trace!(log, "{name} is blacklisted")`.
#[macro_export]
macro_rules! trace {
    ($log:expr, $($message:tt)+) => {
        $crate::log::Log::trace(
            $log,
            $crate::log::Location::here(),
            format_args!($($message)+),
        )
    };
}
