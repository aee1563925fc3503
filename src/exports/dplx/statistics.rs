//! Statistics of the connections and hosts of a context.

use std::ffi::CStr;

use libc::{c_char, c_int, size_t};

use crate::abi::context::publish_statistics_at_exit;
use crate::abi::sized::{SizeFirst, fill};
use crate::exports::{context, dpl_ctx_t, dpl_status_t, guard, guard_aside, refuse};
use droplet_client::checkout::{HostStatistics, PoolStatistics};
use droplet_client::fault::{self, FAULTS, Fault};
use droplet_client::hosts::{self, CircuitState};
use droplet_client::pool::metrics::{self, CLOSE_REASONS, CloseReason};
use droplet_client::status::{Error, SUCCESS};

/// exit(3) calls what this section has, after the functions that the program has registered with atexit(3).
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = at_exit;

extern "C" fn at_exit() {
    guard_aside(c"exit", (), publish_statistics_at_exit);
}

/// Reason why a connection was closed: an index into `closed` of dplx_pool_stats_t.
#[repr(C)]
#[expect(dead_code, reason = "the names are for C")]
pub enum dplx_closing_t {
    /// The program terminated it.
    DPLX_CLOSED_TERMINATED = 0,
    /// It was released after an error.
    DPLX_CLOSED_FAILED = 1,
    /// It was released with unread bytes, or in the middle of a request or a reply.
    DPLX_CLOSED_INCOMPLETE = 2,
    /// The peer closed it while it was idle, or sent bytes that nobody asked for.
    DPLX_CLOSED_STALE = 3,
    /// It was idle for `conn_idle_time`, or nearly for as long as its server allows.
    DPLX_CLOSED_EXPIRED = 4,
    /// It was used as often as `n_conn_max_hits` or its server allows: a reply may have said that it was the last.
    DPLX_CLOSED_USED_UP = 5,
    /// It was closed at `n_conn_max`, to make room for another connection.
    DPLX_CLOSED_EVICTED = 6,
    /// Its host left the list, its address left the name of the host, or the TLS settings of the context changed.
    DPLX_CLOSED_LEFT = 7,
    /// Its host was blacklisted after a failure.
    DPLX_CLOSED_HOST_OUT = 8,
}

/// Fault of a host: an index into `failures` of dplx_host_stats_t.
#[repr(C)]
#[expect(dead_code, reason = "the names are for C")]
pub enum dplx_fault_t {
    /// The connection was refused.
    DPLX_FAULT_REFUSED = 0,
    /// There is no route to the host.
    DPLX_FAULT_UNREACHABLE = 1,
    /// The host did not answer within `conn_timeout`.
    DPLX_FAULT_TIMED_OUT = 2,
    /// The host reset or closed the connection while it was being made.
    DPLX_FAULT_RESET = 3,
    /// The TLS handshake failed for a reason that is not in this list.
    DPLX_FAULT_TLS = 4,
    /// The certificate was rejected.
    DPLX_FAULT_CERTIFICATE = 5,
    /// The name has no address.
    DPLX_FAULT_NAME = 6,
    /// A write to a new connection failed.
    DPLX_FAULT_WRITE = 7,
    /// A write timed out.
    DPLX_FAULT_WRITE_TIMED_OUT = 8,
    /// dpl_blacklist_host() was called, as Droplet does when a reply is missing or broken.
    DPLX_FAULT_REPORTED = 9,
    /// The local system is at fault, not the host: out of descriptors, memory or ports, local policy, or `n_conn_max`.
    DPLX_FAULT_LOCAL = 10,
    /// Any other fault.
    DPLX_FAULT_OTHER = 11,
    /// dpl_blacklist_host() was called after a complete reply, as Droplet does for a status of 5xx.
    DPLX_FAULT_REPLIED = 12,
    /// No fault: dpl_addrlist_blacklist() was called.
    DPLX_FAULT_ORDERED = 13,
}

/// State of a host: `state` of dplx_host_stats_t.
#[repr(C)]
#[expect(dead_code, reason = "the names are for C")]
pub enum dplx_host_state_t {
    /// All checkouts may use it.
    DPLX_HOST_AVAILABLE = 0,
    /// An attempt to connect to it takes long. It is used only if no other host is left.
    DPLX_HOST_SUSPECT = 1,
    /// It is blacklisted.
    DPLX_HOST_OUT = 2,
    /// Its blacklisting is over. The next checkout probes it.
    DPLX_HOST_DUE = 3,
    /// One attempt probes it. All other checkouts use other hosts.
    DPLX_HOST_PROBING = 4,
}

/// Length of the arrays below. Elements beyond the constants above are 0, and reserved for later versions.
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

/// Statistics of the connections of a context. The caller sets `size` to sizeof(dplx_pool_stats_t). Connections to
/// files do not count.
#[repr(C)]
pub struct dplx_pool_stats_t {
    /// The size of this struct in bytes; see dplx_conn_info_t.
    pub size: size_t,
    /// Idle connections.
    pub idle: u64,
    /// Connections in use.
    pub in_use: u64,
    /// Attempts to connect that are under way.
    pub connecting: u64,
    /// Connections that were opened since the context was made.
    pub created: u64,
    /// Checkouts that got an idle connection.
    pub reused: u64,
    /// Checkouts that found no idle connection to the host whose turn it was, and so had to connect or to wait. How many of
    /// them waited at `n_conn_max` is in `limit_waits`.
    pub waits: u64,
    /// Those of the `waits` that failed.
    pub failed: u64,
    /// Total time of the `waits` in nanoseconds.
    pub waited_ns: u64,
    /// Longest of the `waits` in nanoseconds.
    pub longest_wait_ns: u64,
    /// Connections that were closed, indexed by dplx_closing_t.
    pub closed: [u64; DPLX_COUNTS],
    /// Calls that wait at `n_conn_max` now; see dplx_ctx_set_wait().
    pub waiting: u64,
    /// Checkouts that began to wait at `n_conn_max`.
    pub limit_waits: u64,
    /// Those of the `limit_waits` whose time was over before there was a connection.
    pub limit_timeouts: u64,
}

/// Statistics of one host of a context. The caller sets `size` to sizeof(dplx_host_stats_t).
#[repr(C)]
pub struct dplx_host_stats_t {
    /// The size of this struct in bytes; see dplx_conn_info_t.
    pub size: size_t,
    /// The name or literal address as in the profile, cut off after 255 bytes.
    pub host: [c_char; 256],
    /// The port as in the profile.
    pub port: [c_char; 8],
    /// The state of the host, a dplx_host_state_t.
    pub state: i32,
    /// The fault it was last blacklisted for, a dplx_fault_t; -1 if it is available or suspect.
    pub fault: i32,
    /// End of the blacklisting as a time(2); 0 if it is not blacklisted, -1 if it is for good.
    pub blacklisted_until: i64,
    /// Idle connections to it.
    pub idle: u64,
    /// Attempts to connect to it, including those that found no address, or no room under `n_conn_max`.
    pub attempts: u64,
    /// TLS handshakes with a certificate.
    pub full_handshakes: u64,
    /// TLS handshakes that resumed a session.
    pub resumed_handshakes: u64,
    /// Attempts, writes and replies that failed, indexed by dplx_fault_t.
    pub failures: [u64; DPLX_COUNTS],
    /// The time in milliseconds for which an idle connection to it is used, because its server closes it soon
    /// afterwards; 0 if no such limit is known.
    pub idle_limit_ms: u64,
    /// The number of requests for which a connection to it is used, because its server closes it then; 0 if no such
    /// limit is known.
    pub use_limit: u64,
}

// SAFETY: it is repr(C), begins with its size, and consists of integers.
unsafe impl SizeFirst for dplx_pool_stats_t {}
// SAFETY: likewise.
unsafe impl SizeFirst for dplx_host_stats_t {}

/// Returns the statistics of the connections of a context. The numbers are read one after the other while other
/// threads go on, so they may not match each other exactly. With `DPLX_STATS=1` in the environment a table of them
/// goes to stderr when a context is freed, or when the process exits without that.
///
/// @param ctx the context
/// @param stats receives the statistics. The caller sets its `size`
/// @return DPL_SUCCESS; DPL_EINVAL if an argument is NULL, or `size` is smaller than sizeof(size_t)
///
/// # Safety
/// `ctx` is NULL or points to a `dpl_ctx_t`; `stats` is NULL or begins with its size, and is writable for
/// that many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dplx_pool_stats(ctx: *mut dpl_ctx_t, stats: *mut dplx_pool_stats_t) -> dpl_status_t {
    const NAME: &CStr = c"dplx_pool_stats";
    guard(NAME, Error::Failure.status(), || {
        // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t` (contract of this function).
        let Some(context) = (unsafe { context(ctx, NAME) }) else { return Error::Invalid.status() };
        let facts = pool_facts(context.client().statistics());
        // SAFETY: `stats` is NULL, or begins with its size and is writable for that many bytes (contract of this
        // function).
        if !unsafe { fill(stats, &facts) } {
            refuse(Some(context), NAME, "the struct is NULL, or its size is not set");
            return Error::Invalid.status();
        }
        SUCCESS
    })
}

/// Returns the statistics of the hosts of a context, in the order of its list.
///
/// @param ctx the context
/// @param stats an array that receives the statistics of the first `n` hosts. The caller sets the `size` of its first
///        element, which holds for all. May be NULL if `n` is 0
/// @param n the number of elements of `stats`
/// @return the number of hosts, which may be more than `n`; DPL_EINVAL if an argument is NULL, `n` is negative, or
///         `size` is smaller than sizeof(size_t)
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
        // SAFETY: `ctx` is NULL or points to a `dpl_ctx_t` (contract of this function).
        let Some(context) = (unsafe { context(ctx, NAME) }) else { return Error::Invalid.status() };
        let hosts = context.host_statistics();
        let room = usize::try_from(n).unwrap_or(0).min(hosts.len());
        // SAFETY: `stats` is NULL, or has `n` elements of the size that the first begins with (contract of this
        // function); no more than `n` are filled in.
        if n < 0 || !unsafe { fill_hosts(stats, &hosts[..room]) } {
            refuse(
                Some(context),
                NAME,
                &format!("invalid array ({n} elements), or the size of its first element is not set"),
            );
            return Error::Invalid.status();
        }
        c_int::try_from(hosts.len()).unwrap_or(c_int::MAX)
    })
}

/// Returns the name of a dplx_fault_t.
///
/// @param fault the fault
/// @return a constant such as "refused"; "" for an unknown number
#[unsafe(no_mangle)]
pub extern "C" fn dplx_fault_text(fault: c_int) -> *const c_char {
    name(&fault::NAMES, fault)
}

/// Returns the name of a dplx_closing_t.
///
/// @param closing the reason
/// @return a constant such as "stale"; "" for an unknown number
#[unsafe(no_mangle)]
pub extern "C" fn dplx_closing_text(closing: c_int) -> *const c_char {
    name(&metrics::NAMES, closing)
}

/// Returns the name of a dplx_host_state_t.
///
/// @param state the state
/// @return a constant such as "available"; "" for an unknown number
#[unsafe(no_mangle)]
pub extern "C" fn dplx_host_state_text(state: c_int) -> *const c_char {
    name(&hosts::STATE_NAMES, state)
}

fn name(names: &[&'static CStr], number: c_int) -> *const c_char {
    let name = usize::try_from(number).ok().and_then(|number| names.get(number));
    name.map_or(c"".as_ptr(), |name| name.as_ptr())
}

/// Fills in an array whose elements have the size that the first begins with. Returns false if the array or that size
/// is invalid.
///
/// # Safety
/// `stats` is NULL, or has at least as many elements as `hosts`.
unsafe fn fill_hosts(stats: *mut dplx_host_stats_t, hosts: &[HostStatistics]) -> bool {
    if hosts.is_empty() {
        return true;
    }
    if stats.is_null() || !stats.is_aligned() {
        return false;
    }
    // SAFETY: aligned and not NULL, and it has an element (contract of this function).
    let size = unsafe { (*stats).size };
    hosts.iter().enumerate().all(|(index, host)| {
        // SAFETY: the array has an element of this size for each host (contract of this function). An element that is
        // not aligned, since `size` is no multiple of the alignment, is not written to.
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
    let PoolStatistics { idle, in_use, connecting, waiting, reused, counts } = statistics;
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
        waiting,
        limit_waits: counts.limit_waits,
        limit_timeouts: counts.limit_timeouts,
    }
}

fn host_facts(statistics: &HostStatistics) -> dplx_host_stats_t {
    let HostStatistics { host, state, fault, idle, known, metrics } = statistics;
    dplx_host_stats_t {
        size: size_of::<dplx_host_stats_t>(),
        host: cut(host.name()),
        port: cut(host.port()),
        state: state.number() as i32,
        fault: fault.map_or(-1, |fault| fault as i32),
        blacklisted_until: statistics.blacklisted_until(),
        idle: *idle,
        attempts: metrics.attempts,
        full_handshakes: metrics.full_handshakes,
        resumed_handshakes: metrics.resumed_handshakes,
        failures: padded(&metrics.failures),
        idle_limit_ms: known.idle.map_or(0, |idle| u64::try_from(idle.as_millis()).unwrap_or(u64::MAX)),
        use_limit: known.uses.map_or(0, |uses| uses.max(1).into()),
    }
}

fn padded(counts: &[u64]) -> [u64; DPLX_COUNTS] {
    std::array::from_fn(|index| counts.get(index).copied().unwrap_or(0))
}

/// Returns the beginning of a text that there is room for.
fn cut<const N: usize>(text: &CStr) -> [c_char; N] {
    let mut room = [0; N];
    for (place, byte) in room[..N - 1].iter_mut().zip(text.to_bytes()) {
        *place = *byte as c_char;
    }
    room
}
