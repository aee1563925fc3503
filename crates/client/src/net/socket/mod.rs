//! TCP sockets, and the ways to read from and write to any descriptor.
#![forbid(unsafe_code)]

mod exchange;
mod transfer;

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Type};

use exchange::Exchange;
pub use transfer::{TransferError, wait_readable, wait_to_retry, with_timeout, write_all};

use crate::os::clock::Moment;
use crate::os::sys::{self, Descriptor, PollFd};
use crate::pool::permits::Permit;

/// A TCP socket, close-on-exec and without Nagle's algorithm.
pub struct Socket {
    // Dropped before the permit, which counts open sockets: fields are dropped in this order.
    descriptor: Descriptor,
    peer: SocketAddr,
    /// The request and reply under way.
    pub exchange: Exchange,
    /// `None` once the program has taken the connection.
    permit: Option<Permit>,
}

impl Socket {
    /// Begins to connect. The socket becomes writable when the connect has succeeded or failed.
    pub fn connect(peer: SocketAddr, permit: Permit) -> io::Result<Socket> {
        let fresh = socket2::Socket::new(Domain::for_address(peer), Type::STREAM.nonblocking(), None)?;
        let descriptor = Descriptor::of_new(fresh.into())?;
        let socket = Socket { descriptor, peer, exchange: Exchange::NEW, permit: Some(permit) };
        socket.with_inner(|inner| inner.set_tcp_nodelay(true))?;
        match socket.with_inner(|inner| inner.connect(&SockAddr::from(peer))) {
            Err(error) if !is_under_way(&error) => Err(error),
            _ => Ok(socket),
        }
    }

    /// Returns the outcome of the connect, once a wait for the socket has seen an event. After a success the socket
    /// is blocking, as C expects it.
    pub fn end_connect(&self, seen: &PollFd) -> io::Result<()> {
        // A connect that failed is seen as an error beside the room to write (tcp_poll() of the kernel).
        if !seen.has_only_room() {
            self.outcome()?;
        }
        if self.leads_to_itself()? {
            // Closes it by a reset. Otherwise it would keep the port for a minute (TIME_WAIT), and a server that
            // starts meanwhile could not listen there.
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
            // Reading SO_ERROR clears it, so a second read may miss the error; getpeername(2) still fails.
            None => inner.peer_addr().map(drop),
        })
    }

    /// True if the socket is connected to itself. That happens if nobody listens and the kernel has chosen the peer's
    /// own port as the local one: two SYN of one socket meet (simultaneous open, RFC 9293, section 3.5), and it reads
    /// what it writes.
    fn leads_to_itself(&self) -> io::Result<bool> {
        self.with_inner(|inner| {
            let local = inner.local_addr()?.as_socket();
            // Compares with the peer that the kernel reports: a connect to 0.0.0.0 leads to another address.
            Ok(local.is_some_and(|local| local.port() == self.peer.port())
                && local == inner.peer_addr()?.as_socket())
        })
    }

    /// Closes the socket and returns its permit, for another socket.
    pub fn into_permit(self) -> Option<Permit> {
        let Socket { descriptor, permit, .. } = self;
        drop(descriptor);
        permit
    }

    /// Leaves the connection to the program: it counts no more, and unless `closes` drop leaves the descriptor open.
    pub fn leave_to_program(&mut self, closes: bool) {
        self.permit = None;
        if !closes {
            self.descriptor.disown();
        }
    }

    /// Returns the address of the peer.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Returns the time at which the connect began. `None` once the program has taken the connection.
    pub fn opened(&self) -> Option<Moment> {
        self.permit.as_ref().map(Permit::acquired)
    }

    /// Writes what fits, without waiting and without a SIGPIPE.
    #[inline]
    pub fn send(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        sys::send(&self.descriptor, pieces)
    }

    /// True if a reply to what was written may still come. Bytes that came count, whether or not they were read here.
    #[inline]
    pub fn awaits_reply(&mut self) -> bool {
        self.exchange.awaits_reply() && {
            self.count_received();
            self.exchange.awaits_reply()
        }
    }

    /// Asks the kernel for the number of bytes that have come.
    #[cold]
    pub fn count_received(&mut self) {
        let received = sys::traffic(&self.descriptor).map(|traffic| traffic.r#in);
        self.exchange.count(received);
    }

    /// Returns the time that the program lets a read wait (`SO_RCVTIMEO`, socket(7)). `None` for no limit.
    pub fn receive_timeout(&self) -> Option<Duration> {
        self.with_inner(|inner| inner.read_timeout()).ok().flatten()
    }

    /// Returns its descriptor.
    pub fn descriptor(&mut self) -> &mut Descriptor {
        &mut self.descriptor
    }

    /// True if its number still leads to this socket.
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

/// True if the connect goes on, which it does also after a signal (connect(2)).
fn is_under_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EALREADY | libc::EINTR))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    /// Connects from this address, and returns the outcome.
    fn connect(own: SocketAddr, to: impl FnOnce(SocketAddr) -> SocketAddr) -> io::Result<()> {
        let fresh = socket2::Socket::new(Domain::IPV4, Type::STREAM, None)?;
        fresh.bind(&own.into())?;
        let peer = to(fresh.local_addr()?.as_socket().expect("an address"));
        fresh.connect(&peer.into())?;
        let descriptor = Descriptor::of_new(fresh.into())?;
        let socket = Socket { descriptor, peer, exchange: Exchange::NEW, permit: None };
        socket.end_connect(&PollFd::writable(&socket))
    }

    #[test]
    fn a_socket_that_is_connected_to_itself_was_refused() {
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let outcome = connect(own, |own| own);
        assert_eq!(outcome.err().and_then(|error| error.raw_os_error()), Some(libc::ECONNREFUSED));
    }

    #[test]
    fn a_socket_may_have_the_number_of_its_peers_port() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = listener.local_addr().unwrap();
        let own = SocketAddr::from(([127, 0, 0, 2], peer.port()));
        assert!(connect(own, |_| peer).is_ok());
    }
}
