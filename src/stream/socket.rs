//! A TCP socket with its permit.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, SockAddr, SockRef, Type};

use super::exchange::Exchange;
use crate::permits::Permit;
use crate::sys::{self, Descriptor};

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
        socket.connect_once()?;
        Ok(socket)
    }

    /// connect(2), once. True if it has ended.
    fn connect_once(&self) -> io::Result<bool> {
        match self.with_inner(|inner| inner.connect(&SockAddr::from(self.peer))) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EISCONN) => Ok(true),
            Err(error) if is_under_way(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn with_inner<T>(&self, act: impl FnOnce(&socket2::Socket) -> io::Result<T>) -> io::Result<T> {
        act(&SockRef::from(&self.descriptor.borrowed()?))
    }

    /// Whether the connect has ended: asked again, connect(2) tells without waiting.
    pub fn has_connected(&self) -> io::Result<bool> {
        self.connect_once()
    }

    /// How the connect ended, once the socket is writable.
    pub fn connected(&self) -> io::Result<()> {
        self.with_inner(|inner| match inner.take_error()? {
            Some(error) => Err(error),
            // An error is told of once: if somebody has heard it, it is missed at the peer's name.
            None => inner.peer_addr().map(drop),
        })
    }

    /// Makes the socket a blocking one, as C expects it.
    pub fn make_blocking(&self) -> io::Result<()> {
        sys::make_blocking(&self.descriptor)
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
