//! `dpl_ctx`: the one view of it, in whichever layout, and where its client hangs.
//!
//! Programs write single fields while other threads are in our code, so no reference to a context is ever
//! made: each field is read and written as a relaxed atomic, by its address.

use std::fmt;
use std::mem::offset_of;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use libc::{c_int, c_void};

use super::addrlist::AddrList;
use super::connection::Connection;
use super::layout::{AddrListHead, BAREOS_USE_HTTPS, Context30, ContextBareos};
use super::logging::{CallLog, look_into_object_of};
use super::slab::{InSlab, Name, Slab};
use droplet_client::checkout::{Client, HostStatistics, Settings, Table};
use droplet_client::hosts::Hosts;
use droplet_client::log;
use droplet_client::net::tls::Security;
use droplet_client::os::clock;
use droplet_client::os::fork;
use droplet_client::os::libssl::{self, share_context};
use droplet_client::pool;
use droplet_client::status::Error;

/// A `dpl_ctx_t`, of which only [`Context`] knows the inside.
#[repr(C)]
pub struct ContextHead {
    _opaque: [u8; 0],
}

/// Where the fields lie that this library uses.
struct Layout {
    n_conn_buckets: usize,
    n_conn_max: usize,
    n_conn_max_hits: usize,
    conn_idle_time: usize,
    conn_timeout: usize,
    read_timeout: usize,
    use_https: (usize, u32),
    addrlist: usize,
    cur_host: usize,
    blacklist_expiretime: usize,
    trace_level: usize,
    max_redirects: usize,
    read_buf_size: usize,
    backend: usize,
    ssl_ctx: usize,
    conn_buckets: usize,
    n_conn_fds: usize,
}

macro_rules! layout {
    ($context:ty, $use_https:expr) => {
        Layout {
            n_conn_buckets: offset_of!($context, n_conn_buckets),
            n_conn_max: offset_of!($context, n_conn_max),
            n_conn_max_hits: offset_of!($context, n_conn_max_hits),
            conn_idle_time: offset_of!($context, conn_idle_time),
            conn_timeout: offset_of!($context, conn_timeout),
            read_timeout: offset_of!($context, read_timeout),
            use_https: $use_https,
            addrlist: offset_of!($context, addrlist),
            cur_host: offset_of!($context, cur_host),
            blacklist_expiretime: offset_of!($context, blacklist_expiretime),
            trace_level: offset_of!($context, trace_level),
            max_redirects: offset_of!($context, max_redirects),
            read_buf_size: offset_of!($context, read_buf_size),
            backend: offset_of!($context, backend),
            ssl_ctx: offset_of!($context, ssl_ctx),
            conn_buckets: offset_of!($context, conn_buckets),
            n_conn_fds: offset_of!($context, n_conn_fds),
        }
    };
}

static LAYOUTS: [Layout; 2] = [
    layout!(Context30, (offset_of!(Context30, use_https), u32::MAX)),
    layout!(ContextBareos, (offset_of!(ContextBareos, flags), BAREOS_USE_HTTPS)),
];

/// What a new context holds before its profile can have changed it (`constants.tsv`).
const LIMITS_OF_A_NEW_CONTEXT: [c_int; 4] = [1021, 900, 50, 100];
const REDIRECTS_OF_A_NEW_CONTEXT: c_int = 10;

/// A context's memory, seen through its layout.
#[derive(Clone, Copy)]
pub struct View {
    context: *mut ContextHead,
    layout: &'static Layout,
}

// SAFETY: the context is shared among threads by C; fields are accessed atomically.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    fn int(&self, offset: usize) -> &AtomicI32 {
        // SAFETY: the layout was recognised, so an aligned int lies there for as long as the context lives.
        unsafe { AtomicI32::from_ptr(self.context.byte_add(offset).cast()) }
    }

    fn pointer(&self, offset: usize) -> &AtomicPtr<c_void> {
        // SAFETY: the layout was recognised, so an aligned pointer lies there for as long as the context lives.
        unsafe { AtomicPtr::from_ptr(self.context.byte_add(offset).cast()) }
    }

    #[inline]
    fn read(&self, offset: usize) -> c_int {
        self.int(offset).load(Ordering::Relaxed)
    }

    /// Whether this is a new context, as its owner has it when it makes the pool.
    fn is_new(&self) -> bool {
        let layout = self.layout;
        let limits =
            [layout.n_conn_buckets, layout.n_conn_max, layout.n_conn_max_hits, layout.conn_idle_time];
        limits.map(|offset| self.read(offset)) == LIMITS_OF_A_NEW_CONTEXT
            && self.read(layout.max_redirects) == REDIRECTS_OF_A_NEW_CONTEXT
            && self.pointer(layout.conn_buckets).load(Ordering::Relaxed).is_null()
            && self.read(layout.n_conn_fds) == 0
            && self.has_our_hosts()
    }

    fn has_our_hosts(&self) -> bool {
        let list = self.pointer(self.layout.addrlist).load(Ordering::Relaxed);
        list.is_null() || AddrList::of(list.cast()).is_some()
    }

    /// Its address.
    pub fn pointer_to_context(&self) -> *mut ContextHead {
        self.context
    }

    /// How long, and how often, a connection may serve.
    #[inline]
    pub fn limits(&self) -> pool::Limits {
        pool::Limits {
            idle_time: clock::seconds(self.read(self.layout.conn_idle_time)).unwrap_or_default(),
            // Compared without its sign, as in the original: -1 is no limit.
            reuses: self.read(self.layout.n_conn_max_hits) as u32,
        }
    }

    /// What it allows new connections.
    #[inline]
    pub fn settings(&self) -> Settings {
        let layout = self.layout;
        Settings {
            connections: self.read(layout.n_conn_max),
            connect_timeout: Settings::connect_timeout(self.read(layout.conn_timeout)),
            blacklist: clock::expiry(self.read(layout.blacklist_expiretime).into()),
        }
    }

    /// The size of a connection's read buffer, in bytes.
    pub fn read_buffer_size(&self) -> usize {
        self.read(self.layout.read_buf_size) as u32 as usize
    }

    /// How connections are secured: not at all, unless the context says `use_https`.
    pub fn security(&self) -> Result<Option<Security>, Error> {
        let (offset, mask) = self.layout.use_https;
        if self.read(offset) as u32 & mask == 0 {
            return Ok(None);
        }
        let context = self.pointer(self.layout.ssl_ctx).load(Ordering::Relaxed);
        // SAFETY: the field is NULL or holds the context's own SSL_CTX.
        let context = unsafe { share_context(context) }.ok_or(Error::Invalid)?;
        Ok(Some(Security { context, read_timeout: self.tls_read_timeout() }))
    }

    /// How long C's reads by OpenSSL may wait; `None` is for ever. So is 0: the original has no limit there, and
    /// programs that say 0 work with it.
    #[inline]
    pub fn tls_read_timeout(&self) -> Option<Duration> {
        self.read_timeout().filter(|timeout| !timeout.is_zero())
    }

    /// The `SSL_CTX` as it is now; NULL if there is none.
    #[inline]
    pub fn ssl_context(&self) -> *const c_void {
        self.pointer(self.layout.ssl_ctx).load(Ordering::Relaxed)
    }

    /// Another OpenSSL than ours, if its `SSL_CTX` is of that.
    fn foreign_openssl(&self) -> Option<libssl::Foreign> {
        // SAFETY: the field is NULL or holds the context's own SSL_CTX.
        unsafe { libssl::foreign(self.ssl_context()) }
    }

    /// How long C's reads may wait; `None` is for ever.
    #[inline]
    pub fn read_timeout(&self) -> Option<Duration> {
        clock::seconds(self.read(self.layout.read_timeout))
    }

    /// The bits of `DPL_TRACE_*` that are switched on.
    #[inline]
    pub fn trace_level(&self) -> u32 {
        self.read(self.layout.trace_level) as u32
    }

    /// Its list of hosts, if it has one.
    #[inline]
    pub fn hosts(&self) -> Option<&'static Arc<Hosts>> {
        let list = self.pointer(self.layout.addrlist).load(Ordering::Relaxed);
        AddrList::of(list.cast::<AddrListHead>()).map(AddrList::hosts)
    }

    /// Counts the checkouts.
    #[inline]
    pub fn calls(&self) -> &AtomicU32 {
        // SAFETY: as for `int`; an unsigned one is laid out alike.
        unsafe { AtomicU32::from_ptr(self.context.byte_add(self.layout.cur_host).cast()) }
    }
}

/// A context whose pool we made: what `ctx->conn_buckets` points to.
pub struct Context {
    view: View,
    client: Client<Connection>,
    /// Contexts are numbered: a later one may lie in the same memory.
    number: u64,
    /// Whether messages about it are not printed.
    is_quiet: AtomicBool,
}

static CONTEXTS: Slab<Context> = Slab::new();

impl InSlab for Context {
    #[inline]
    fn slab() -> &'static Slab<Context> {
        &CONTEXTS
    }
}

/// Names a context for as long as the process lives.
#[derive(Clone, Copy)]
pub struct ContextId {
    name: Name<Context>,
    number: u64,
}

// SAFETY: it is compared and looked up, never followed unchecked.
unsafe impl Send for ContextId {}

impl ContextId {
    /// The context, unless it was freed.
    #[inline]
    pub fn context(&self) -> Option<&'static Context> {
        CONTEXTS.named(self.name).filter(|context| context.number == self.number)
    }
}

/// Why a context gets no pool.
pub enum NoPool {
    /// Its layout is not known, or it has one already.
    Layout,
    /// Its TLS is another library's.
    OpenSsl(libssl::Foreign),
    /// There is no memory for it.
    OutOfMemory,
}

impl NoPool {
    /// The status for C.
    pub fn error(&self) -> Error {
        match self {
            NoPool::Layout | NoPool::OpenSsl(_) => Error::Failure,
            NoPool::OutOfMemory => Error::OutOfMemory,
        }
    }
}

impl fmt::Display for NoPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoPool::Layout => f.write_str(
                "this dpl_ctx_t is laid out neither as in Droplet 3.0 nor as in Bareos, \
                 or has its pool already: no pool was made",
            ),
            NoPool::OpenSsl(foreign) => write!(f, "{foreign}: no pool was made"),
            NoPool::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl Context {
    /// Makes the pool of a new context.
    ///
    /// # Safety
    /// `context` points to a `dpl_ctx_t` of some revision of Droplet.
    pub unsafe fn make(context: *mut ContextHead) -> Result<(), NoPool> {
        static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);
        let views = LAYOUTS.iter().map(|layout| View { context, layout });
        let view = views.into_iter().find(View::is_new).ok_or(NoPool::Layout)?;
        if let Some(foreign) = view.foreign_openssl() {
            return Err(NoPool::OpenSsl(foreign));
        }
        fork::run_in_children(forget_parent).map_err(|_| NoPool::OutOfMemory)?;
        // A backend is a constant of Droplet's, whatever object that lies in.
        look_into_object_of(view.pointer(view.layout.backend).load(Ordering::Relaxed));
        let gauge = Box::new(move |open| {
            view.int(view.layout.n_conn_fds).store(open, Ordering::Relaxed);
        });
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let client = Client::new(gauge);
        let context = Context { view, client, number, is_quiet: AtomicBool::new(false) };
        let made = CONTEXTS.insert(context).map_err(|_| NoPool::OutOfMemory)?.into_raw();
        view.pointer(view.layout.conn_buckets).store(made.cast(), Ordering::Release);
        Ok(())
    }

    /// The pool of a context, if it has one of ours.
    ///
    /// # Safety
    /// `context` is NULL or points to a `dpl_ctx_t` of some revision of Droplet.
    #[inline]
    pub unsafe fn of(context: *mut ContextHead) -> Option<&'static Context> {
        if context.is_null() {
            return None;
        }
        LAYOUTS.iter().find_map(|layout| {
            // What lies there in the other layout is some other pointer: the slab does not follow it.
            let pool = View { context, layout }.pointer(layout.conn_buckets).load(Ordering::Relaxed);
            CONTEXTS.get(pool.cast()).filter(|made| made.view.context == context)
        })
    }

    /// Closes the pool of a context that is about to be freed, if it has one. Connections that are still in
    /// use are told of.
    ///
    /// # Safety
    /// As [`Context::of`].
    pub unsafe fn unmake(context: *mut ContextHead) {
        // SAFETY: the caller's promise.
        let Some(found) = (unsafe { Context::of(context) }) else { return };
        let in_use = found.client.statistics().in_use;
        if in_use > 0 {
            let function = c"dpl_conn_pool_destroy";
            let log = CallLog { context: Some(found), function, is_in_passing: true };
            log!(&log, Warning, "connections of this context are still in use: {in_use}");
        }
        let Some(held) = CONTEXTS.take(found) else { return };
        held.view.pointer(held.view.layout.conn_buckets).store(ptr::null_mut(), Ordering::Relaxed);
        held.print_statistics();
        held.client.detach();
    }

    /// How its hosts stand.
    pub fn host_statistics(&self) -> Vec<HostStatistics> {
        self.view.hosts().map_or(Vec::new(), |hosts| self.client.host_statistics(hosts))
    }

    /// Prints the statistics on stderr, if the environment says `DPLX_STATS=1`.
    fn print_statistics(&self) {
        if Table::is_wanted() {
            Table { pool: self.client.statistics(), hosts: self.host_statistics() }.print();
        }
    }

    /// Its fields.
    #[inline]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Its connections.
    #[inline]
    pub fn client(&self) -> &Client<Connection> {
        &self.client
    }

    /// Whether messages about it are for dplx_last_error() and dplx_set_log() only.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Relaxed)
    }

    /// From now on they are.
    pub fn be_quiet(&self) {
        self.is_quiet.store(true, Ordering::Relaxed);
    }

    /// What it is told from others by; nothing for one that was never handed out to C.
    pub fn id(&self) -> Option<ContextId> {
        CONTEXTS.name(self).map(|name| ContextId { name, number: self.number })
    }
}

/// Makes all that C has forget, in a forked child, what belongs to the parent.
pub fn forget_parent() {
    for context in CONTEXTS.handed_out().filter_map(|context| CONTEXTS.get(context)) {
        context.client.forget_parent();
    }
    AddrList::forget_parent();
}
