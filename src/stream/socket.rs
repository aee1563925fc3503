//! A TCP socket with its permit.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, SockAddr, Type};

use crate::permits::Permit;
use crate::sys;

/// A TCP socket, close-on-exec and without Nagle's algorithm.
pub struct Socket {
    inner: socket2::Socket,
    peer: SocketAddr,
    /// Given back after the socket is closed: fields are dropped in this order.
    permit: Permit,
}

impl Socket {
    /// Begins to connect; the socket becomes writable when that has ended.
    pub fn connect(peer: SocketAddr, permit: Permit) -> io::Result<Socket> {
        let inner = socket2::Socket::new(Domain::for_address(peer), Type::STREAM.nonblocking(), None)?;
        inner.set_tcp_nodelay(true)?;
        match inner.connect(&SockAddr::from(peer)) {
            Ok(()) => {}
            Err(error) if is_under_way(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(Socket { inner, peer, permit })
    }

    /// Whether the connect has ended: asked again, connect(2) tells without waiting.
    pub fn has_connected(&self) -> io::Result<bool> {
        match self.inner.connect(&SockAddr::from(self.peer)) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EISCONN) => Ok(true),
            Err(error) if is_under_way(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How the connect ended, once the socket is writable.
    pub fn connected(&self) -> io::Result<()> {
        match self.inner.take_error()? {
            Some(error) => Err(error),
            // An error is told of once: if somebody has heard it, it is missed at the peer's name.
            None => self.inner.peer_addr().map(drop),
        }
    }

    /// Makes the socket a blocking one, as C expects it.
    pub fn make_blocking(&self) -> io::Result<()> {
        sys::make_blocking(&self.inner)
    }

    /// Closes the socket and leaves its permit to another one.
    pub fn into_permit(self) -> Permit {
        let Socket { inner, permit, .. } = self;
        drop(inner);
        permit
    }

    /// Who is at the other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends what fits, without waiting and without a SIGPIPE.
    #[inline]
    pub fn send(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        sys::send(&self.inner, pieces)
    }
}

impl AsRawFd for Socket {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

/// A connect that a signal interrupted goes on like one that was not awaited (connect(2)).
fn is_under_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EALREADY | libc::EINTR))
}
