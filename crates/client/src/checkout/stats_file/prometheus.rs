//! Statistics in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use crate::checkout::{HostStatistics, Table};
use crate::fault;
use crate::hosts::{CircuitState, STATE_NAMES};
use crate::pool::metrics::{self, Counts, WAIT_BOUNDS};

/// The statistics of one context.
pub struct Snapshot {
    /// The number of the context in its process.
    pub context: u64,
    /// Its statistics.
    pub table: Table,
    /// True if the context was freed.
    pub is_last: bool,
}

/// Writes the statistics of all contexts. The lines of a metric stand together, as the format asks. Contexts that were
/// freed have counters only: what the gauges count is gone.
pub fn write(snapshots: &[impl AsRef<Snapshot>], to: &mut impl Write) -> io::Result<()> {
    let all: Vec<&Snapshot> = snapshots.iter().map(AsRef::as_ref).collect();
    let present: Vec<&Snapshot> = all.iter().copied().filter(|snapshot| !snapshot.is_last).collect();
    let mut text = Text { to };
    text.head("info", "gauge", "The version of the library.")?;
    text.sample("info", &[("version", &env!("CARGO_PKG_VERSION"))], 1)?;
    write_present(&present, &mut text)?;
    write_connections(&all, &mut text)?;
    write_waits(&all, &mut text)?;
    write_present_hosts(&hosts_of(&present), &mut text)?;
    write_hosts(&hosts_of(&all), &mut text)
}

/// Returns the hosts of contexts.
fn hosts_of<'a>(snapshots: &[&'a Snapshot]) -> Vec<ContextHost<'a>> {
    let mut seen = BTreeSet::new();
    snapshots
        .iter()
        .flat_map(|snapshot| snapshot.table.hosts.iter().map(|host| ContextHost::new(snapshot.context, host)))
        // The format forbids two lines with the same labels.
        .filter(|host| seen.insert((host.context, host.name.clone())))
        .collect()
}

/// Writes what the connections of contexts are doing.
fn write_present(present: &[&Snapshot], text: &mut Text<'_, impl Write>) -> io::Result<()> {
    text.head("connections", "gauge", "Connections by state.")?;
    for Snapshot { context, table, .. } in present {
        let pool = &table.pool;
        for (state, value) in [("idle", pool.idle), ("in_use", pool.in_use), ("connecting", pool.connecting)]
        {
            text.sample("connections", &[("context", context), ("state", &state)], value)?;
        }
    }
    text.family("checkouts_waiting", "gauge", "Checkouts that wait at n_conn_max.", present, |snapshot| {
        snapshot.table.pool.waiting
    })
}

/// Writes what happened to the connections of contexts.
fn write_connections(all: &[&Snapshot], text: &mut Text<'_, impl Write>) -> io::Result<()> {
    text.family("connections_opened_total", "counter", "Connections that were opened.", all, |snapshot| {
        snapshot.table.pool.counts.created
    })?;
    text.family(
        "connections_reused_total",
        "counter",
        "Checkouts that got an idle connection.",
        all,
        |snapshot| snapshot.table.pool.reused,
    )?;
    text.family("limit_waits_total", "counter", "Checkouts that waited at n_conn_max.", all, |snapshot| {
        snapshot.table.pool.counts.limit_waits
    })?;
    text.family("limit_timeouts_total", "counter", "Those of them that waited in vain.", all, |snapshot| {
        snapshot.table.pool.counts.limit_timeouts
    })?;
    text.head("connections_closed_total", "counter", "Connections that were closed, by reason.")?;
    for Snapshot { context, table, .. } in all {
        for (count, reason) in table.pool.counts.closed.iter().zip(metrics::NAMES) {
            text.sample(
                "connections_closed_total",
                &[("context", context), ("reason", &Name(reason))],
                count,
            )?;
        }
    }
    text.family("checkouts_failed_total", "counter", "Checkouts that got no connection.", all, |snapshot| {
        snapshot.table.pool.counts.failed
    })
}

fn write_waits(all: &[&Snapshot], text: &mut Text<'_, impl Write>) -> io::Result<()> {
    let help = "Time of checkouts that found no idle connection to the host whose turn it was.";
    text.head("checkout_wait_seconds", "histogram", help)?;
    for Snapshot { context, table, .. } in all {
        let Counts { wait_counts, waited, .. } = &table.pool.counts;
        let mut sum = 0;
        for (count, bound) in wait_counts.iter().zip(WAIT_BOUNDS.map(Some).into_iter().chain([None])) {
            sum += count;
            let labels: [(_, &dyn fmt::Display); 2] = [("context", context), ("le", &Seconds(bound))];
            text.sample("checkout_wait_seconds_bucket", &labels, sum)?;
        }
        text.sample("checkout_wait_seconds_sum", &[("context", context)], waited.as_secs_f64())?;
        text.sample("checkout_wait_seconds_count", &[("context", context)], sum)?;
    }
    text.family("checkout_longest_wait_seconds", "gauge", "The longest of these times.", all, |snapshot| {
        snapshot.table.pool.counts.longest_wait.as_secs_f64()
    })
}

/// Writes what state hosts are in, and what is known of them.
fn write_present_hosts(hosts: &[ContextHost<'_>], text: &mut Text<'_, impl Write>) -> io::Result<()> {
    text.head("host_state", "gauge", "1 for the state of the host, 0 for the others.")?;
    for host in hosts {
        for (number, state) in STATE_NAMES.into_iter().enumerate() {
            let is_its = u8::from(host.statistics.state.number() == number);
            text.sample("host_state", &host.labels_and("state", &Name(state)), is_its)?;
        }
    }
    let help =
        "Time at which the blacklisting of the host ends; 0 if it is not blacklisted, +Inf if it never ends.";
    text.host_family("host_blacklisted_until_timestamp_seconds", "gauge", help, hosts, |host| {
        Some(match host.state {
            CircuitState::Open { .. } => match host.blacklisted_until() {
                -1 => f64::INFINITY,
                until => until as f64,
            },
            _ => 0.0,
        })
    })?;
    text.host_family("host_idle_connections", "gauge", "Idle connections to the host.", hosts, |host| {
        Some(host.idle)
    })?;
    let help = "Time for which an idle connection to the host is used, since its server closes it then.";
    text.host_family("host_idle_limit_seconds", "gauge", help, hosts, |host| {
        host.known.idle.map(|idle| idle.as_secs_f64())
    })?;
    let help = "Requests for which a connection to the host is used, since its server closes it then.";
    text.host_family("host_use_limit", "gauge", help, hosts, |host| host.known.uses)
}

/// Writes what happened with hosts.
fn write_hosts(hosts: &[ContextHost<'_>], text: &mut Text<'_, impl Write>) -> io::Result<()> {
    text.host_family("host_attempts_total", "counter", "Attempts to connect to the host.", hosts, |host| {
        Some(host.metrics.attempts)
    })?;
    text.head(
        "host_failures_total",
        "counter",
        "Attempts, writes and replies of the host that failed, by cause.",
    )?;
    for host in hosts {
        for (count, cause) in host.statistics.metrics.failures.iter().zip(fault::NAMES) {
            text.sample("host_failures_total", &host.labels_and("cause", &Name(cause)), count)?;
        }
    }
    text.head("host_tls_handshakes_total", "counter", "TLS handshakes with the host, by kind.")?;
    for host in hosts {
        let metrics = &host.statistics.metrics;
        for (kind, count) in [("full", metrics.full_handshakes), ("resumed", metrics.resumed_handshakes)] {
            text.sample("host_tls_handshakes_total", &host.labels_and("kind", &kind), count)?;
        }
    }
    Ok(())
}

/// A host of a context.
struct ContextHost<'a> {
    context: u64,
    /// `NAME:PORT`.
    name: String,
    statistics: &'a HostStatistics,
}

type Label<'a> = (&'static str, &'a dyn fmt::Display);

impl<'a> ContextHost<'a> {
    fn new(context: u64, statistics: &'a HostStatistics) -> ContextHost<'a> {
        let text = |name: &CStr| name.to_string_lossy().into_owned();
        let (name, port) = (text(statistics.host.name()), text(statistics.host.port()));
        // As in a URL, so that the port of a literal IPv6 address can be told.
        let name = if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") };
        ContextHost { context, name, statistics }
    }

    fn labels(&self) -> [Label<'_>; 2] {
        [("context", &self.context), ("host", &self.name)]
    }

    fn labels_and<'b>(&'b self, name: &'static str, value: &'b dyn fmt::Display) -> [Label<'b>; 3] {
        let [context, host] = self.labels();
        [context, host, (name, value)]
    }
}

/// The text that is written.
struct Text<'a, W> {
    to: &'a mut W,
}

impl<W: Write> Text<'_, W> {
    /// Writes the lines that begin a metric.
    fn head(&mut self, name: &str, kind: &str, help: &str) -> io::Result<()> {
        writeln!(self.to, "# HELP droplet_conn_{name} {help}\n# TYPE droplet_conn_{name} {kind}")
    }

    fn sample(&mut self, name: &str, labels: &[Label<'_>], value: impl fmt::Display) -> io::Result<()> {
        write!(self.to, "droplet_conn_{name}")?;
        for (number, (label, text)) in labels.iter().enumerate() {
            let begin = if number == 0 { '{' } else { ',' };
            write!(self.to, "{begin}{label}=\"{}\"", Escaped(&text.to_string()))?;
        }
        writeln!(self.to, "}} {}", Number(&value.to_string()))
    }

    /// Writes a metric with one value for each context.
    fn family<N: fmt::Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        all: &[&Snapshot],
        value: impl Fn(&Snapshot) -> N,
    ) -> io::Result<()> {
        self.head(name, kind, help)?;
        all.iter()
            .try_for_each(|snapshot| self.sample(name, &[("context", &snapshot.context)], value(snapshot)))
    }

    /// Writes a metric with one value for each host, if it has one.
    fn host_family<N: fmt::Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        hosts: &[ContextHost<'_>],
        value: impl Fn(&HostStatistics) -> Option<N>,
    ) -> io::Result<()> {
        self.head(name, kind, help)?;
        for host in hosts {
            if let Some(value) = value(host.statistics) {
                self.sample(name, &host.labels(), value)?;
            }
        }
        Ok(())
    }
}

/// The value of a label: a backslash stands before a backslash and a quotation mark, `\n` for the end of a line.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, part) in self.0.split('\n').enumerate() {
            let newline = if number == 0 { "" } else { "\\n" };
            write!(f, "{newline}{}", part.replace('\\', "\\\\").replace('"', "\\\""))?;
        }
        Ok(())
    }
}

/// A number as the format has it: Rust writes infinity as "inf".
struct Number<'a>(&'a str);

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 == "inf" { "+Inf" } else { self.0 })
    }
}

/// The upper bound of a bucket. `None` for the last, which has none.
struct Seconds(Option<Duration>);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bound) => write!(f, "{}", bound.as_secs_f64()),
            None => f.write_str("+Inf"),
        }
    }
}

/// The name of a reason, with underscores.
struct Name(&'static CStr);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string_lossy().to_lowercase().replace(' ', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        assert_eq!(Escaped("a\\b\"c\nd").to_string(), r#"a\\b\"c\nd"#);
    }

    #[test]
    fn bounds_and_values_are_numbers_of_the_format() {
        assert_eq!(Seconds(Some(Duration::from_micros(500))).to_string(), "0.0005");
        assert_eq!(Number(&f64::INFINITY.to_string()).to_string(), "+Inf");
    }
}
