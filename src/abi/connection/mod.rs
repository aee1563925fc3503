//! `dpl_conn`: what C sees of a connection, and what stands behind it.

mod buffer;
mod fields;
mod reserved;

use std::ffi::CStr;
use std::net::SocketAddr;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use libc::{c_char, c_int};

pub use reserved::Reserved;

use super::context::{Context, ContextId};
use super::layout::ConnectionHead;
use super::slab::{Handle, InSlab, Slab};
use droplet_client::checkout::ClientConnection;
use droplet_client::checkout::endpoint::Endpoint;
use droplet_client::net::stream::{File, Socket, Stream};
use droplet_client::net::tls::TlsStream;
use droplet_client::os::fork;
use droplet_client::os::shards::ShardNumber;
use droplet_client::os::sys;
use droplet_client::pool::metrics::CloseReason;
use droplet_client::pool::{IdleSet, Poolable};
use droplet_client::status::{Error, SUCCESS};

/// The first byte of a read buffer that nothing was read into: no reply begins with it. What the reader
/// leaves in `cc` does not tell, it differs among the original's revisions.
const UNTOUCHED: c_char = 1;

/// One allocation, of which C knows the head.
#[repr(C)]
pub struct ConnectionMemory {
    head: ConnectionHead,
    // ---- C sees no further ----
    stream: Stream,
    /// Where it is connected to; nothing for a file.
    endpoint: Option<Arc<Endpoint>>,
    context: ContextId,
    /// What `fd` of the head was when it was last looked at.
    fd: c_int,
    shard: ShardNumber,
    /// It leads to what C put in its place. To others it is of no use: it stays in an exchange.
    is_replaced: bool,
    /// Whether something was read on it since it was checked out, by this library.
    was_read: bool,
    /// It failed, and must not be used again.
    is_broken: bool,
    /// Whether a request or reply is under way that was not said to be complete.
    in_exchange: bool,
    /// Whether the request that was written last waits for a `100 Continue`.
    awaits_continue: bool,
    /// Whether a reply was read to its end, and no request was written since.
    reply_is_over: bool,
    /// What to count it as when it is closed.
    closing: CloseReason,
    /// The process it was opened in.
    forks: u32,
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

/// A connection that is ours: idle, or in the middle of a call.
pub struct Connection(Handle<ConnectionMemory>);

impl Connection {
    /// A connection to a local file, which is taken over once nothing can fail any more.
    pub fn over_file(context: &Context, take_over: impl FnOnce() -> File) -> Result<Connection, Error> {
        Ok(Reserved::over_file(context)?.connection_to_file(context, take_over()))
    }

    /// Hands the connection to C.
    #[inline]
    pub fn into_raw(self) -> *mut ConnectionHead {
        self.0.into_raw().cast()
    }

    /// Takes back what C has. Nothing, if C does not have it: it is no connection of this library, was
    /// given back before, or is in the middle of a call of another thread.
    #[inline]
    pub fn from_raw(pointer: *mut ConnectionHead) -> Option<Connection> {
        let mut connection = CONNECTIONS.take(pointer.cast()).map(Connection)?;
        connection.follow_descriptor();
        Some(connection)
    }

    /// The network connection of this context in use whose `host` field is this very pointer.
    pub fn owner_of_host_name(context: &Context, host: *const c_char) -> Option<Connection> {
        // Where C has freed the name, and in a connection to a file, the field is NULL: that names nobody.
        let host = NonNull::new(host.cast_mut())?;
        let owner = CONNECTIONS.handed_out().find(|body| {
            // SAFETY: slab memory stays readable; the field is C's to change while the connection is handed out.
            // Of one that another thread gives back at this moment the pointer is compared, not followed.
            let name = unsafe { ptr::read_volatile(&raw const (**body).head.host) };
            name == host.as_ptr()
        })?;
        let owner = CONNECTIONS.take(owner).map(Connection)?;
        let is_of_context = owner.context().is_some_and(|its| ptr::eq(its, context));
        if !is_of_context || owner.0.endpoint.is_none() {
            owner.into_raw();
            return None;
        }
        Some(owner)
    }

    /// Ends its use. Nothing speaks against another if nothing failed, the reply was read to its end, and
    /// this process opened it.
    #[inline]
    pub fn end_use(&mut self) -> Result<(), CloseReason> {
        self.0.head.close_time = sys::wall_clock_seconds();
        if self.0.is_broken || self.0.forks != fork::generation() {
            return Err(CloseReason::Failed);
        }
        if self.0.in_exchange || !self.is_between_replies() {
            return Err(CloseReason::Incomplete);
        }
        if self.0.head.read_buf.is_null() {
            return Err(CloseReason::Terminated);
        }
        Ok(())
    }

    /// Whether all that came was read, and nothing may still come. Droplet's reader leaves its traces in the
    /// head, which [`Connection::begin_write`] has wiped out; a program that reads by itself leaves none.
    #[inline]
    fn is_between_replies(&mut self) -> bool {
        if self.0.head.status != SUCCESS {
            return false;
        }
        if self.was_reader_here() {
            self.0.stream.was_read_elsewhere();
            if !self.is_used_up() || (self.is_before_last_line() && !self.0.stream.take_empty_line()) {
                return false;
            }
        } else if self.0.head.eof != 0 {
            return false;
        }
        !self.0.stream.awaits_reply() && self.keep_session()
    }

    /// Whether Droplet's reader has read since the connection was checked out or written to.
    #[inline]
    fn was_reader_here(&self) -> bool {
        self.0.head.cc != 0 || self.0.head.read_buf_pos != 0
    }

    /// More is about to be written: what was read so far is no reply to it.
    #[inline]
    pub fn begin_write(&mut self) {
        if self.was_reader_here() {
            self.0.stream.was_read_elsewhere();
            if self.is_used_up() {
                (self.0.head.read_buf_pos, self.0.head.cc) = (0, 0);
            }
        } else if !self.is_untouched() {
            self.0.stream.count_received();
        }
    }

    /// Leaves a new TLS session to the connections to come, unless there is something unread under TLS.
    #[inline]
    fn keep_session(&mut self) -> bool {
        let Some(tls) = self.0.stream.tls() else { return true };
        if tls.has_unread() {
            return false;
        }
        tls.keep_session();
        true
    }

    /// Whether the reader has used all that it has read: `cc` is what its last read gave and `read_buf_pos`
    /// how much of that it has used. A read that gave nothing met the end of the stream.
    #[inline]
    fn is_used_up(&self) -> bool {
        let ConnectionHead { cc, read_buf_pos, .. } = self.0.head;
        cc > 0 && (cc <= read_buf_pos as isize || self.is_crlf_left())
    }

    /// Droplet's reader leaves the empty line unread that ends a chunked reply (RFC 9112, section 7.1).
    #[cold]
    fn is_crlf_left(&self) -> bool {
        let ConnectionHead { cc, read_buf_pos, read_buf, read_buf_size, .. } = self.0.head;
        let (Ok(start), Ok(end)) = (usize::try_from(read_buf_pos), usize::try_from(cc)) else { return false };
        if read_buf.is_null() || end > read_buf_size || end.checked_sub(start) != Some(2) {
            return false;
        }
        // SAFETY: the reader has filled the buffer up to `cc`.
        unsafe { read_buf.add(start).cast::<[u8; 2]>().read() == *b"\r\n" }
    }

    /// Whether the reader may have stopped behind the last chunk of a reply, before that empty line had come.
    #[inline]
    fn is_before_last_line(&self) -> bool {
        let ConnectionHead { cc, read_buf_pos, read_buf, read_buf_size, .. } = self.0.head;
        let used = usize::try_from(read_buf_pos).unwrap_or(0);
        if cc > read_buf_pos as isize || used > read_buf_size || read_buf.is_null() {
            return false;
        }
        // SAFETY: the reader has filled the buffer up to there.
        let used = unsafe { std::slice::from_raw_parts(read_buf.cast::<u8>(), used) };
        used.ends_with(b"0\r\n") || (used.len() < 3 && used.ends_with(b"\n"))
    }

    /// The context it came from, unless that was freed.
    #[inline]
    pub fn context(&self) -> Option<&'static Context> {
        self.0.context.context()
    }

    /// What it reads from and writes to.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.0.stream
    }

    /// A request was begun: until its reply is said to be complete, the connection is of no use to others.
    pub fn begin_exchange(&mut self) {
        self.0.in_exchange = true;
    }

    /// The reply was read to its end.
    pub fn end_exchange(&mut self) {
        self.0.in_exchange = self.0.is_replaced;
    }

    /// The part that C knows.
    pub fn head(&self) -> &ConnectionHead {
        &self.0.head
    }

    /// Whether it failed.
    pub fn is_broken(&self) -> bool {
        self.0.is_broken
    }

    /// Whether C took its descriptor, or has put another file in its place.
    pub fn is_replaced(&self) -> bool {
        self.0.is_replaced
    }

    /// It failed: given back, it will be closed.
    pub fn mark_broken(&mut self) {
        self.0.is_broken = true;
    }

    /// What speaks for the host of a connection that failed before a byte came back on it: of one that was used
    /// before, that its peer had closed it while it was idle. A peer that keeps silent is another matter.
    pub fn excuse(&mut self) -> Option<&'static str> {
        if self.failed_on_session() {
            return Some("a connection that resumed a TLS session failed");
        }
        let is_stale = self.0.head.n_hits > 0 && self.is_unanswered();
        is_stale.then_some("a reused connection went stale")
    }

    /// Whether it is new and resumed a TLS session: then that may be why it failed, and none is offered to the
    /// next one.
    pub fn failed_on_session(&mut self) -> bool {
        let is_new = self.0.head.n_hits == 0 && self.is_unanswered();
        is_new && self.0.stream.tls().is_some_and(TlsStream::failed_unanswered)
    }

    /// Whether not a byte came back since it was handed out, and not because the peer keeps silent.
    fn is_unanswered(&self) -> bool {
        let head = &self.0.head;
        let is_untouched = self.is_untouched() && !self.0.was_read;
        let is_silent = head.status == Error::TimedOut.status()
            || matches!(&self.0.stream, Stream::Tls(stream) if stream.timed_out());
        is_untouched && !is_silent
    }

    /// Whether nothing was read into the buffer since the connection was checked out.
    #[inline]
    fn is_untouched(&self) -> bool {
        let buffer = self.0.head.read_buf;
        // SAFETY: what C puts in the place of the buffer has at least one byte, as the buffer has, which was set
        // when the connection was handed out.
        !buffer.is_null() && unsafe { *buffer } == UNTOUCHED
    }

    /// Whether a complete reply was read.
    pub fn has_reply(&self) -> bool {
        !self.is_untouched() && self.0.head.status == SUCCESS && self.is_used_up()
    }

    /// Whether a reply was read by way of it, by its user or one before.
    pub fn has_served(&self) -> bool {
        self.0.head.n_hits > 0 || self.0.was_read || !self.is_untouched()
    }
}

impl Poolable for Connection {
    #[inline]
    fn idle_set(&self) -> Option<&IdleSet> {
        self.0.endpoint.as_deref().map(Endpoint::idle_set)
    }

    #[inline]
    fn shard(&self) -> ShardNumber {
        self.0.shard
    }

    #[inline]
    fn set_shard(&mut self, shard: ShardNumber) {
        self.0.shard = shard;
    }

    #[inline(always)]
    fn is_good(&mut self) -> bool {
        self.0.forks == fork::generation() && self.0.stream.is_good()
    }

    #[inline]
    fn reuses(&self) -> u32 {
        self.0.head.n_hits
    }

    fn close(mut self, why: CloseReason) {
        self.0.closing = why;
    }
}

impl ClientConnection for Connection {
    #[inline]
    fn begin_reuse(&mut self) {
        let head = &mut self.0.head;
        head.n_hits += 1;
        // What the last reader left behind would mislead the next one.
        head.read_buf_pos = 0;
        head.cc = 0;
        head.eof = 0;
        head.status = SUCCESS;
        // SAFETY: the buffer is there, or the connection would not have been pooled, and has at least one byte.
        unsafe { *head.read_buf = UNTOUCHED };
        self.0.reply_is_over = false;
        self.0.was_read = false;
    }

    #[inline]
    fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        self.0.endpoint.as_ref()
    }

    #[inline]
    fn peer(&self) -> Option<SocketAddr> {
        self.0.stream.socket().map(Socket::peer)
    }
}

impl Drop for ConnectionMemory {
    fn drop(&mut self) {
        let is_own = self.forks == fork::generation();
        if let (Some(context), Some(_), true) = (self.context.context(), &self.endpoint, is_own) {
            context.client().metrics().closed(self.closing);
        }
        if let Some(tls) = self.stream.tls()
            && (self.is_broken || !is_own)
        {
            tls.abandon();
        }
        self.free_fields();
    }
}

/// The name that a connection is known by in messages.
pub fn peer_name(connection: &Connection) -> String {
    let text = |name: &CStr| name.to_string_lossy().into_owned();
    match (connection.0.stream.socket(), connection.endpoint()) {
        (Some(socket), _) => socket.peer().to_string(),
        (None, Some(endpoint)) => text(endpoint.name()),
        (None, None) => format!("file descriptor {}", connection.0.head.fd),
    }
}

// With a byte for its state it takes five cache lines in the slab, no more.
const _: () = assert!(size_of::<ConnectionMemory>() < 320);
