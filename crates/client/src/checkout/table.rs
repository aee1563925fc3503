//! Statistics as a table for people to read.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::fmt;
use std::time::Duration;

use super::statistics::{HostStatistics, PoolStatistics};
use crate::fault;
use crate::hosts;
use crate::os::sys;
use crate::pool::Known;
use crate::pool::metrics;
use crate::pool::metrics::Counts;

/// The statistics of one context.
pub struct Table {
    /// Its connections.
    pub pool: PoolStatistics,
    /// Its hosts.
    pub hosts: Vec<HostStatistics>,
}

impl Table {
    /// True if `DPLX_STATS=1` is set in the environment.
    pub fn is_wanted() -> bool {
        sys::environment("DPLX_STATS").is_some_and(|value| value == "1")
    }

    /// Prints it on stderr.
    pub fn print(&self) {
        sys::print_error(format!("droplet-conn {}:\n{self}", env!("CARGO_PKG_VERSION")).as_bytes());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolStatistics { idle, in_use, connecting, waiting, reused, counts } = &self.pool;
        let Counts {
            created, closed, failed, waits, waited, longest_wait, limit_waits, limit_timeouts, ..
        } = counts;
        let mean = waited.checked_div((*waits).try_into().unwrap_or(u32::MAX)).unwrap_or_default();
        let (mean, longest) = (Milliseconds(mean), Milliseconds(*longest_wait));
        writeln!(
            f,
            "  checkouts  {reused} reused a connection; {waits} had to wait, {mean} on average, {longest} at most; {failed} failed"
        )?;
        if *limit_waits > 0 {
            writeln!(
                f,
                "  waited     {limit_waits} at n_conn_max; {waiting} wait now, {limit_timeouts} have waited in vain"
            )?;
        }
        writeln!(f, "  opened     {created}; now {idle} idle, {in_use} in use, {connecting} under way")?;
        writeln!(f, "  closed     {}{}", closed.iter().sum::<u64>(), Breakdown(closed, &metrics::NAMES))?;
        writeln!(
            f,
            "  {:30} {:26} {:>5} {:>8} {:>8} {:>8}  failures",
            "host", "state", "idle", "attempts", "TLS full", "resumed"
        )?;
        self.hosts.iter().try_for_each(|host| writeln!(f, "  {host}"))
    }
}

impl fmt::Display for HostStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts::HostMetrics { attempts, failures, full_handshakes, resumed_handshakes } = &self.metrics;
        let name = self.host.to_string();
        write!(f, "{name:30} {:26} {:>5} {attempts:>8}", self.state_text().to_string(), self.idle)?;
        write!(f, " {full_handshakes:>8} {resumed_handshakes:>8}")?;
        write!(f, "  {}{}", failures.iter().sum::<u64>(), Breakdown(failures, &fault::NAMES))?;
        if self.known == Known::default() { Ok(()) } else { write!(f, "\n    {}", self.known) }
    }
}

/// The counts that are not 0, with their names, in brackets.
struct Breakdown<'a>(&'a [u64], &'a [&'static CStr]);

impl fmt::Display for Breakdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.0.iter().zip(self.1).filter(|(count, _)| **count > 0);
        let parts: Vec<_> = counted.map(|(count, name)| format!("{count} {}", text(name))).collect();
        if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join(", ")) }
    }
}

struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3)
    }
}

fn text(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::{CircuitState, Host, HostMetrics};
    use crate::net::resolve::Addresses;

    /// The table of a context with one host.
    fn table(known: Known, counts: Counts) -> String {
        let host = HostStatistics {
            host: Host::new(c"80".to_owned(), Addresses::of("127.0.0.1", 80), 1),
            state: CircuitState::Closed,
            fault: None,
            idle: 2,
            known,
            metrics: HostMetrics { attempts: 5, ..HostMetrics::default() },
        };
        let pool = PoolStatistics { idle: 2, in_use: 1, connecting: 0, waiting: 0, reused: 40, counts };
        Table { pool, hosts: vec![host] }.to_string()
    }

    #[test]
    fn what_has_not_happened_has_no_line() {
        let mut closed = [0; metrics::CLOSE_REASONS];
        closed[metrics::CloseReason::Stale as usize] = 2;
        let waited = Duration::from_millis(30);
        let counts =
            Counts { created: 5, closed, waits: 4, waited, longest_wait: waited, ..Counts::default() };
        let expected = "  \
  checkouts  40 reused a connection; 4 had to wait, 7.5 ms on average, 30.0 ms at most; 0 failed
  opened     5; now 2 idle, 1 in use, 0 under way
  closed     2 (2 stale)
  host                           state                       idle attempts TLS full  resumed  failures
  127.0.0.1:80                   available                      2        5        0        0  0
";
        assert_eq!(table(Known::default(), counts), expected);
    }

    #[test]
    fn waits_at_the_limit_and_limits_of_servers_have_lines() {
        let counts = Counts { limit_waits: 3, limit_timeouts: 1, ..Counts::default() };
        let known = Known { idle: Some(Duration::from_secs(5)), uses: None };
        let text = table(known, counts);
        let has_line = |line: &str| text.lines().any(|other| other.trim() == line);
        assert!(has_line("waited     3 at n_conn_max; 0 wait now, 1 have waited in vain"), "{text}");
        assert!(has_line(&known.to_string()), "{text}");
    }
}
