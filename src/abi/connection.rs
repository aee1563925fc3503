//! `dpl_conn`: what C sees of a connection, and what stands behind it.

mod buffer;
mod reserved;

use std::ffi::CStr;
use std::net::SocketAddr;
use std::ptr;
use std::sync::Arc;

use libc::c_char;

pub use reserved::Reserved;

use super::arena::{Arena, Held, InArena};
use super::context::{Context, ContextId};
use super::layout::ConnectionHead;
use super::memory::Block;
use crate::client::{self, Connection as _};
use crate::endpoint::Endpoint;
use crate::fork;
use crate::lanes::LaneNumber;
use crate::pool::{Place, Poolable};
use crate::status::{Error, SUCCESS};
use crate::stream::tls::TlsStream;
use crate::stream::{File, Socket, Stream};
use crate::sys;
use crate::tally::Closing;

/// The first byte of a read buffer that nothing was read into: no reply begins with it. What the reader
/// leaves in `cc` does not tell, it differs among the original's revisions.
const UNTOUCHED: c_char = 1;

/// One allocation, of which C knows the head.
#[repr(C)]
pub struct Body {
    head: ConnectionHead,
    // ---- C sees no further ----
    stream: Stream,
    /// Where it is connected to; nothing for a file.
    endpoint: Option<Arc<Endpoint>>,
    context: ContextId,
    lane: LaneNumber,
    /// It failed, and must not be used again.
    is_broken: bool,
    /// Whether a request or reply is under way that was not said to be complete.
    in_exchange: bool,
    /// Whether the request that was written last waits for a `100 Continue`.
    #[cfg(feature = "standalone")]
    awaits_continue: bool,
    /// Whether a reply was read to its end, and no request was written since.
    #[cfg(feature = "standalone")]
    reply_is_over: bool,
    /// What to count it as when it is closed.
    closing: Closing,
    /// The process it was opened in.
    forks: u32,
    /// What the head points to: freed after the stream is closed, since fields are dropped in this order.
    _memory: Block<c_char>,
}

// SAFETY: the pointers in the head lead to memory that the connection owns, and one thread has it at a time.
unsafe impl Send for Body {}

static CONNECTIONS: Arena<Body> = Arena::new();

impl InArena for Body {
    #[inline]
    fn arena() -> &'static Arena<Body> {
        &CONNECTIONS
    }
}

/// A connection that is ours: idle, or in the middle of a call.
pub struct Connection(Held<Body>);

impl Connection {
    /// A connection to a local file, which is taken over once nothing can fail any more.
    pub fn over_file(context: &Context, take_over: impl FnOnce() -> File) -> Result<Connection, Error> {
        Ok(Reserved::over_file(context)?.connection_to_file(context, take_over()))
    }

    /// Hands the connection to C.
    #[inline]
    pub fn lend(self) -> *mut ConnectionHead {
        self.0.lend().cast()
    }

    /// Takes back what C has. Nothing, if C does not have it: it is no connection of this library, was
    /// given back before, or is in the middle of a call of another thread.
    #[inline]
    pub fn recall(pointer: *mut ConnectionHead) -> Option<Connection> {
        CONNECTIONS.recall(pointer.cast()).map(Connection)
    }

    /// The connection in use whose `host` field is this very pointer.
    pub fn owner_of_host_name(host: *const c_char) -> Option<Connection> {
        let owner = CONNECTIONS.lent().find(|body| {
            // SAFETY: arena memory stays readable; the field does not change while the connection is lent.
            // Of one that another thread gives back at this moment the pointer is compared, not followed.
            let name = unsafe { ptr::read_volatile(&raw const (**body).head.host) };
            name.cast_const() == host
        })?;
        CONNECTIONS.recall(owner).map(Connection)
    }

    /// Ends its use. Nothing speaks against another if nothing failed, the reply was read to its end, and
    /// this process opened it.
    #[inline]
    pub fn end_use(&mut self) -> Result<(), Closing> {
        self.0.head.close_time = sys::wall_clock_seconds();
        if self.0.is_broken || self.0.forks != fork::generation() {
            return Err(Closing::Failed);
        }
        if self.0.in_exchange || !self.reply_is_complete() || !self.keep_session() {
            return Err(Closing::Incomplete);
        }
        Ok(())
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

    /// Whether the reader left off between two replies. `cc` is what its last read gave and `read_buf_pos`
    /// how much of that it has used; a read that gave nothing met the end of the stream.
    #[inline]
    fn reply_is_complete(&self) -> bool {
        let ConnectionHead { cc, read_buf_pos, eof, status, .. } = self.0.head;
        let is_used_up = if cc > 0 {
            cc <= read_buf_pos as isize || self.is_crlf_left()
        } else {
            cc == 0 && read_buf_pos == 0 && eof == 0
        };
        is_used_up && status == SUCCESS
    }

    /// Droplet's reader leaves the empty line unread that ends a chunked reply (RFC 9112, section 7.1).
    #[cold]
    fn is_crlf_left(&self) -> bool {
        let ConnectionHead { cc, read_buf_pos, read_buf, read_buf_size, .. } = self.0.head;
        let (Ok(start), Ok(end)) = (usize::try_from(read_buf_pos), usize::try_from(cc)) else { return false };
        if end > read_buf_size || end.checked_sub(start) != Some(2) {
            return false;
        }
        // SAFETY: the reader has filled the buffer up to `cc`.
        unsafe { read_buf.add(start).cast::<[u8; 2]>().read() == *b"\r\n" }
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
        self.0.in_exchange = false;
    }

    /// The part that C knows.
    pub fn head(&self) -> &ConnectionHead {
        &self.0.head
    }

    /// Whether it failed.
    pub fn is_broken(&self) -> bool {
        self.0.is_broken
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
        // SAFETY: the buffer has at least one byte, which was set when the connection was handed out.
        let is_untouched = unsafe { *head.read_buf } == UNTOUCHED;
        let is_silent = head.status == Error::TimedOut.status()
            || matches!(&self.0.stream, Stream::Tls(stream) if stream.timed_out());
        is_untouched && !is_silent
    }
}

impl Poolable for Connection {
    #[inline]
    fn place(&self) -> Option<&Place> {
        self.0.endpoint.as_deref().map(Endpoint::place)
    }

    #[inline]
    fn lane(&self) -> LaneNumber {
        self.0.lane
    }

    #[inline]
    fn change_lane(&mut self, lane: LaneNumber) {
        self.0.lane = lane;
    }

    #[inline(always)]
    fn is_good(&mut self) -> bool {
        self.0.forks == fork::generation() && self.0.stream.is_good()
    }

    #[inline]
    fn reuses(&self) -> u32 {
        self.0.head.n_hits
    }

    fn close(mut self, why: Closing) {
        self.0.closing = why;
    }
}

impl client::Connection for Connection {
    type Reserved = Reserved;

    #[inline]
    fn begin_reuse(&mut self) {
        let head = &mut self.0.head;
        head.n_hits += 1;
        // What the last reader left behind would mislead the next one.
        head.read_buf_pos = 0;
        head.cc = 0;
        head.eof = 0;
        head.status = SUCCESS;
        // SAFETY: the buffer has at least one byte.
        unsafe { *head.read_buf = UNTOUCHED };
        #[cfg(feature = "standalone")]
        {
            self.0.reply_is_over = false;
        }
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

impl Drop for Body {
    fn drop(&mut self) {
        let is_own = self.forks == fork::generation();
        if let (Some(context), Some(_), true) = (self.context.context(), &self.endpoint, is_own) {
            context.client().tally().closed(self.closing);
        }
        if let Some(tls) = self.stream.tls()
            && (self.is_broken || !is_own)
        {
            tls.abandon();
        }
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
