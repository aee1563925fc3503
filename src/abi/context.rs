//! A context and its connections: the value that `ctx->conn_buckets` points to.

use std::fmt;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::connection::Connection;
use super::context_view::{ContextId, View};
use super::droplet;
use super::layout::ContextHead;
use super::slab::{InSlab, Slab};
use droplet_client::checkout::{Client, HostStatistics, are_wanted_at_exit};
use droplet_client::log;
use droplet_client::log::Log;
use droplet_client::os::clock::{self, Moment};
use droplet_client::os::fork;
use droplet_client::os::libssl;
use droplet_client::os::sys;
use droplet_client::status::Error;

/// A context with a pool of this library.
pub struct Context {
    view: View,
    client: Client<Connection>,
    /// Number of the context: a later one may lie in the same memory.
    number: u64,
    /// The time in milliseconds that a call waits at `n_conn_max`; negative is for ever.
    wait_ms: AtomicI32,
    /// True if messages about it are not printed.
    is_quiet: AtomicBool,
}

static CONTEXTS: Slab<Context> = Slab::new();

/// The number of contexts that are being freed now, and whether the process is at its end. Whoever publishes the
/// statistics then waits for the former; those that are freed later stay in memory, since they may be looked at.
static BEING_FREED: AtomicU32 = AtomicU32::new(0);
static IS_EXITING: AtomicBool = AtomicBool::new(false);

/// The longest time that the end of the process waits for that.
const LONGEST_FREE: Duration = Duration::from_millis(100);

impl InSlab for Context {
    #[inline]
    fn slab() -> &'static Slab<Context> {
        &CONTEXTS
    }
}

/// Reason why a context gets no pool.
pub enum PoolError {
    /// The layout of the context is unknown, or it has a pool already.
    Layout,
    /// Its `SSL_CTX` was made by another OpenSSL.
    OpenSsl(libssl::Foreign),
    /// Out of memory.
    OutOfMemory,
}

impl PoolError {
    /// Returns the status for C.
    pub fn error(&self) -> Error {
        match self {
            PoolError::Layout | PoolError::OpenSsl(_) => Error::Failure,
            PoolError::OutOfMemory => Error::OutOfMemory,
        }
    }
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolError::Layout => f.write_str(
                "this dpl_ctx_t is laid out neither as in Droplet 3.0 since June 2014 nor as in Bareos, \
                 or has its pool already: no pool was made",
            ),
            PoolError::OpenSsl(foreign) => write!(f, "{foreign}: no pool was made"),
            PoolError::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl Context {
    /// Makes the pool of a new context. Returns the context as this library sees it. `is_own` says that this library made
    /// it.
    ///
    /// # Safety
    /// `context` points to a `dpl_ctx_t` of some revision of Droplet.
    pub unsafe fn make(context: *mut ContextHead, is_own: bool) -> Result<&'static Context, PoolError> {
        static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);
        // SAFETY: `context` points to a `dpl_ctx_t` (contract of this function).
        let view = unsafe { View::of_new(context, is_own) }.ok_or(PoolError::Layout)?;
        if let Some(foreign) = view.foreign_openssl() {
            return Err(PoolError::OpenSsl(foreign));
        }
        fork::run_in_children(forget_parent).map_err(|_| PoolError::OutOfMemory)?;
        droplet::look_into_object_of(view.backend());
        let gauge = Box::new(move |open| view.open_connections().store(open, Ordering::Relaxed));
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let client = Client::new(gauge);
        let (wait_ms, is_quiet) = (AtomicI32::new(0), AtomicBool::new(false));
        let context = Context { view, client, number, wait_ms, is_quiet };
        let made = CONTEXTS.insert(context).map_err(|_| PoolError::OutOfMemory)?.into_raw();
        view.pool_field().store(made.cast(), Ordering::Release);
        CONTEXTS.get(made).ok_or(PoolError::Layout)
    }

    /// Returns the context at this address, if it has a pool of this library.
    ///
    /// # Safety
    /// `context` is NULL or points to a `dpl_ctx_t` of some revision of Droplet.
    #[inline]
    pub unsafe fn of(context: *mut ContextHead) -> Option<&'static Context> {
        if context.is_null() {
            return None;
        }
        // SAFETY: not NULL, so it points to a `dpl_ctx_t` (contract of this function).
        unsafe { View::in_each_layout(context) }.find_map(|view| {
            // In the wrong layout this is some other pointer: the slab does not follow it.
            let pool = view.pool_field().load(Ordering::Relaxed);
            CONTEXTS.get(pool.cast()).filter(|made| made.view.pointer_to_context() == context)
        })
    }

    /// Closes the idle connections of a context that is about to be freed, and frees its pool. Connections in use
    /// stay usable.
    pub fn unmake(&'static self) {
        BEING_FREED.fetch_add(1, Ordering::SeqCst);
        self.take_apart();
        BEING_FREED.fetch_sub(1, Ordering::SeqCst);
    }

    fn take_apart(&'static self) {
        let Some(held) = CONTEXTS.take(self) else { return };
        held.view.pool_field().store(ptr::null_mut(), Ordering::Relaxed);
        held.client.detach();
        // A pool that is made again begins without connections.
        held.view.open_connections().store(0, Ordering::Relaxed);
        let is_used = !held.client.end_waits();
        if is_used || IS_EXITING.load(Ordering::SeqCst) {
            mem::forget(held);
        }
    }

    /// Sets the time that calls wait at `n_conn_max` to that of the environment, if there is one.
    pub fn read_environment(&self, log: &impl Log) {
        let Some(text) = sys::environment("DPLX_WAIT_MS") else { return };
        let text = text.to_string_lossy();
        match text.trim().parse() {
            Ok(milliseconds) if milliseconds >= -1 => self.set_wait(milliseconds),
            _ => log!(log, Warning, "DPLX_WAIT_MS: '{text}' is no time in milliseconds"),
        }
    }

    /// Returns how long a call waits at `n_conn_max`; `None` is for ever.
    pub fn wait(&self) -> Option<Duration> {
        clock::milliseconds(self.wait_ms.load(Ordering::Relaxed))
    }

    /// Sets the time in milliseconds that a call waits at `n_conn_max`; -1 is for ever.
    pub fn set_wait(&self, milliseconds: i32) {
        self.wait_ms.store(milliseconds, Ordering::Relaxed);
    }

    /// Returns the statistics of its hosts.
    pub fn host_statistics(&self) -> Vec<HostStatistics> {
        self.view.hosts().map_or(Vec::new(), |hosts| self.client.host_statistics(hosts))
    }

    /// Returns its fields.
    #[inline]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Returns its connections.
    #[inline]
    pub fn client(&self) -> &Client<Connection> {
        &self.client
    }

    /// Returns whether messages about it go to `dplx_last_error` and the log callback only.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Relaxed)
    }

    /// Stops printing messages about it.
    pub fn be_quiet(&self) {
        self.is_quiet.store(true, Ordering::Relaxed);
    }

    /// Returns what identifies the context; `None` for one that was never handed out to C.
    pub fn id(&self) -> Option<ContextId> {
        CONTEXTS.name(self).map(|name| ContextId { name: name.erase(), number: self.number })
    }

    /// Returns the context of this identity, unless it was freed.
    #[inline]
    fn with_id(id: ContextId) -> Option<&'static Context> {
        // SAFETY: every `ContextId` comes from `Context::id`, which erases a `Name<Context>`.
        let name = unsafe { id.name.restore() };
        CONTEXTS.named(name).filter(|context| context.number == id.number)
    }
}

impl Connection {
    /// Returns the context that the connection came from, unless it was freed.
    #[inline]
    pub fn context(&self) -> Option<&'static Context> {
        Context::with_id(self.context_id())
    }
}

/// Publishes the statistics of the contexts that were not freed, at the end of the process. It reads nothing of what the
/// program has allocated, since that may be gone, and logs nothing. If a signal handler ends the process, and has
/// interrupted a thread that holds locks of this library, nothing is published.
pub fn publish_statistics_at_exit() {
    if !are_wanted_at_exit() || fork::is_inside_section() {
        return;
    }
    IS_EXITING.store(true, Ordering::SeqCst);
    let begin = Moment::now();
    let mut round = 0;
    while BEING_FREED.load(Ordering::SeqCst) > 0 {
        // It may be this very thread, in a function of the program that was called meanwhile.
        if Moment::now().since(begin) > LONGEST_FREE {
            return;
        }
        fork::pause(round);
        round += 1;
    }
    for context in CONTEXTS.owned_by_c().filter_map(|context| CONTEXTS.get(context)) {
        context.client.publish_at_exit();
    }
}

/// Makes all contexts forget, in a forked child, what belongs to the parent.
pub fn forget_parent() {
    BEING_FREED.store(0, Ordering::Relaxed);
    for context in CONTEXTS.owned_by_c().filter_map(|context| CONTEXTS.get(context)) {
        context.client.forget_parent();
    }
}
