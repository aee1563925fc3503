//! A TCP socket with its permit.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Type};

use super::exchange::Exchange;
use crate::os::sys::{self, Descriptor, PollFd};
use crate::pool::permits::Permit;

/// A TCP socket, close-on-exec and without Nagle's algorithm.
pub struct Socket {
    /// It goes first, then the permit: fields are dropped in this order.
    descriptor: Descriptor,
    peer: SocketAddr,
    /// What was written on it, and what came back.
    pub exchange: Exchange,
    permit: Permit,
}

impl Socket {
    /// Begins to connect; the socket becomes writable when that has ended.
    pub fn connect(peer: SocketAddr, permit: Permit) -> io::Result<Socket> {
        let fresh = socket2::Socket::new(Domain::for_address(peer), Type::STREAM.nonblocking(), None)?;
        let descriptor = Descriptor::of_new(fresh.into())?;
        let socket = Socket { descriptor, peer, exchange: Exchange::NEW, permit };
        socket.with_inner(|inner| inner.set_tcp_nodelay(true))?;
        match socket.with_inner(|inner| inner.connect(&SockAddr::from(peer))) {
            Err(error) if !is_under_way(&error) => Err(error),
            _ => Ok(socket),
        }
    }

    /// How the connect ended, once a wait for the socket has seen something. A socket that has connected is a
    /// blocking one from then on, as C expects it.
    pub fn end_connect(&self, seen: &PollFd) -> io::Result<()> {
        // A connect that failed is seen as an error beside the room to write (tcp_poll() of the kernel).
        if !seen.has_only_room() {
            self.outcome()?;
        }
        if self.leads_to_itself()? {
            // Reset, it does not hold the port for a minute against the server that is to come (TIME_WAIT).
            self.with_inner(|inner| inner.set_linger(Some(Duration::ZERO)))?;
            return Err(io::Error::from_raw_os_error(libc::ECONNREFUSED));
        }
        sys::make_blocking(&self.descriptor)
    }

    fn with_inner<T>(&self, act: impl FnOnce(&socket2::Socket) -> io::Result<T>) -> io::Result<T> {
        act(&SockRef::from(&self.descriptor.borrowed()?))
    }

    fn outcome(&self) -> io::Result<()> {
        self.with_inner(|inner| match inner.take_error()? {
            Some(error) => Err(error),
            // Reading SO_ERROR clears it, so that a second read may miss the error. Then there is no peer.
            None => inner.peer_addr().map(drop),
        })
    }

    /// Whether nobody listens, and the kernel has chosen the peer's own port to connect from: then two SYN of one
    /// socket meet (simultaneous open, RFC 9293, section 3.5), and it reads what it writes.
    fn leads_to_itself(&self) -> io::Result<bool> {
        self.with_inner(|inner| {
            let local = inner.local_addr()?.as_socket();
            // The peer's address may have been given as 0.0.0.0, which is not the one connected to.
            Ok(local.is_some_and(|local| local.port() == self.peer.port())
                && local == inner.peer_addr()?.as_socket())
        })
    }

    /// Closes the socket and leaves its permit to another one.
    pub fn into_permit(self) -> Permit {
        let Socket { descriptor, permit, .. } = self;
        drop(descriptor);
        permit
    }

    /// Who is at the other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends what fits, without waiting and without a SIGPIPE.
    #[inline]
    pub fn send(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        sys::send(&self.descriptor, pieces)
    }

    /// Whether a reply may still come to what was written. Bytes that came count, whoever has read them.
    #[inline]
    pub fn awaits_reply(&mut self) -> bool {
        if self.exchange.awaits_reply() {
            self.count_what_came();
        }
        self.exchange.awaits_reply()
    }

    /// Asks the system how many bytes have come, if that can tell anything.
    #[cold]
    pub fn count_what_came(&mut self) {
        let received = sys::traffic(&self.descriptor).map(|traffic| traffic.r#in);
        self.exchange.count(received);
    }

    /// Its descriptor.
    pub fn descriptor(&mut self) -> &mut Descriptor {
        &mut self.descriptor
    }

    /// Whether its number still leads to this socket.
    pub fn is_own(&self) -> bool {
        self.descriptor.is_own()
    }
}

impl AsRawFd for Socket {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// A connect that a signal interrupted goes on like one that was not awaited (connect(2)).
fn is_under_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EALREADY | libc::EINTR))
}
