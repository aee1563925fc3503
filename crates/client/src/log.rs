//! Where messages go: the layers below the boundary speak to a [`Log`], the boundary decides who listens.
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
pub struct Location {
    /// The source file.
    pub file: &'static str,
    /// Its line, counted from 1.
    pub line: u32,
}

/// A receiver of messages. Implementations do not fail and are called with no lock held.
pub trait Log {
    /// A message for the program's log function.
    fn log(&self, level: Level, location: Location, message: fmt::Arguments<'_>);

    /// A message for the trace of connections (`DPL_TRACE_CONN`), dropped unless that is switched on.
    fn trace(&self, location: Location, message: fmt::Arguments<'_>);
}

/// Logs to a log: `log!(log, Error, "connect to {address}: {error}")`.
#[macro_export]
macro_rules! log {
    ($log:expr, $level:ident, $($message:tt)+) => {
        $crate::log::Log::log(
            $log,
            $crate::log::Level::$level,
            $crate::log::Location { file: file!(), line: line!() },
            format_args!($($message)+),
        )
    };
}

/// Traces to a log: `trace!(log, "opened {address}")`.
#[macro_export]
macro_rules! trace {
    ($log:expr, $($message:tt)+) => {
        $crate::log::Log::trace(
            $log,
            $crate::log::Location { file: file!(), line: line!() },
            format_args!($($message)+),
        )
    };
}
