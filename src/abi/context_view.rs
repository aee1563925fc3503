//! `dpl_ctx_t`: the one view of its fields, in either layout.
//!
//! Programs write single fields while other threads are in this library, so no reference to a context is ever made:
//! each field is read and written as a relaxed atomic, by its address.

use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

use libc::{c_int, c_void};

use super::addrlist::AddrList;
use super::layout::{AddrListHead, BAREOS_USE_HTTPS, Context30, ContextBareos, ContextHead};
use super::slab::ErasedName;
use droplet_client::checkout::Settings;
use droplet_client::hosts::Hosts;
use droplet_client::net::tls::Security;
use droplet_client::os::clock;
use droplet_client::os::libssl::{self, share_context};
use droplet_client::pool;
use droplet_client::status::Error;

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
    /// The field that says `use_https`, and the bits of it that count: every checkout reads them.
    use_https: (*mut c_int, u32),
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

    /// Returns the view of a new context, if its layout is known.
    ///
    /// # Safety
    /// `context` points to a `dpl_ctx_t` of some revision of Droplet.
    pub unsafe fn of_new(context: *mut ContextHead) -> Option<View> {
        // SAFETY: the contract of this function.
        unsafe { View::in_each_layout(context) }.find(View::is_new)
    }

    /// Returns the context as it looks in each known layout. All fields but those of the true layout have
    /// meaningless values.
    ///
    /// # Safety
    /// `context` points to a `dpl_ctx_t` of some revision of Droplet.
    #[inline]
    pub unsafe fn in_each_layout(context: *mut ContextHead) -> impl Iterator<Item = View> {
        LAYOUTS.iter().map(move |layout| {
            let (offset, mask) = layout.use_https;
            View { context, layout, use_https: (context.wrapping_byte_add(offset).cast(), mask) }
        })
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

    /// Returns whether the context wants TLS.
    #[inline]
    pub fn uses_https(&self) -> bool {
        let (field, mask) = self.use_https;
        // SAFETY: as in `int`.
        let value = unsafe { AtomicI32::from_ptr(field) }.load(Ordering::Relaxed);
        value as u32 & mask != 0
    }

    /// How connections are secured: not at all, unless the context says `use_https`.
    pub fn security(&self) -> Result<Option<Security>, Error> {
        if !self.uses_https() {
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
    pub fn foreign_openssl(&self) -> Option<libssl::Foreign> {
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

    /// The `conn_buckets` field, which holds what this library knows of the context.
    #[inline]
    pub fn pool_field(&self) -> &AtomicPtr<c_void> {
        self.pointer(self.layout.conn_buckets)
    }

    /// The `n_conn_fds` field: the number of open connections.
    pub fn open_connections(&self) -> &AtomicI32 {
        self.int(self.layout.n_conn_fds)
    }

    /// The `backend` field: a constant of the object that made the context.
    pub fn backend(&self) -> *const c_void {
        self.pointer(self.layout.backend).load(Ordering::Relaxed)
    }

    /// Counts the checkouts.
    #[inline]
    pub fn calls(&self) -> &AtomicU32 {
        // SAFETY: as for `int`; an unsigned one is laid out alike.
        unsafe { AtomicU32::from_ptr(self.context.byte_add(self.layout.cur_host).cast()) }
    }
}

/// Identifies a context for as long as the process lives, also after the context was freed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContextId {
    /// The place of the context in its slab: it was erased from a `Name<Context>`.
    pub(super) name: ErasedName,
    /// The number of the context: a later one may lie in the same place.
    pub(super) number: u64,
}
