//! An open connection, idle or in use: its stream, and what is known about its use.
//!
//! The connection of a Rust program ([`crate::Connection`]) and the `dpl_conn` of a C program are two faces of an
//! [`OpenConnection`]. The bookkeeping is here, once: whether an exchange is under way, what failed, whether the
//! connection can be pooled at the end of its use, and what it counts as when it is closed.
#![forbid(unsafe_code)]

use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::ClientConnection;
use super::endpoint::Endpoint;
use super::reads::Reads;
use crate::fault::Fault;
use crate::http::KeepAlive;
use crate::http::request::WrittenRequest;
use crate::net::stream::{Socket, Stream, TransferError};
use crate::net::tls::TlsStream;
use crate::os::clock::{self, Moment};
use crate::os::fork;
use crate::os::shards::ShardNumber;
use crate::os::sys::{self, Activity};
use crate::pool::metrics::{CloseReason, Metrics};
use crate::pool::{Announced, Ending, IdleSet, Poolable};

/// An open connection, idle or in use.
pub struct OpenConnection {
    /// The stream to read from and write to.
    pub stream: Stream,
    /// The endpoint it is connected to; `None` for a file.
    endpoint: Option<Arc<Endpoint>>,
    /// The metrics of its context, which may be gone.
    metrics: Arc<Metrics>,
    /// The process that opened it ([`fork::generation`]).
    generation: u32,
    /// Number of times it was checked out again after a release.
    reuses: u32,
    /// The shard of the thread that last checked it out or made it.
    shard: ShardNumber,
    state: State,
    /// Notes on what was read since it was checked out.
    reads: Reads,
    close_reason: CloseReason,
    /// The time at which it was released last.
    idle_since: Moment,
}

/// State of a connection between two calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// No exchange is known to be under way: anybody may send a request.
    Ready,
    /// A request or its reply is under way. The connection is of no use to others until the reply is complete.
    InExchange,
    /// A request was begun and not written to its end.
    InRequest,
    /// A reply was read before its request was written to its end, or a request was written before the reply to another
    /// came. The connection is of no use to others.
    Torn,
    /// The peer sends no more, or has said so: no further exchange is possible.
    Ended,
    /// A read or write failed. The connection must not be used again.
    Broken,
}

impl OpenConnection {
    /// A new connection over an open stream. It is counted in `metrics` when it is closed, unless it leads to no
    /// endpoint.
    pub fn new(stream: Stream, endpoint: Option<Arc<Endpoint>>, metrics: Arc<Metrics>) -> OpenConnection {
        OpenConnection {
            stream,
            endpoint,
            metrics,
            generation: fork::generation(),
            reuses: 0,
            shard: ShardNumber::own(),
            state: State::Ready,
            reads: Reads::default(),
            close_reason: CloseReason::default(),
            idle_since: Moment::now(),
        }
    }

    /// Notes that a request is begun. Until [`OpenConnection::end_exchange`] the connection is not pooled.
    #[inline]
    pub fn begin_exchange(&mut self) {
        if matches!(self.state, State::Ready | State::InRequest) {
            self.state = State::InExchange;
        }
    }

    /// Notes whether the request that is being written is whole, outside of an exchange. If it is not, the server may take
    /// the next request for the rest of it.
    #[inline]
    pub fn set_request(&mut self, request: &WrittenRequest) {
        match self.state {
            State::Ready if !request.is_whole() => self.state = State::InRequest,
            State::InRequest if request.is_whole() => self.state = State::Ready,
            _ => {}
        }
    }

    /// Notes that the reply to all requests was read to its end.
    pub fn end_exchange(&mut self) {
        if self.state == State::InExchange {
            self.state = State::Ready;
        }
    }

    /// Notes that something is written behind a complete request. Before a byte of its reply has come, that is another
    /// request, so that a reply may be left when one was read.
    #[cold]
    pub fn note_pipelining(&mut self) {
        if self.stream.is_unanswered() && !matches!(self.state, State::Broken | State::Ended) {
            self.state = State::Torn;
        }
    }

    /// True if requests and replies on the connection need not correspond.
    pub fn is_torn(&self) -> bool {
        self.state == State::Torn
    }

    /// Notes that the reply to this request has come. If the request is not whole, the connection stays of no use to others.
    pub fn end_request(&mut self, request: &WrittenRequest) {
        if !request.is_whole() && matches!(self.state, State::InRequest | State::InExchange) {
            self.state = State::Torn;
        }
    }

    /// Notes that the reply was read to its end, and that the peer takes no further request on this connection.
    pub fn end_last_exchange(&mut self) {
        if !self.is_broken() {
            self.state = State::Ended;
        }
    }

    /// Notes that the connection failed: it is closed at the end of its use.
    pub fn mark_broken(&mut self) {
        self.state = State::Broken;
    }

    /// Returns whether the connection failed.
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Notes what was read past this type: whether anything was, and whether the last read timed out.
    pub fn note_foreign_reads(&mut self, any: bool, timed_out: bool) {
        self.reads.add(any);
        self.reads.set_timed_out(timed_out);
    }

    /// Returns whether something was read on the connection, in this use of it or an earlier one.
    pub fn has_served(&self) -> bool {
        self.reuses > 0 || self.reads.any()
    }

    /// Reads what there is, at least one byte; 0 is the end. See [`Stream::read`].
    ///
    /// A failure is for the caller to note by [`OpenConnection::mark_broken`], since only the caller knows whether
    /// it reads on.
    pub fn read(&mut self, buffer: &mut [u8], timeout: Option<Duration>) -> Result<usize, TransferError> {
        let outcome = self.stream.read(buffer, timeout);
        self.reads.set_timed_out(matches!(outcome, Err(TransferError::TimedOut)));
        match outcome {
            Ok(1..) => self.reads.add(true),
            Ok(0) | Err(TransferError::Io(_)) => self.note_stale(),
            Err(TransferError::TimedOut) => {}
        }
        if matches!(outcome, Ok(0)) {
            self.end_last_exchange();
        }
        outcome
    }

    /// Writes all pieces. A failure leaves the connection broken. See [`Stream::write_all`].
    #[inline]
    pub fn write_all(
        &mut self,
        pieces: &mut [IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> Result<(), TransferError> {
        self.stream.write_all(pieces, timeout).inspect_err(|_| self.mark_broken())
    }

    /// Returns the fault of the host, if it is to blame for a failed write. It is not if the TLS session that was
    /// resumed may be the reason.
    pub fn fault_of_write(&mut self, error: &TransferError) -> Option<Fault> {
        let has_served = self.has_served();
        if matches!(error, TransferError::Io(_)) {
            self.note_stale();
        }
        let fault = self.stream.fault_of_write(error, has_served)?;
        let is_of_session = fault == Fault::Write && self.failed_on_session();
        (!is_of_session).then_some(fault)
    }

    /// Returns the reason why the host is not to blame for a connection on which no reply came, if there is one.
    /// The peer of a reused connection may have closed it while it was idle. A peer that stays silent until the
    /// timeout has no excuse.
    pub fn excuse(&mut self) -> Option<&'static str> {
        if self.failed_on_session() {
            return Some("a connection that resumed a TLS session failed");
        }
        self.note_stale();
        self.is_stale().then_some("a reused connection went stale")
    }

    /// Returns whether it failed when it was used again, for no other reason than that its peer had closed it.
    fn is_stale(&self) -> bool {
        self.reuses > 0 && self.is_unanswered()
    }

    /// Learns from a connection that its peer has ended, if it is stale: the peer had closed it while it was idle.
    /// Once, although more than one call may find it.
    #[cold]
    fn note_stale(&mut self) {
        if !self.is_stale() || self.is_inherited() || self.reads.note_stale() {
            return;
        }
        let now = Moment::now();
        let ending = self.ending(self.idle_since, now, self.reuses);
        if let (Some(set), Some((ending, _))) = (self.idle_set(), ending) {
            set.observe(ending, false);
        }
    }

    /// Learns the limits that the server states in a reply.
    pub fn learn_limits(&self, stated: KeepAlive) {
        let Some(set) = self.idle_set() else { return };
        let idle = stated.timeout_s.map(|seconds| Duration::from_secs(seconds.into()));
        let uses = stated.max.map(|further| self.reuses.saturating_add(1).saturating_add(further));
        let activity = || self.stream.socket().and_then(sys::activity);
        let round_trip = || activity().map_or(Duration::ZERO, |activity| activity.round_trip);
        set.announce(Announced { idle, uses }, round_trip, Moment::now());
    }

    /// Returns the end of a connection that its peer has closed or reset after so many requests, and whether it was
    /// reset. It was released at the time `since`. A request that was sent afterwards ended its idle time.
    fn ending(&self, since: Moment, now: Moment, uses: u32) -> Option<(Ending, bool)> {
        let socket = self.stream.socket().filter(|socket| socket.is_own())?;
        let opened = socket.opened()?;
        let Activity { has_ended, was_reset, since_sent, since_heard, round_trip } = sys::activity(socket)?;
        if !has_ended && !was_reset {
            return None;
        }
        // What is older than the release belongs to an earlier use.
        let age = now.since(since);
        let events = [since_sent, since_heard].into_iter().filter(|time| *time + clock::TICK < age);
        let idle = match events.max() {
            Some(event) => age - event,
            // It ended before it was released, or at an unknown time of this use.
            None if uses > self.reuses => Duration::ZERO,
            None => age,
        };
        let at = now.before(since_heard.min(age));
        Some((Ending { at, opened, idle, uses, round_trip }, was_reset))
    }

    /// Returns whether a new connection failed that had resumed a TLS session. The session may be the reason, so
    /// it is not offered again.
    fn failed_on_session(&mut self) -> bool {
        let is_new = self.reuses == 0 && self.is_unanswered();
        is_new && self.stream.tls().is_some_and(TlsStream::failed_unanswered)
    }

    /// Returns whether no byte came back in this use, for another reason than a timeout.
    fn is_unanswered(&self) -> bool {
        let is_silent =
            self.reads.timed_out() || matches!(&self.stream, Stream::Tls(stream) if stream.timed_out());
        !self.reads.any() && !is_silent
    }

    /// Decides at the end of a use whether the connection can be pooled, or for which reason it is closed.
    /// `reply_was_read` returns whether its user has read all that came.
    #[inline]
    pub fn end_use(&mut self, reply_was_read: impl FnOnce(&mut Stream) -> bool) -> Result<(), CloseReason> {
        let is_reusable = self.state == State::Ready
            && !self.is_inherited()
            && reply_was_read(&mut self.stream)
            && !self.stream.awaits_reply()
            && self.keep_session();
        if is_reusable { Ok(()) } else { Err(self.why_not_reusable()) }
    }

    /// Returns the reason to close a connection that [`OpenConnection::end_use`] rejects.
    #[cold]
    #[inline(never)]
    fn why_not_reusable(&self) -> CloseReason {
        match self.state {
            _ if self.is_inherited() => CloseReason::Failed,
            State::Broken => CloseReason::Failed,
            State::Ended => CloseReason::UsedUp,
            State::Ready | State::InRequest | State::InExchange | State::Torn => CloseReason::Incomplete,
        }
    }

    /// Sets the reason that the connection counts as when it is dropped.
    pub fn set_close_reason(&mut self, why: CloseReason) {
        self.close_reason = why;
    }

    /// Leaves a new TLS session to later connections. Returns false if something is unread under TLS.
    #[inline]
    fn keep_session(&mut self) -> bool {
        let Some(tls) = self.stream.tls() else { return true };
        if tls.has_unread() {
            return false;
        }
        tls.keep_session();
        true
    }

    /// Returns whether its descriptor still leads to its socket. It does not if the program has closed that.
    #[cold]
    fn is_own(&self) -> bool {
        self.stream.socket().is_some_and(Socket::is_own)
    }

    /// Returns whether a parent process opened the connection.
    #[inline]
    fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }
}

impl Poolable for OpenConnection {
    #[inline]
    fn idle_set(&self) -> Option<&IdleSet> {
        self.endpoint.as_deref().map(Endpoint::idle_set)
    }

    #[inline]
    fn shard(&self) -> ShardNumber {
        self.shard
    }

    #[inline]
    fn set_shard(&mut self, shard: ShardNumber) {
        self.shard = shard;
    }

    #[inline(always)]
    fn is_good(&mut self, rested: bool) -> bool {
        // First, since over TLS the look reads, perhaps from a socket of the program.
        !self.is_inherited() && (!rested || self.is_own()) && self.stream.is_good()
    }

    #[inline]
    fn reuses(&self) -> u32 {
        self.reuses
    }

    #[inline]
    fn set_idle_since(&mut self, since: Moment) {
        self.idle_since = since;
    }

    fn ending(&self, since: Moment, now: Moment) -> Option<Ending> {
        if self.is_inherited() {
            return None;
        }
        // After a reset nobody knows when and why the peer gave the connection up.
        let (ending, was_reset) = self.ending(since, now, self.reuses + 1)?;
        (!was_reset).then_some(ending)
    }

    fn close(mut self, why: CloseReason) {
        self.set_close_reason(why);
    }
}

impl ClientConnection for OpenConnection {
    #[inline]
    fn begin_reuse(&mut self) {
        self.reuses += 1;
        self.reads = Reads::default();
    }

    /// Decides as [`OpenConnection::end_use`] for a user who leaves no other trace of reading.
    fn end_use(&mut self) -> Result<(), CloseReason> {
        self.end_use(|_| true)
    }

    #[inline]
    fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        self.endpoint.as_ref()
    }

    #[inline]
    fn peer(&self) -> Option<SocketAddr> {
        self.stream.socket().map(Socket::peer)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let is_inherited = self.is_inherited();
        if self.endpoint.is_some() && !is_inherited {
            self.metrics.closed(self.close_reason);
            // The last use may have failed.
            if let Some(set) = self.idle_set().filter(|_| self.reuses > 0) {
                set.note_served(self.reuses, Moment::now());
            }
        }
        if self.is_broken() || is_inherited {
            if let Some(tls) = self.stream.tls() {
                tls.abandon();
            }
        }
    }
}
