//! Connections in use.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::context::Inner;
use super::reply::Exchange;
use crate::checkout::ClientConnection as _;
use crate::checkout::endpoint::Endpoint;
use crate::checkout::open_connection::OpenConnection;
use crate::http;
use crate::net::stream::TransferError;
use crate::os::libssl;
use crate::os::sys;
use crate::pool::Poolable;

/// A connection in use, which belongs to its owner alone. When it is dropped it goes back to its context, for
/// others to use.
///
/// It is closed instead if a read or write failed, or if the reply to what was written was not read to its end.
/// [`Connection::reply`] reads replies of HTTP. A program that reads them by itself says that one is complete by
/// [`Connection::reply_complete`].
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
    /// `None` only while the connection is dropped.
    open: Option<OpenConnection>,
    context: Arc<Inner>,
    pub(super) exchange: Exchange,
    pub(super) read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

/// Numbers of bytes that crossed a connection, as the kernel counts them. They include the bytes of TLS itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received, read or not.
    pub received: u64,
}

/// Facts about the TLS of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The protocol, such as `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// True if a session was resumed.
    pub resumed: bool,
}

impl Connection {
    pub(super) fn new(context: Arc<Inner>, open: OpenConnection) -> Connection {
        let (read_timeout, write_timeout) = (context.read_timeout, context.write_timeout);
        Connection { open: Some(open), context, exchange: Exchange::default(), read_timeout, write_timeout }
    }

    fn open(&self) -> &OpenConnection {
        self.open.as_ref().expect("it is there until the connection is dropped")
    }

    fn open_mut(&mut self) -> &mut OpenConnection {
        self.open.as_mut().expect("it is there until the connection is dropped")
    }

    /// Returns the open connection, and what is known of requests and replies on it.
    pub(super) fn parts(&mut self) -> (&mut OpenConnection, &mut Exchange) {
        let open = self.open.as_mut().expect("it is there until the connection is dropped");
        (open, &mut self.exchange)
    }

    fn endpoint(&self) -> &Endpoint {
        self.open().endpoint().expect("a context makes connections to endpoints only")
    }

    /// Says that the reply to all that was written has been read to its end, so that the connection can
    /// serve others. Do not call it if the server has announced that it will close the connection. It has no effect, but a
    /// message for the log, if [`Connection::reply`] has begun with the reply and has not come to its end.
    pub fn reply_complete(&mut self) {
        if self.exchange.forget_unless_under_way() {
            let request = mem::take(&mut self.exchange.request);
            self.open_mut().end_request(&request);
            self.open_mut().end_exchange();
        } else {
            log!(&self.context.call(), Error, "reply from {}: it was not read to its end", self.peer());
        }
    }

    /// Returns the limits for the replies.
    pub(super) fn reply_limits(&self) -> http::Limits {
        http::Limits::of_lines(self.context.header_size)
    }

    /// Returns the host's name as the profile has it, or `BUCKET.HOST`.
    pub fn host(&self) -> String {
        self.endpoint().name().to_string_lossy().into_owned()
    }

    /// Returns the address it is connected to.
    pub fn peer(&self) -> SocketAddr {
        self.open().peer().expect("it leads to a host")
    }

    /// Returns how often the connection was reused: 0 for a new one.
    pub fn reused(&self) -> u32 {
        self.open().reuses()
    }

    /// Returns the bytes that crossed the connection since it was opened. It costs a system call.
    pub fn traffic(&self) -> Traffic {
        let counted = self.open().stream.socket().and_then(sys::traffic).unwrap_or_default();
        Traffic { sent: counted.out, received: counted.r#in }
    }

    /// Returns facts about TLS; `None` for a plain connection.
    pub fn tls(&mut self) -> Option<Tls> {
        let tls = self.open_mut().stream.tls()?;
        let (version, cipher) = libssl::protocol_and_cipher(tls.ssl());
        Some(Tls {
            version: version.to_str().unwrap_or_default(),
            cipher: cipher.to_str().unwrap_or_default(),
            resumed: tls.ssl().session_reused(),
        })
    }

    /// Sets how long a read waits for its first byte; `None` waits for ever. The initial value is the profile's
    /// `read_timeout`.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    /// Sets how long a write waits while no byte moves; `None` waits for ever. The initial value is the profile's
    /// `write_timeout`.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    fn write_pieces(&mut self, pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        let timeout = self.write_timeout;
        let (open, exchange) = self.parts();
        if open.is_broken() {
            return Err(failed_before());
        }
        if pieces.iter().all(|piece| piece.is_empty()) {
            // Nothing is sent: it is no request, and the last reply stays.
            return Ok(());
        }
        open.begin_exchange();
        if let Err(reason) = exchange.begin_write(open, pieces) {
            open.mark_broken();
            return Err(io::Error::new(io::ErrorKind::NotConnected, reason));
        }
        let Err(error) = open.write_all(pieces, timeout) else { return Ok(()) };
        if let Some(fault) = open.fault_of_write(&error) {
            self.context.write_failed(self.open(), fault);
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
    /// Reads what there is, at least one byte. Bytes that are read here from the middle of a [`Connection::reply`] are missing
    /// from what that reads afterwards. A timeout is an error of the kind `TimedOut`; the read may be
    /// repeated after it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let timeout = self.read_timeout;
        let (open, exchange) = self.parts();
        if buffer.is_empty() {
            return Ok(0);
        }
        open.begin_exchange();
        // What came with a reply that was read by `reply`.
        let count = exchange.take(buffer);
        if count > 0 {
            return Ok(count);
        }
        // After a failed write a plain socket may still hold the server's reason for rejecting the request.
        if open.is_broken() && open.stream.tls().is_some() {
            return Err(failed_before());
        }
        let outcome = open.read(buffer, timeout);
        if outcome.as_ref().is_err_and(|error| !matches!(error, TransferError::TimedOut)) {
            open.mark_broken();
        }
        outcome.map_err(|error| self.error("read from", error))
    }
}

impl Write for Connection {
    /// Writes all bytes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_pieces(&mut [IoSlice::new(bytes)])?;
        Ok(bytes.len())
    }

    /// Writes all pieces. TLS gathers small ones into one record.
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
        self.open().stream.as_raw_fd()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(mut open) = self.open.take() {
            if !self.exchange.unread().is_empty() {
                open.mark_broken();
            }
            self.context.client.release(&self.context.call(), open);
        }
    }
}
