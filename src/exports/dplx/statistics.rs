//! How the connections and hosts of a context stand, and what became of them.

use std::ffi::CStr;

use libc::{c_char, c_int, size_t};

use crate::abi::sized::{SizeFirst, fill};
use crate::exports::{context, dpl_ctx_t, dpl_status_t, guard, refuse};
use droplet_client::checkout::{HostStatistics, PoolStatistics};
use droplet_client::fault::{self, FAULTS, Fault};
use droplet_client::hosts::{self, CircuitState};
use droplet_client::os::clock::Moment;
use droplet_client::os::sys;
use droplet_client::pool::metrics::{self, CLOSE_REASONS, CloseReason};
use droplet_client::status::{Error, SUCCESS};

/// Why a connection was closed: an index of `closed` in dplx_pool_stats_t.
#[repr(C)]
#[expect(dead_code, reason = "the names are for C")]
pub enum dplx_closing_t {
    /// The caller terminated it, or did not want it.
    DPLX_CLOSED_TERMINATED = 0,
    /// It was released after an error.
    DPLX_CLOSED_FAILED = 1,
    /// It was released with unread bytes or in the middle of a reply.
    DPLX_CLOSED_INCOMPLETE = 2,
    /// Its peer closed it while it was idle, or sent something unasked.
    DPLX_CLOSED_STALE = 3,
    /// It was idle for `conn_idle_time`.
    DPLX_CLOSED_EXPIRED = 4,
    /// It was reused `n_conn_max_hits` times.
    DPLX_CLOSED_USED_UP = 5,
    /// It made room for a connection to another host, at `n_conn_max`.
    DPLX_CLOSED_EVICTED = 6,
    /// Its host left the list, or its address the host.
    DPLX_CLOSED_LEFT = 7,
    /// Its host was blacklisted because something failed.
    DPLX_CLOSED_HOST_OUT = 8,
}

/// What went wrong with a host: an index of `failures` in dplx_host_stats_t.
#[repr(C)]
#[expect(dead_code, reason = "the names are for C")]
pub enum dplx_fault_t {
    /// Nobody listens there.
    DPLX_FAULT_REFUSED = 0,
    /// No route leads there.
    DPLX_FAULT_UNREACHABLE = 1,
    /// No answer within `conn_timeout`.
    DPLX_FAULT_TIMED_OUT = 2,
    /// The peer reset or closed the connection while it was being made.
    DPLX_FAULT_RESET = 3,
    /// The TLS handshake failed for another reason than those named here.
    DPLX_FAULT_TLS = 4,
    /// The certificate was refused.
    DPLX_FAULT_CERTIFICATE = 5,
    /// The name has no address.
    DPLX_FAULT_NAME = 6,
    /// A write on a new connection failed.
    DPLX_FAULT_WRITE = 7,
    /// A write took longer than its timeout.
    DPLX_FAULT_WRITE_TIMED_OUT = 8,
    /// dpl_blacklist_host() was called, as Droplet does when a reply did not come or was broken.
    DPLX_FAULT_REPORTED = 9,
    /// This side is at fault: descriptors, memory, ports, its policy, or `n_conn_max`.
    DPLX_FAULT_LOCAL = 10,
    /// Anything else.
    DPLX_FAULT_OTHER = 11,
    /// dpl_blacklist_host() was called after a complete reply, as Droplet does for a status of 5xx.
    DPLX_FAULT_REPLIED = 12,
    /// Nothing: dpl_addrlist_blacklist() was called.
    DPLX_FAULT_ORDERED = 13,
}

/// Whether a host may be used: `state` in dplx_host_stats_t.
#[repr(C)]
#[expect(dead_code, reason = "the names are for C")]
pub enum dplx_host_state_t {
    /// By everybody.
    DPLX_HOST_AVAILABLE = 0,
    /// An attempt on it takes long: only if no other host is left.
    DPLX_HOST_SUSPECT = 1,
    /// It is blacklisted.
    DPLX_HOST_OUT = 2,
    /// Its blacklisting is over: the next checkout probes it.
    DPLX_HOST_DUE = 3,
    /// One attempt probes it, and everybody else keeps to the rest.
    DPLX_HOST_PROBING = 4,
}

/// The length of the arrays below. What lies beyond the names above is 0, and reserved for more of them.
pub const DPLX_COUNTS: usize = 16;

const _: () = {
    assert!(
        CloseReason::HostOut as usize == dplx_closing_t::DPLX_CLOSED_HOST_OUT as usize
            && CLOSE_REASONS <= DPLX_COUNTS
    );
    assert!(Fault::Ordered as usize == dplx_fault_t::DPLX_FAULT_ORDERED as usize && FAULTS <= DPLX_COUNTS);
    assert!(
        CircuitState::HalfOpen { is_probing: true }.number() == dplx_host_state_t::DPLX_HOST_PROBING as usize
    );
};

/// The connections of a context. The caller sets `size` to sizeof(dplx_pool_stats_t). Connections to files
/// are not counted.
#[repr(C)]
pub struct dplx_pool_stats_t {
    /// The size of this struct in bytes; see dplx_conn_info_t.
    pub size: size_t,
    /// Connections that wait to be used again.
    pub idle: u64,
    /// Connections that were checked out and not given back.
    pub in_use: u64,
    /// Attempts to connect that are under way.
    pub connecting: u64,
    /// Connections that were opened since the context was made.
    pub created: u64,
    /// Checkouts that got an idle connection.
    pub reused: u64,
    /// Checkouts that found no idle connection and had to wait for one.
    pub waits: u64,
    /// Of these, those that failed.
    pub failed: u64,
    /// How long all these waits took together, in nanoseconds.
    pub waited_ns: u64,
    /// How long the longest of them took, in nanoseconds.
    pub longest_wait_ns: u64,
    /// Connections that were closed, by reason: indexed by dplx_closing_t.
    pub closed: [u64; DPLX_COUNTS],
}

/// One host of a context. The caller sets `size` to sizeof(dplx_host_stats_t).
#[repr(C)]
pub struct dplx_host_stats_t {
    /// The size of this struct in bytes; see dplx_conn_info_t.
    pub size: size_t,
    /// The name or literal address, as the profile has it; cut off after 255 bytes.
    pub host: [c_char; 256],
    /// The port, as the profile has it.
    pub port: [c_char; 8],
    /// Whether it may be used: a dplx_host_state_t.
    pub state: i32,
    /// What it was last blacklisted for, a dplx_fault_t; -1 if it is available.
    pub fault: i32,
    /// Until when it is blacklisted, in seconds of wall-clock time (time(2)); 0 if it is not, -1 for ever.
    pub blacklisted_until: i64,
    /// Idle connections to it.
    pub idle: u64,
    /// Attempts to connect to it, those that found no address or no room for a connection included.
    pub attempts: u64,
    /// TLS handshakes with a certificate.
    pub full_handshakes: u64,
    /// TLS handshakes that resumed a session.
    pub resumed_handshakes: u64,
    /// Attempts, writes and replies that failed, by fault: indexed by dplx_fault_t.
    pub failures: [u64; DPLX_COUNTS],
}

// SAFETY: it is repr(C), begins with its size, and consists of integers.
unsafe impl SizeFirst for dplx_pool_stats_t {}
// SAFETY: as above.
unsafe impl SizeFirst for dplx_host_stats_t {}

/// Tells how the connections of a context stand. The numbers are read one after the other while other
/// threads go on, so they may be off against each other by what these do meanwhile. With `DPLX_STATS=1` in
/// the environment a table of them goes to stderr when a context is freed.
///
/// @param ctx the context
/// @param stats receives them; its `size` must be set
/// @return DPL_SUCCESS; DPL_EINVAL for NULL, or a `size` smaller than itself
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `stats` is NULL or begins with its size, and is writable for
/// that many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_pool_stats(ctx: *mut dpl_ctx_t, stats: *mut dplx_pool_stats_t) -> dpl_status_t {
    const NAME: &CStr = c"dplx_pool_stats";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: the caller's promise.
        let Some(context) = (unsafe { context(ctx, NAME) }) else { return Error::Invalid.status() };
        let facts = pool_facts(context.client().statistics());
        // SAFETY: the caller's promise.
        if !unsafe { fill(stats, &facts) } {
            refuse(Some(context), NAME, "the struct is NULL, or its size is not set");
            return Error::Invalid.status();
        }
        SUCCESS
    })
}

/// Tells how the hosts of a context stand, in the order of its list.
///
/// @param ctx the context
/// @param stats receives the first `n` of them; the `size` of the first element must be set, and holds for
///        all. NULL if `n` is 0
/// @param n how many elements there are
/// @return how many hosts there are, which may be more than `n`; DPL_EINVAL for NULL, a negative number, or
///         a `size` smaller than itself
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `stats` is NULL or points to `n` elements of the size that the
/// first begins with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_host_stats(
    ctx: *mut dpl_ctx_t,
    stats: *mut dplx_host_stats_t,
    n: c_int,
) -> c_int {
    const NAME: &CStr = c"dplx_host_stats";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: the caller's promise.
        let Some(context) = (unsafe { context(ctx, NAME) }) else { return Error::Invalid.status() };
        let hosts = context.host_statistics();
        let room = usize::try_from(n).unwrap_or(0).min(hosts.len());
        // SAFETY: the caller's promise.
        if n < 0 || !unsafe { fill_hosts(stats, &hosts[..room]) } {
            refuse(Some(context), NAME, &format!("no array of {n} structs, or its size is not set"));
            return Error::Invalid.status();
        }
        c_int::try_from(hosts.len()).unwrap_or(c_int::MAX)
    })
}

/// What a dplx_fault_t is called.
///
/// @param fault the fault
/// @return such as "refused", a constant; "" for a number that is none
#[unsafe(no_mangle)]
pub extern "C" fn dplx_fault_text(fault: c_int) -> *const c_char {
    name(&fault::NAMES, fault)
}

/// What a dplx_closing_t is called.
///
/// @param closing the reason
/// @return such as "stale", a constant; "" for a number that is none
#[unsafe(no_mangle)]
pub extern "C" fn dplx_closing_text(closing: c_int) -> *const c_char {
    name(&metrics::NAMES, closing)
}

/// What a dplx_host_state_t is called.
///
/// @param state the state
/// @return such as "available", a constant; "" for a number that is none
#[unsafe(no_mangle)]
pub extern "C" fn dplx_host_state_text(state: c_int) -> *const c_char {
    name(&hosts::STATE_NAMES, state)
}

fn name(names: &[&'static CStr], number: c_int) -> *const c_char {
    let name = usize::try_from(number).ok().and_then(|number| names.get(number));
    name.map_or(c"".as_ptr(), |name| name.as_ptr())
}

/// Fills in an array whose elements have the size that its first one begins with.
///
/// # Safety
/// `stats` is NULL or points to as many elements as there are hosts.
unsafe fn fill_hosts(stats: *mut dplx_host_stats_t, hosts: &[HostStatistics]) -> bool {
    if hosts.is_empty() {
        return true;
    }
    if stats.is_null() || !stats.is_aligned() {
        return false;
    }
    // SAFETY: the caller's promise.
    let size = unsafe { (*stats).size };
    hosts.iter().enumerate().all(|(index, host)| {
        // SAFETY: the caller's promise; an element of a size that is no multiple of it is not aligned, which
        // `fill` refuses.
        unsafe {
            let element = stats.byte_add(index * size);
            element.is_aligned() && {
                element.cast::<size_t>().write(size);
                fill(element, &host_facts(host))
            }
        }
    })
}

fn pool_facts(statistics: PoolStatistics) -> dplx_pool_stats_t {
    let PoolStatistics { idle, in_use, connecting, reused, counts } = statistics;
    let nanoseconds = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    dplx_pool_stats_t {
        size: size_of::<dplx_pool_stats_t>(),
        idle,
        in_use,
        connecting,
        created: counts.created,
        reused,
        waits: counts.waits,
        failed: counts.failed,
        waited_ns: nanoseconds(counts.waited),
        longest_wait_ns: nanoseconds(counts.longest_wait),
        closed: padded(&counts.closed),
    }
}

fn host_facts(statistics: &HostStatistics) -> dplx_host_stats_t {
    let HostStatistics { host, state, fault, idle, metrics } = statistics;
    dplx_host_stats_t {
        size: size_of::<dplx_host_stats_t>(),
        host: cut(host.name()),
        port: cut(host.port()),
        state: state.number() as i32,
        fault: fault.map_or(-1, |fault| fault as i32),
        blacklisted_until: blacklisted_until(*state),
        idle: *idle,
        attempts: metrics.attempts,
        full_handshakes: metrics.full_handshakes,
        resumed_handshakes: metrics.resumed_handshakes,
        failures: padded(&metrics.failures),
    }
}

fn blacklisted_until(state: CircuitState) -> i64 {
    match state {
        CircuitState::Open { until: Moment::NEVER } => -1,
        CircuitState::Open { until } => {
            let left = until.since(Moment::now()).as_secs_f64().ceil() as i64;
            sys::wall_clock_seconds() + left
        }
        _ => 0,
    }
}

fn padded(counts: &[u64]) -> [u64; DPLX_COUNTS] {
    std::array::from_fn(|index| counts.get(index).copied().unwrap_or(0))
}

/// As much of a text as there is room for.
fn cut<const N: usize>(text: &CStr) -> [c_char; N] {
    let mut room = [0; N];
    for (place, byte) in room[..N - 1].iter_mut().zip(text.to_bytes()) {
        *place = *byte as c_char;
    }
    room
}
