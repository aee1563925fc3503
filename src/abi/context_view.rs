//! `dpl_ctx_t`: the one view of its fields, in any layout.
//!
//! Programs write single fields while other threads are in this library, so no reference to a context is ever made:
//! each field is read and written as a relaxed atomic, by its address.

use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

use libc::{c_int, c_void};

use super::addrlist::AddrList;
use super::droplet;
use super::layout::{
    AddrListHead, BAREOS_KEEP_ALIVE, BAREOS_USE_HTTPS, Context30, Context201406, Context201504,
    ContextBareos, ContextHead,
};
use super::slab::ErasedName;
use droplet_client::checkout::Settings;
use droplet_client::hosts::Hosts;
use droplet_client::net::tls::Security;
use droplet_client::os::clock;
use droplet_client::os::libssl::{self, share_context};
use droplet_client::pool;
use droplet_client::status::Error;

/// Offsets of the fields that this library uses.
struct Layout {
    n_conn_buckets: usize,
    n_conn_max: usize,
    n_conn_max_hits: usize,
    conn_idle_time: usize,
    conn_timeout: usize,
    read_timeout: usize,
    /// Reads of Droplet's own reply reader before it gives up. Each waits for the read timeout.
    reads: u32,
    /// True if a read timeout of 0 is none.
    zero_is_for_ever: bool,
    use_https: (usize, u32),
    keep_alive: (usize, u32),
    header_size: usize,
    addrlist: usize,
    cur_host: usize,
    blacklist_expiretime: usize,
    trace_level: usize,
    /// Numbers that are 0 or 1, whatever the profile says.
    switches: &'static [usize],
    max_redirects: usize,
    read_buf_size: usize,
    backend: usize,
    ssl_ctx: usize,
    conn_buckets: usize,
    n_conn_fds: usize,
    cwds: usize,
    cur_bucket: usize,
    droplet_dir: usize,
    profile_name: usize,
    pricing_dir: usize,
}

macro_rules! layout {
    // A revision of 3.0, and those of its switches that stand after each other.
    ($context:ty: $($switch:ident)*) => {
        layout!(
            $context,
            (offset_of!($context, use_https), u32::MAX),
            (offset_of!($context, keep_alive), u32::MAX),
            &[$(offset_of!($context, $switch)),*],
            1,
            false
        )
    };
    ($context:ty, $use_https:expr, $keep_alive:expr, $switches:expr, $reads:expr, $zero_is_for_ever:expr) => {
        Layout {
            n_conn_buckets: offset_of!($context, n_conn_buckets),
            n_conn_max: offset_of!($context, n_conn_max),
            n_conn_max_hits: offset_of!($context, n_conn_max_hits),
            conn_idle_time: offset_of!($context, conn_idle_time),
            conn_timeout: offset_of!($context, conn_timeout),
            read_timeout: offset_of!($context, read_timeout),
            reads: $reads,
            zero_is_for_ever: $zero_is_for_ever,
            use_https: $use_https,
            keep_alive: $keep_alive,
            header_size: offset_of!($context, header_size),
            addrlist: offset_of!($context, addrlist),
            cur_host: offset_of!($context, cur_host),
            blacklist_expiretime: offset_of!($context, blacklist_expiretime),
            trace_level: offset_of!($context, trace_level),
            switches: $switches,
            max_redirects: offset_of!($context, max_redirects),
            read_buf_size: offset_of!($context, read_buf_size),
            backend: offset_of!($context, backend),
            ssl_ctx: offset_of!($context, ssl_ctx),
            conn_buckets: offset_of!($context, conn_buckets),
            n_conn_fds: offset_of!($context, n_conn_fds),
            cwds: offset_of!($context, cwds),
            cur_bucket: offset_of!($context, cur_bucket),
            droplet_dir: offset_of!($context, droplet_dir),
            profile_name: offset_of!($context, profile_name),
            pricing_dir: offset_of!($context, pricing_dir),
        }
    };
}

/// Every call looks for its context in this order.
static LAYOUTS: [Layout; 4] = [
    layout!(Context30: encode_slashes empty_folder_emulation keep_alive url_encoding preserve_root_path),
    layout!(
        ContextBareos,
        (offset_of!(ContextBareos, flags), BAREOS_USE_HTTPS),
        (offset_of!(ContextBareos, flags), BAREOS_KEEP_ALIVE),
        &[],
        3,
        true
    ),
    layout!(Context201504: encode_slashes empty_folder_emulation keep_alive url_encoding),
    layout!(Context201406: encode_slashes keep_alive url_encoding),
];

/// Values that a new context has in `n_conn_buckets`, `n_conn_max`, `n_conn_max_hits` and `conn_idle_time`, and that no
/// profile changes (`constants.tsv`).
pub(super) const LIMITS_OF_A_NEW_CONTEXT: [c_int; 4] = [1021, 900, 50, 100];
/// As above, of `max_redirects`.
pub(super) const REDIRECTS_OF_A_NEW_CONTEXT: c_int = 10;

/// The memory of a context, seen through its layout.
#[derive(Clone, Copy)]
pub struct View {
    context: *mut ContextHead,
    layout: &'static Layout,
    /// The field that says `use_https`, and the bits of it that count: every checkout reads them.
    use_https: (*mut c_int, u32),
}

// SAFETY: threads share the context, and its fields are accessed atomically.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    fn int(&self, offset: usize) -> &AtomicI32 {
        // SAFETY: `context` points to a `dpl_ctx_t` (contracts of `of_new` and `in_each_layout`), in which an aligned
        // int lies at this offset. In a wrong layout it is some other field.
        unsafe { AtomicI32::from_ptr(self.context.byte_add(offset).cast()) }
    }

    fn pointer(&self, offset: usize) -> &AtomicPtr<c_void> {
        // SAFETY: as in `int`, for an aligned pointer.
        unsafe { AtomicPtr::from_ptr(self.context.byte_add(offset).cast()) }
    }

    fn is_null(&self, offset: usize) -> bool {
        self.pointer(offset).load(Ordering::Relaxed).is_null()
    }

    #[inline]
    fn read(&self, offset: usize) -> c_int {
        self.int(offset).load(Ordering::Relaxed)
    }

    /// Returns whether this is a new context in this layout. In another one, some of the places that are looked at have
    /// fields whose values do not fit, whatever the profile says.
    fn is_new(&self, is_own: bool) -> bool {
        let layout = self.layout;
        let limits =
            [layout.n_conn_buckets, layout.n_conn_max, layout.n_conn_max_hits, layout.conn_idle_time];
        limits.map(|offset| self.read(offset)) == LIMITS_OF_A_NEW_CONTEXT
            && self.read(layout.max_redirects) == REDIRECTS_OF_A_NEW_CONTEXT
            && layout.switches.iter().all(|&offset| matches!(self.read(offset), 0 | 1))
            && droplet::is_in_a_loaded_object(self.backend())
            && self.is_null(layout.conn_buckets)
            && self.read(layout.n_conn_fds) == 0
            && self.has_its_names(is_own)
            && self.has_our_hosts()
    }

    /// Returns whether the pointers behind the pool are those of a context. Droplet sets the first two after the
    /// pool, and a program may make the pool again. In a context of this library's own, only the second one is set. Of a
    /// user without a home directory Droplet knows no directory and no name, and then it needs `pricing_dir`.
    fn has_its_names(&self, is_own: bool) -> bool {
        let layout = self.layout;
        let is_set = |offset| !self.is_null(offset);
        let names = [layout.droplet_dir, layout.profile_name, layout.pricing_dir].map(is_set);
        let (has_directories, has_bucket) = (is_set(layout.cwds), is_set(layout.cur_bucket));
        (has_directories == has_bucket || is_own) && matches!(names, [true, true, _] | [false, false, true])
    }

    /// Returns the view of a new context, if it has one known layout, and no other one too. `is_own` says that this
    /// library made it.
    ///
    /// # Safety
    /// `context` points to a `dpl_ctx_t` of some revision of Droplet.
    pub unsafe fn of_new(context: *mut ContextHead, is_own: bool) -> Option<View> {
        // SAFETY: the contract of this function.
        let mut fitting = unsafe { View::in_each_layout(context) }.filter(|view| view.is_new(is_own));
        let view = fitting.next()?;
        fitting.next().is_none().then_some(view)
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

    /// Returns the address of the context.
    pub fn pointer_to_context(&self) -> *mut ContextHead {
        self.context
    }

    /// Returns how long a connection may stay idle and how often it may be reused.
    #[inline]
    pub fn limits(&self) -> pool::Limits {
        // The number is compared as an unsigned one, as in Droplet: -1 is no limit.
        let reuses = self.read(self.layout.n_conn_max_hits) as u32;
        pool::Limits::from_seconds(self.read(self.layout.conn_idle_time), reuses)
    }

    /// Returns the settings for new connections. `wait` is none of the fields.
    #[inline]
    pub fn settings(&self, wait: Option<Duration>) -> Settings {
        let layout = self.layout;
        Settings {
            connections: self.read(layout.n_conn_max),
            connect_timeout: Settings::connect_timeout(self.read(layout.conn_timeout)),
            blacklist: clock::expiry(self.read(layout.blacklist_expiretime).into()),
            wait,
        }
    }

    /// Returns the size of a connection's read buffer in bytes.
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

    /// Returns how new connections are secured; `None` if the context does not want TLS.
    pub fn security(&self) -> Result<Option<Security>, Error> {
        if !self.uses_https() {
            return Ok(None);
        }
        let context = self.pointer(self.layout.ssl_ctx).load(Ordering::Relaxed);
        // SAFETY: the `ssl_ctx` field is NULL or points to an SSL_CTX that the context holds.
        let context = unsafe { share_context(context) }.ok_or(Error::Invalid)?;
        Ok(Some(Security { context, read_timeout: self.tls_read_timeout() }))
    }

    /// Returns how long `SSL_read` of C may wait; `None` is for ever. 0 is for ever as well: Droplet has no limit
    /// there, and programs that set 0 work with it.
    #[inline]
    pub fn tls_read_timeout(&self) -> Option<Duration> {
        self.read_timeout().filter(|timeout| !timeout.is_zero())
    }

    /// Returns the `SSL_CTX` of the context; NULL if there is none.
    #[inline]
    pub fn ssl_context(&self) -> *const c_void {
        self.pointer(self.layout.ssl_ctx).load(Ordering::Relaxed)
    }

    /// Returns the OpenSSL that made the context's `SSL_CTX`, if it is another than the one of this library.
    pub fn foreign_openssl(&self) -> Option<libssl::Foreign> {
        // SAFETY: the `ssl_ctx` field is NULL or points to an SSL_CTX that the context holds.
        unsafe { libssl::foreign(self.ssl_context()) }
    }

    /// Returns how long reads may wait; `None` is for ever.
    #[inline]
    pub fn read_timeout(&self) -> Option<Duration> {
        clock::seconds(self.read(self.layout.read_timeout))
    }

    /// Returns how long each read of a reply may wait; `None` is for ever. It is as long as Droplet's own reply reader
    /// waits: for `read_timeout`, or three times as long in Bareos. If `read_timeout` is 0, Bareos waits for ever, and
    /// so do both over TLS; the other one does not wait on a plain socket.
    pub fn reply_timeout(&self, is_secured: bool) -> Option<Duration> {
        let Layout { reads, zero_is_for_ever, .. } = *self.layout;
        let timeout = self.read_timeout()?.saturating_mul(reads);
        (!timeout.is_zero() || !(is_secured || zero_is_for_ever)).then_some(timeout)
    }

    /// Returns the `header_size` field, if it is a number of bytes.
    pub fn header_size(&self) -> Option<usize> {
        usize::try_from(self.read(self.layout.header_size)).ok().filter(|size| *size > 0)
    }

    /// Returns whether connections serve more than one request.
    pub fn keeps_alive(&self) -> bool {
        let (offset, mask) = self.layout.keep_alive;
        self.read(offset) as u32 & mask != 0
    }

    /// Returns the kinds of trace that are switched on, as bits of `DPL_TRACE_*`.
    #[inline]
    pub fn trace_level(&self) -> u32 {
        self.read(self.layout.trace_level) as u32
    }

    /// Returns the hosts of the context, if it has a list.
    #[inline]
    pub fn hosts(&self) -> Option<&'static Arc<Hosts>> {
        let list = self.pointer(self.layout.addrlist).load(Ordering::Relaxed);
        AddrList::of(list.cast::<AddrListHead>()).map(AddrList::hosts)
    }

    /// Returns the `conn_buckets` field, which points to the context's pool.
    #[inline]
    pub fn pool_field(&self) -> &AtomicPtr<c_void> {
        self.pointer(self.layout.conn_buckets)
    }

    /// Returns the `n_conn_fds` field: the number of open connections.
    pub fn open_connections(&self) -> &AtomicI32 {
        self.int(self.layout.n_conn_fds)
    }

    /// Returns the `backend` field, which points to a constant in the loaded object that made the context.
    pub fn backend(&self) -> *const c_void {
        self.pointer(self.layout.backend).load(Ordering::Relaxed)
    }

    /// Returns the `cur_host` field: the number of checkouts, by which hosts take turns.
    #[inline]
    pub fn calls(&self) -> &AtomicU32 {
        // SAFETY: as in `int`; an unsigned int has the same layout.
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
