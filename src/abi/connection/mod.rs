//! `dpl_conn`: the face of an [`OpenConnection`] for C.
//!
//! C holds a pointer to the head of a [`ConnectionMemory`] and may read and write its fields between calls. Each call
//! takes the connection back ([`Connection::from_raw`]), looks at what C has changed, and hands it out again.

mod buffer;
mod extras;
mod fields;
mod reader_traces;
mod reply;
mod reserved;

use std::ffi::CStr;
use std::io::IoSlice;
use std::mem;
use std::net::SocketAddr;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use libc::{c_char, c_int};

pub use reply::SteppedReply;
pub use reserved::Reserved;

use self::extras::Extras;
use super::context_view::ContextId;
use super::layout::ConnectionHead;
use super::slab::{Handle, InSlab, Slab};
use droplet_client::checkout::ClientConnection;
use droplet_client::checkout::endpoint::Endpoint;
use droplet_client::checkout::open_connection::OpenConnection;
use droplet_client::fault::Fault;
use droplet_client::http::KeepAlive;
use droplet_client::http::request::WrittenRequest;
use droplet_client::net::stream::{Stream, TransferError};
use droplet_client::os::clock::Moment;
use droplet_client::os::shards::ShardNumber;
use droplet_client::os::sys;
use droplet_client::pool::metrics::CloseReason;
use droplet_client::pool::{Ending, IdleSet, Poolable};
use droplet_client::status::{Error, SUCCESS};

/// One allocation, whose head C knows.
#[repr(C)]
pub struct ConnectionMemory {
    head: ConnectionHead,
    // ---- C sees no further ----
    open: OpenConnection,
    context: ContextId,
    /// The `fd` field of the head when it was last looked at.
    fd: c_int,
    /// True if the `ssl` field of the head leads to the SSL of the stream. The program may set it to NULL.
    has_ssl: bool,
    /// True if C took the descriptor or put another file in its place. The connection is of no use to others then:
    /// it stays in an exchange.
    is_replaced: bool,
    /// The request that was written last.
    request: WrittenRequest,
    /// The reply that this library's reader has read since a request was written.
    reply: Reply,
    extras: Option<Box<Extras>>,
}

/// What this library's reader has read of a reply.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Reply {
    /// Not all of it, or nothing.
    #[default]
    Unread,
    /// All but the line that ends its chunks, which had not come.
    BeforeLastLine,
    /// All of it.
    Over,
}

// SAFETY: the pointers lead to memory that the connection owns, and one thread has it at a time.
unsafe impl Send for ConnectionMemory {}

static CONNECTIONS: Slab<ConnectionMemory> = Slab::new();

impl InSlab for ConnectionMemory {
    #[inline]
    fn slab() -> &'static Slab<ConnectionMemory> {
        &CONNECTIONS
    }
}

/// A connection that Rust owns: it is idle, or in the middle of a call.
pub struct Connection(Handle<ConnectionMemory>);

impl Connection {
    /// Hands the connection to C.
    #[inline]
    pub fn into_raw(self) -> *mut ConnectionHead {
        self.0.into_raw().cast()
    }

    /// Takes back a connection that C has. `None` if C does not have it: it was not created by this library, was
    /// given back before, or is in the middle of a call of another thread.
    #[inline]
    pub fn from_raw(pointer: *mut ConnectionHead) -> Option<Connection> {
        let mut connection = CONNECTIONS.take(pointer.cast()).map(Connection)?;
        connection.follow_fields();
        Some(connection)
    }

    /// Takes back a connection as [`Connection::from_raw`] does, for the end of its use.
    #[inline]
    pub fn from_raw_at_end(pointer: *mut ConnectionHead) -> Option<Connection> {
        let mut connection = CONNECTIONS.take(pointer.cast()).map(Connection)?;
        connection.follow_fields_at_end();
        Some(connection)
    }

    /// Takes the network connection of this context that C has and whose `host` field is this very pointer.
    pub fn owner_of_host_name(context: ContextId, host: *const c_char) -> Option<Connection> {
        // NULL names no connection: the field is NULL in a connection to a file, and where C has freed the name.
        let host = NonNull::new(host.cast_mut())?;
        let owner = CONNECTIONS.owned_by_c().find(|body| {
            // SAFETY: slab memory stays readable. C may change the field meanwhile, and another thread may give the
            // connection back: the pointer is compared, not followed.
            let name = unsafe { ptr::read_volatile(&raw const (**body).head.host) };
            name == host.as_ptr()
        })?;
        let owner = CONNECTIONS.take(owner).map(Connection)?;
        if owner.0.context != context || owner.0.open.endpoint().is_none() {
            owner.into_raw();
            return None;
        }
        Some(owner)
    }

    /// Returns the identity of the context that it came from, which may be freed.
    #[inline]
    pub fn context_id(&self) -> ContextId {
        self.0.context
    }

    /// Notes that more is about to be written: what was read so far is no reply to it.
    #[inline]
    pub fn begin_write(&mut self) {
        let ConnectionMemory { head, open, .. } = &mut *self.0;
        if head.was_read_by_c() {
            open.stream.was_read_elsewhere();
            if head.is_used_up() {
                (head.read_buf_pos, head.cc) = (0, 0);
            }
        } else if !head.is_untouched() {
            open.stream.count_received();
        }
    }

    /// Writes all pieces. A failure leaves the connection broken.
    #[inline]
    pub fn write_all(
        &mut self,
        pieces: &mut [IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> Result<(), TransferError> {
        self.0.open.write_all(pieces, timeout)
    }

    /// Returns the stream that it reads from and writes to.
    #[inline]
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.0.open.stream
    }

    /// Notes that a request is begun. Until [`Connection::end_exchange`] the connection is not pooled.
    pub fn begin_exchange(&mut self) {
        self.0.open.begin_exchange();
    }

    /// Notes that the reply was read to its end, and whether the peer takes no further request after it.
    pub fn end_exchange(&mut self, is_last: bool) {
        self.end_request();
        match is_last {
            _ if self.0.is_replaced => {}
            true => self.0.open.end_last_exchange(),
            false => self.0.open.end_exchange(),
        }
    }

    /// Notes that the reply has come to all that is known of the request.
    pub(super) fn end_request(&mut self) {
        let request = mem::take(&mut self.0.request);
        self.0.open.end_request(&request);
    }

    /// Learns the limits that the server states in a reply.
    pub fn learn_limits(&self, stated: KeepAlive) {
        if !self.0.is_replaced {
            self.0.open.learn_limits(stated);
        }
    }

    /// Returns the part that C knows.
    pub fn head(&self) -> &ConnectionHead {
        &self.0.head
    }

    /// Returns whether the connection failed.
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.0.open.is_broken()
    }

    /// Returns whether C took the descriptor, or put another file in its place.
    pub fn is_replaced(&self) -> bool {
        self.0.is_replaced
    }

    /// Notes that the connection failed: it is closed when it is given back.
    pub fn mark_broken(&mut self) {
        self.0.open.mark_broken();
    }

    /// Returns the fault of the host, if it is to blame for a failed write. It is not if C replaced the descriptor,
    /// or if the TLS session that was resumed may be the reason.
    pub fn fault_of_write(&mut self, error: &TransferError) -> Option<Fault> {
        self.note_foreign_reads();
        if self.0.is_replaced { None } else { self.0.open.fault_of_write(error) }
    }

    /// Returns the reason why the host is not to blame for a connection on which no reply came, if there is one.
    pub fn excuse(&mut self) -> Option<&'static str> {
        if self.was_cancelled() {
            return Some("the program has cancelled it");
        }
        self.note_foreign_reads();
        self.0.open.excuse()
    }

    /// Notes what Droplet's reader did, as far as its traces in the head tell.
    fn note_foreign_reads(&mut self) {
        let ConnectionMemory { head, open, .. } = &mut *self.0;
        open.note_foreign_reads(!head.is_untouched(), head.status == Error::TimedOut.status());
    }

    /// Returns whether a complete reply was read.
    pub fn has_reply(&self) -> bool {
        let head = &self.0.head;
        !head.is_untouched() && head.status == SUCCESS && head.is_used_up()
    }
}

impl Poolable for Connection {
    #[inline]
    fn idle_set(&self) -> Option<&IdleSet> {
        self.0.open.idle_set()
    }

    #[inline]
    fn shard(&self) -> ShardNumber {
        self.0.open.shard()
    }

    #[inline]
    fn set_shard(&mut self, shard: ShardNumber) {
        self.0.open.set_shard(shard);
    }

    #[inline(always)]
    fn is_good(&mut self, rested: bool) -> bool {
        self.0.open.is_good(rested)
    }

    #[inline]
    fn reuses(&self) -> u32 {
        self.0.open.reuses()
    }

    #[inline]
    fn set_idle_since(&mut self, since: Moment) {
        self.0.open.set_idle_since(since);
    }

    fn ending(&self, since: Moment, now: Moment) -> Option<Ending> {
        Poolable::ending(&self.0.open, since, now)
    }

    fn close(mut self, why: CloseReason) {
        self.0.open.set_close_reason(why);
    }
}

impl ClientConnection for Connection {
    #[inline]
    fn begin_reuse(&mut self) {
        let ConnectionMemory { head, open, request, reply, .. } = &mut *self.0;
        open.begin_reuse();
        head.n_hits = open.reuses();
        (*request, *reply) = (WrittenRequest::default(), Reply::Unread);
        // The last reader's traces would mislead the next one.
        head.wipe_traces();
    }

    #[inline]
    fn end_use(&mut self) -> Result<(), CloseReason> {
        let ConnectionMemory { head, open, reply, .. } = &mut *self.0;
        head.close_time = sys::wall_clock_seconds();
        open.end_use(|stream| head.is_reply_read(stream, *reply))?;
        // Without a read buffer it cannot be used again.
        if head.read_buf.is_null() { Err(CloseReason::Terminated) } else { Ok(()) }
    }

    #[inline]
    fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        self.0.open.endpoint()
    }

    #[inline]
    fn peer(&self) -> Option<SocketAddr> {
        self.0.open.peer()
    }
}

impl Drop for ConnectionMemory {
    fn drop(&mut self) {
        self.end_use_of_extras();
        self.free_fields();
    }
}

/// Returns the name of a connection in messages.
pub fn peer_name(connection: &Connection) -> String {
    let text = |name: &CStr| name.to_string_lossy().into_owned();
    match (connection.peer(), connection.endpoint()) {
        (Some(peer), _) => peer.to_string(),
        (None, Some(endpoint)) => text(endpoint.name()),
        (None, None) => format!("file descriptor {}", connection.0.head.fd),
    }
}

// With a byte for its state it takes six cache lines in the slab.
const _: () = assert!(size_of::<ConnectionMemory>() < 384);
