//! Where messages go: the layers below the boundary speak to a [`Journal`], the boundary decides who listens.
#![forbid(unsafe_code)]

use std::fmt;

/// How serious a message is, as in `dpl_log_level_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    /// Something is odd; the call goes on.
    Warning = 2,
    /// An attempt or a call failed.
    Error = 3,
}

/// Where in the source a message was written.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The source file.
    pub file: &'static str,
    /// Its line, counted from 1.
    pub line: u32,
}

/// A receiver of messages. Implementations do not fail and are called with no lock held.
pub trait Journal {
    /// A message for the program's log function.
    fn log(&self, level: Level, place: Place, message: fmt::Arguments<'_>);

    /// A message for the trace of connections (`DPL_TRACE_CONN`), dropped unless that is switched on.
    fn trace(&self, place: Place, message: fmt::Arguments<'_>);
}

/// Logs to a journal: `log!(journal, Error, "connect to {address}: {error}")`.
#[macro_export]
macro_rules! log {
    ($journal:expr, $level:ident, $($message:tt)+) => {
        $crate::log::Journal::log(
            $journal,
            $crate::log::Level::$level,
            $crate::log::Place { file: file!(), line: line!() },
            format_args!($($message)+),
        )
    };
}

/// Traces to a journal: `trace!(journal, "opened {address}")`.
#[macro_export]
macro_rules! trace {
    ($journal:expr, $($message:tt)+) => {
        $crate::log::Journal::trace(
            $journal,
            $crate::log::Place { file: file!(), line: line!() },
            format_args!($($message)+),
        )
    };
}
