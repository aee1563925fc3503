//! A connection as the pool holds it.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use super::context::Inner;
use crate::checkout::ClientConnection;
use crate::checkout::endpoint::Endpoint;
use crate::net::stream::{Socket, Stream};
use crate::os::fork;
use crate::os::shards::ShardNumber;
use crate::pool::metrics::CloseReason;
use crate::pool::{IdleSet, Poolable};

/// An open stream, and what became of it so far.
pub struct Link {
    pub stream: Stream,
    endpoint: Arc<Endpoint>,
    shard: ShardNumber,
    reuses: u32,
    /// It failed, and must not be used again.
    pub is_broken: bool,
    /// Something was read from it.
    pub was_read: bool,
    /// The peer sends no more.
    pub has_ended: bool,
    /// Whether a request or reply is under way that was not said to be complete.
    pub in_exchange: bool,
    /// What to count it as when it is closed.
    closing: CloseReason,
    /// The process it was opened in.
    forks: u32,
    /// Where it is counted.
    context: Weak<Inner>,
}

impl Link {
    /// A new one.
    pub fn new(stream: Stream, endpoint: &Arc<Endpoint>, context: &Weak<Inner>) -> Link {
        Link {
            stream,
            endpoint: Arc::clone(endpoint),
            shard: ShardNumber::own(),
            reuses: 0,
            is_broken: false,
            was_read: false,
            has_ended: false,
            in_exchange: false,
            closing: CloseReason::default(),
            forks: fork::generation(),
            context: Weak::clone(context),
        }
    }

    /// Where it leads.
    pub fn leads_to(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Ends its use. Nothing speaks against another if nothing failed, the reply was read to its end, and
    /// this process opened it.
    pub fn end_use(&mut self) -> Result<(), CloseReason> {
        if self.is_broken || self.forks != fork::generation() {
            return Err(CloseReason::Failed);
        }
        if self.stream.awaits_reply() {
            return Err(CloseReason::Incomplete);
        }
        let tls = self.stream.tls();
        if self.in_exchange || self.has_ended || tls.as_ref().is_some_and(|tls| tls.has_unread()) {
            return Err(CloseReason::Incomplete);
        }
        if let Some(tls) = tls {
            tls.keep_session();
        }
        Ok(())
    }
}

impl Poolable for Link {
    fn idle_set(&self) -> Option<&IdleSet> {
        Some(self.endpoint.idle_set())
    }

    fn shard(&self) -> ShardNumber {
        self.shard
    }

    fn set_shard(&mut self, shard: ShardNumber) {
        self.shard = shard;
    }

    fn is_good(&mut self) -> bool {
        self.forks == fork::generation() && self.stream.is_good()
    }

    fn reuses(&self) -> u32 {
        self.reuses
    }

    fn close(mut self, why: CloseReason) {
        self.closing = why;
    }
}

impl ClientConnection for Link {
    fn begin_reuse(&mut self) {
        self.reuses += 1;
    }

    fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        Some(&self.endpoint)
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.socket().map(Socket::peer)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let is_own = self.forks == fork::generation();
        if let (Some(context), true) = (self.context.upgrade(), is_own) {
            context.client.metrics().closed(self.closing);
        }
        if let Some(tls) = self.stream.tls()
            && (self.is_broken || !is_own)
        {
            tls.abandon();
        }
    }
}
