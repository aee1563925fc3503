//! Connections in use.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::context::Inner;
use super::link::Link;
use crate::checkout::ClientConnection as _;
use crate::fault::Fault;
use crate::net::stream::TransferError;
use crate::net::tls::TlsStream;
use crate::os::libssl;
use crate::os::sys;
use crate::pool::Poolable;

/// A connection that its owner has to itself. Dropped, it goes back to its context, for others to use.
///
/// It is closed instead if a read or write failed, or if the reply to what was written was not read to its
/// end. How long a reply is only its reader knows, who says so by [`Connection::reply_complete`].
///
/// ```
/// # use std::net::TcpListener;
/// # let server = TcpListener::bind("127.0.0.1:0")?;
/// # let address = server.local_addr()?;
/// # std::thread::spawn(move || {
/// #     let (mut client, _) = server.accept().unwrap();
/// #     let mut request = [0; 18];
/// #     while client.read_exact(&mut request).is_ok() {
/// #         client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
/// #     }
/// # });
/// use droplet_client::Context;
/// use std::io::{Read, Write};
///
/// let context = Context::from_profile(&format!("host = {address}"))?;
/// for round in 0..2 {
///     let mut connection = context.connect()?;
///     assert_eq!(connection.reused(), round);
///     connection.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
///     let mut reply = [0; 43];
///     connection.read_exact(&mut reply)?;
///     assert!(reply.ends_with(b"\r\n\r\nhello"));
///     connection.reply_complete();
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection {
    /// Nothing only while it is dropped.
    link: Option<Link>,
    context: Arc<Inner>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

/// Bytes that have crossed a connection, TLS's own among them, as the kernel counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Those sent.
    pub sent: u64,
    /// Those received, whether they were read or not.
    pub received: u64,
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The protocol, such as `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// Whether a session was resumed.
    pub resumed: bool,
}

impl Connection {
    pub(super) fn new(context: Arc<Inner>, link: Link) -> Connection {
        let (read_timeout, write_timeout) = (context.read_timeout, context.write_timeout);
        Connection { link: Some(link), context, read_timeout, write_timeout }
    }

    fn link(&self) -> &Link {
        self.link.as_ref().expect("it is there until the connection is dropped")
    }

    fn link_mut(&mut self) -> &mut Link {
        self.link.as_mut().expect("it is there until the connection is dropped")
    }

    /// Says that the reply to all that was written has been read to its end, so that the connection can
    /// serve others. Not to be called if the server has announced that it will close the connection.
    pub fn reply_complete(&mut self) {
        self.link_mut().in_exchange = false;
    }

    /// The host's name, as the profile has it, or `BUCKET.HOST`.
    pub fn host(&self) -> String {
        self.link().leads_to().name().to_string_lossy().into_owned()
    }

    /// The address it is connected to.
    pub fn peer(&self) -> SocketAddr {
        self.link().peer().expect("it leads to a host")
    }

    /// How often it was reused: 0 for a new one.
    pub fn reused(&self) -> u32 {
        self.link().reuses()
    }

    /// What has crossed it since it was opened. It costs a system call.
    pub fn traffic(&self) -> Traffic {
        let counted = self.link().stream.socket().and_then(sys::traffic).unwrap_or_default();
        Traffic { sent: counted.out, received: counted.r#in }
    }

    /// How it is secured; nothing if it is plain.
    pub fn tls(&mut self) -> Option<Tls> {
        let tls = self.link_mut().stream.tls()?;
        let (version, cipher) = libssl::protocol_and_cipher(tls.ssl());
        Some(Tls {
            version: version.to_str().unwrap_or_default(),
            cipher: cipher.to_str().unwrap_or_default(),
            resumed: tls.ssl().session_reused(),
        })
    }

    /// How long a read waits for its first byte; at first the profile's `read_timeout`. `None` is for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    /// How long a write waits while no byte moves; at first the profile's `write_timeout`. `None` is for
    /// ever.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    fn write_pieces(&mut self, pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        let timeout = self.write_timeout;
        let link = self.link_mut();
        link.in_exchange = true;
        if link.is_broken {
            return Err(failed_before());
        }
        let Err(error) = link.stream.write_all(pieces, timeout) else { return Ok(()) };
        link.is_broken = true;
        let has_served = link.reuses() > 0 || link.was_read;
        let fault = link.stream.fault_of_write(&error, has_served);
        let is_of_session =
            fault == Some(Fault::Write) && link.stream.tls().is_some_and(TlsStream::failed_unanswered);
        if let Some(fault) = fault.filter(|_| !is_of_session) {
            self.context.blame(self.link().leads_to(), fault);
        }
        Err(self.error("write to", error))
    }

    fn error(&self, what: &str, error: TransferError) -> io::Error {
        let kind = match &error {
            TransferError::TimedOut => io::ErrorKind::TimedOut,
            TransferError::Io(error) => error.kind(),
        };
        io::Error::new(kind, format!("{what} {}: {error}", self.peer()))
    }
}

fn failed_before() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection failed before")
}

impl Read for Connection {
    /// Reads what there is, at least one byte. A timeout is an error of the kind `TimedOut`, after which one
    /// may try again.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let timeout = self.read_timeout;
        let link = self.link_mut();
        if buffer.is_empty() {
            return Ok(0);
        }
        link.in_exchange = true;
        // From a plain socket an answer may still come after a write failed: why the request was not taken.
        if link.is_broken && link.stream.tls().is_some() {
            return Err(failed_before());
        }
        match link.stream.read(buffer, timeout) {
            Ok(0) => {
                link.has_ended = true;
                Ok(0)
            }
            Ok(count) => {
                link.was_read = true;
                Ok(count)
            }
            Err(error) => {
                link.is_broken |= !matches!(error, TransferError::TimedOut);
                Err(self.error("read from", error))
            }
        }
    }
}

impl Write for Connection {
    /// Writes all of it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_pieces(&mut [IoSlice::new(bytes)])?;
        Ok(bytes.len())
    }

    /// Writes all pieces, over TLS the small ones together.
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_pieces(&mut pieces.to_vec())?;
        Ok(pieces.iter().map(|piece| piece.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.link().stream.as_raw_fd()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        match link.end_use() {
            Ok(()) => self.context.client.release(&self.context.call(), link),
            Err(why) => link.close(why),
        }
    }
}
