//! What must hold, whatever happens: the model of what a program may observe.

use std::ffi::CStr;

use crate::c;
use crate::history::Door;
use crate::network::Phase;
use crate::real::simulated;
use crate::threads::{MILLISECOND, SECOND, Time};
use crate::world::{World, violation, with};

/// The age of a failure that still counts, and some more.
const HEAD_START: Time = 300 * MILLISECOND;

/// The time in which a healthy host answers, with TLS and the steps of other threads.
const ANSWER: Time = 30 * MILLISECOND;

/// The time that a call may take beyond its timeouts.
const SLACK: Time = SECOND / 2;

/// The state of a host, as the statistics have it.
#[derive(Clone, Debug)]
struct HostState {
    host: usize,
    state: i32,
    fault: i32,
    failures: [u64; 16],
}

/// Returns the states of the hosts in the list.
fn host_states() -> Vec<HostState> {
    let context = with(|world| world.program.context);
    // SAFETY: the struct consists of numbers.
    let empty: c::HostStatistics = unsafe { std::mem::zeroed() };
    let mut statistics = vec![c::HostStatistics { size: size_of::<c::HostStatistics>(), ..empty }; 16];
    // SAFETY: a context, and room for this number of hosts.
    let count = simulated(|| unsafe { c::dplx_host_stats(context, statistics.as_mut_ptr(), 16) });
    let listed = statistics.iter().take(count.max(0) as usize);
    let state_of = |statistics: &c::HostStatistics| {
        // SAFETY: the library has written a string.
        let name = unsafe { CStr::from_ptr(statistics.host.as_ptr()) }.to_string_lossy().into_owned();
        let host = with(|world| {
            let config = &world.program.config;
            (0..config.hosts.len()).find(|host| config.host_name(*host) == name)
        })?;
        let c::HostStatistics { state, fault, failures, .. } = *statistics;
        Some(HostState { host, state, fault, failures })
    };
    listed.filter_map(state_of).collect()
}

impl World {
    /// Returns the servers that a host leads to now, or `None` if its name is not sound.
    fn servers_of(&self, host: usize) -> Option<Vec<usize>> {
        let (is_named, servers) = &self.program.config.hosts[host];
        if !is_named {
            return Some(servers.clone());
        }
        let name = self.names.all.iter().find(|name| name.name == self.program.config.host_name(host))?;
        self.is_name_sound(name).then(|| name.servers.clone())
    }

    fn servers_ever(&self, host: usize) -> Vec<usize> {
        let name = self.program.config.host_name(host);
        let named = self.names.all.iter().find(|known| known.name == name).map(|known| known.ever.clone());
        named.unwrap_or_else(|| self.program.config.hosts[host].1.clone())
    }

    /// True if all servers of a host have served without a fault since a time.
    fn is_healthy_since(&self, host: usize, time: Time) -> bool {
        let is_healthy =
            |server: &usize| self.servers[*server].healthy_since.is_some_and(|since| since <= time);
        self.servers_of(host).is_some_and(|servers| !servers.is_empty() && servers.iter().all(is_healthy))
    }

    /// Checks that no more sockets are open than `n_conn_max` allows.
    pub fn check_limit(&self) {
        let own = self.open_sockets();
        let most = self.program.limits.0.max(self.program.limits.1).max(self.program.above_limit);
        if own > most {
            violation(&format!("{own} sockets are open, and n_conn_max is {most}"));
        }
    }

    /// Returns the number of open sockets.
    pub fn open_sockets(&self) -> i32 {
        let own = self.sockets.iter().filter(|socket| !socket.is_closed && !socket.is_inherited);
        i32::try_from(own.count()).unwrap_or(i32::MAX)
    }
}

/// The state at the beginning of a call that gets a connection.
pub struct Before {
    door: Door,
    /// The time.
    pub begin: Time,
    faults: u64,
    states: Vec<HostState>,
    list_version: u64,
    limit_version: u64,
    connects: u64,
    held: usize,
    is_alone: bool,
}

impl Before {
    /// Notes the state.
    pub fn new(door: Door) -> Before {
        let states = host_states();
        with(|world| {
            let open = world.open_sockets();
            let has_faults = world.faults.so_far > 0;
            let program = &mut world.program;
            program.connecting += 1;
            program.connects += 1;
            // After a fault an attempt may have a permit of before, and no socket yet.
            if program.connecting == 1 && !has_faults {
                program.limits.1 = program.limits.0;
                program.above_limit = open.min(program.above_limit);
            }
            Before {
                door,
                begin: world.now,
                faults: world.faults.so_far,
                states,
                list_version: program.list_version,
                limit_version: program.limit_version,
                connects: program.connects,
                held: program.held.len() + program.giving_back,
                is_alone: program.connecting == 1,
            }
        })
    }

    fn end(&self) {
        let (took, most) = with(|world| {
            let config = &world.program.config;
            let own = match self.door {
                Door::Cancellable(timeout @ 0..) => timeout as Time * MILLISECOND,
                // A call that waits at the limit connects before and after.
                _ if world.program.wait > 0 => {
                    2 * config.connect_timeout * SECOND + world.program.wait as Time * MILLISECOND
                }
                _ => config.connect_timeout * SECOND,
            };
            (world.now - self.begin, own)
        });
        // Without a thread for it, the caller makes a look-up itself, however long that takes.
        let has_fault = with(|world| world.faults.so_far != self.faults);
        if took > most + SLACK && !has_fault {
            violation(&format!(
                "a call takes {} ms, and its time is {} ms",
                took / MILLISECOND,
                most / MILLISECOND
            ));
        }
        check_blame();
    }

    /// Checks a connection that the call has returned.
    pub fn succeeded(self, socket: usize, host: Option<usize>, is_cancelled: bool) {
        self.end();
        with(|world| {
            let state = &world.sockets[socket];
            world.trace(|| format!("gets socket {socket} to {:?}", state.peer));
            if world.program.held.iter().any(|held| held.socket == socket) {
                violation("a connection has two users");
            }
            if is_cancelled {
                return;
            }
            if state.is_inherited {
                violation("a child gets its parent's connection");
            }
            let is_over = state.over_since.is_some_and(|since| since < self.begin);
            if is_over || state.is_closed || !matches!(state.phase, Phase::Connected | Phase::Failed) {
                violation(&format!(
                    "a connection is handed out that is over: {:?} {:?}",
                    state.phase, state.over_since
                ));
            }
            if !state.unread.is_empty() && state.unread_since < self.begin {
                violation(&format!("a connection is handed out with {} unread bytes", state.unread.len()));
            }
            let (since, until) = host.map_or((0, 0), |host| world.program.orders[host]);
            let is_out = since < self.begin && until > world.now + 10 * MILLISECOND;
            if is_out && !matches!(self.door, Door::OpenHost(_)) {
                violation(&format!("host {host:?}, which the program took out, is used"));
            }
        });
    }

    /// Checks that a call which has returned no connection had a reason.
    pub fn failed(self, status: i32, is_cancelled: bool, error: &str) {
        self.end();
        let now = with(|world| {
            world.trace(|| format!("gets nothing ({status}): {error}"));
            world.now
        });
        let is_disturbed = with(|world| {
            let program = &world.program;
            let has_changed =
                program.list_version != self.list_version || program.limit_version != self.limit_version;
            has_changed || is_cancelled || world.faults.so_far != self.faults
        });
        if is_disturbed {
            return;
        }
        // A call with a short time of its own may be over before anybody answers. Each host has an equal part of it, and so
        // has each of its two addresses.
        let parts = 2 * with(|world| world.program.config.hosts.len()) as Time;
        if matches!(self.door, Door::Cancellable(timeout @ 0..) if timeout as Time * MILLISECOND < parts * ANSWER)
        {
            return;
        }
        let was_alone = self.is_alone && with(|world| world.program.connects == self.connects);
        let limit = with(|world| world.program.limits.0);
        let is_full = i64::try_from(self.held).unwrap_or(0) >= i64::from(limit);
        // Each other thread may have got one meanwhile.
        let others = with(|world| world.program.config.threads);
        let may_be_full = i64::try_from(self.held + others).unwrap_or(0) >= i64::from(limit);
        if status == c::LIMIT || is_full || !was_alone && may_be_full {
            let has_trouble = with(|world| {
                (0..world.program.config.hosts.len()).any(|host| !world.is_healthy_since(host, self.begin))
            });
            if status == c::LIMIT && was_alone && !is_full && !has_trouble {
                violation(&format!("DPL_ELIMIT with {} of {limit} connections in use", self.held));
            }
            return;
        }
        for state in &self.states {
            if matches!(self.door, Door::OpenHost(host) if host != state.host) {
                continue;
            }
            let is_usable = match state.state {
                c::AVAILABLE | c::SUSPECT | c::DUE => true,
                c::OUT => {
                    let is_ordered = with(|world| world.program.out_until > self.begin);
                    // A failure leads to probes, and a report afterwards does not end them.
                    // A child does not know what its parent has counted.
                    let others = with(|world| world.is_child)
                        || (0..c::REPORTED).any(|fault| state.failures[fault] > 0);
                    !is_ordered && !others && [c::REPORTED as i32, c::REPLIED as i32].contains(&state.fault)
                }
                _ => false,
            };
            let is_usable = is_usable || matches!(self.door, Door::OpenHost(_));
            let since = self.begin.saturating_sub(HEAD_START);
            if is_usable && with(|world| world.is_healthy_since(state.host, since)) {
                violation(&format!(
                    "a live host was not found within {} ms (status {status}): {state:?}: {error}",
                    (now - self.begin) / MILLISECOND
                ));
            }
        }
    }
}

/// Checks that no host was blamed without cause.
pub fn check_blame() {
    for HostState { host, failures, .. } in host_states() {
        with(|world| {
            let servers = world.servers_ever(host);
            let causes: u64 = servers.iter().map(|server| world.servers[*server].causes).sum();
            // A report names a host by any name that leads to its address.
            let reports: u64 = world.program.reports.iter().sum();
            let is_counted =
                |fault: &usize| ![c::NAME, c::REPORTED, c::LOCAL, c::REPLIED, c::ORDERED].contains(fault);
            let blamed: u64 = (0..failures.len()).filter(is_counted).map(|fault| failures[fault]).sum();
            if blamed > causes {
                let last: Vec<_> = servers.iter().map(|server| world.servers[*server].last_cause).collect();
                violation(&format!(
                    "host {host} was blamed {blamed} times and gave cause {causes} times ({last:?}): {failures:?}"
                ));
            }
            let reported = failures[c::REPORTED] + failures[c::REPLIED];
            if reported > reports {
                violation(&format!("host {host} was blamed for {reported} reports, and {reports} were made"));
            }
        });
    }
}

/// Checks that every host is available again, now that nothing is wrong any more.
pub fn check_recovery() {
    for state in host_states() {
        let is_ordered = state.fault == c::ORDERED as i32;
        if state.state != c::AVAILABLE && !is_ordered {
            violation(&format!("a host that serves does not come back: {state:?}"));
        }
    }
}

/// Checks that nothing is left of a context that was freed.
pub fn check_leaks() {
    with(|world| {
        let open: Vec<_> = world.files.all().collect();
        if !open.is_empty() {
            violation(&format!("descriptors leak: {open:?}"));
        }
    });
}
