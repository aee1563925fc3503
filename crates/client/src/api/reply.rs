//! Replies of HTTP, read from a connection.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::{self, IoSlice, Read};
use std::mem;
use std::time::Duration;

use super::connection::Connection;
use crate::checkout::open_connection::OpenConnection;
use crate::http::error::ReadError;
use crate::http::reader::{ReplyReader, Source};
use crate::http::reply::Expected;
use crate::http::request::WrittenRequest;
use crate::http::{Limits, reader};
use crate::net::stream::TransferError;

/// Size of the buffer in bytes.
const BUFFER: usize = 8192;

/// What is known of requests and replies on a connection.
#[derive(Default)]
pub struct Exchange {
    /// The request that was written last.
    pub request: WrittenRequest,
    /// The reply to it, once reading has begun.
    reply: Option<Box<ReplyReader>>,
    buffer: Vec<u8>,
    /// Number of bytes of the buffer that were used.
    used: usize,
}

impl Exchange {
    /// Returns the bytes that were read and not used.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.used..]
    }

    /// Moves unread bytes into `into`. Returns how many.
    pub fn take(&mut self, into: &mut [u8]) -> usize {
        let count = self.unread().len().min(into.len());
        into[..count].copy_from_slice(&self.unread()[..count]);
        self.used += count;
        count
    }

    /// Notes that something is about to be written, and forgets a reply that is over. An error if the connection must not
    /// be written to: what comes next would be taken for the reply to it.
    pub fn begin_write(
        &mut self,
        open: &mut OpenConnection,
        pieces: &[IoSlice<'_>],
    ) -> Result<(), &'static str> {
        if self.request.is_complete() {
            open.note_pipelining();
        }
        let begins = self.request.note(pieces.iter().map(|piece| &**piece));
        let Some(reply) = self.reply.take_if(|reply| reply.is_over()) else {
            let is_between = self.reply.is_some() && begins;
            return if is_between {
                Err("the reply to the last request was not read to its end")
            } else {
                Ok(())
            };
        };
        let is_other = matches!(reply.status(), Some(100 | 101));
        match is_other || open.stream.is_silent() {
            true => Ok(()),
            false => Err("the server has sent more than the last reply, or closed the connection"),
        }
    }

    /// Forgets the reply unless it is under way, since the program reads it in another way. Returns false if it is under
    /// way: a part of it was read, and not its end.
    pub fn forget_unless_under_way(&mut self) -> bool {
        self.reply.take_if(|reply| reply.is_over() || !reply.is_begun());
        self.reply.is_none()
    }

    fn expected(&self, limits: Limits) -> Expected {
        let Exchange { request, .. } = self;
        Expected { body: !request.is_head(), data: true, continuation: request.may_be_continued(), limits }
    }
}

/// A connection as a source of bytes.
struct Incoming<'a> {
    open: &'a mut OpenConnection,
    exchange: &'a mut Exchange,
    timeout: Option<Duration>,
}

impl Source for Incoming<'_> {
    type Error = TransferError;

    fn buffered(&mut self) -> &mut [u8] {
        &mut self.exchange.buffer[self.exchange.used..]
    }

    fn consume(&mut self, count: usize) {
        self.exchange.used += count;
    }

    fn fill(&mut self) -> Result<bool, TransferError> {
        let Exchange { buffer, used, .. } = &mut *self.exchange;
        buffer.resize(BUFFER, 0);
        let outcome = self.open.read(buffer, self.timeout);
        buffer.truncate(*outcome.as_ref().unwrap_or(&0));
        *used = 0;
        let has_more = outcome? > 0;
        if !has_more && self.open.is_broken() {
            // A write that failed may have taken the error which says that this is not the end.
            return Err(TransferError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(has_more)
    }

    fn is_silent(&mut self) -> bool {
        self.open.stream.is_silent()
    }
}

/// The reply to the request that was written last. Its body is read from it as from a file, by its length, in chunks or to
/// the end of the connection. Each read waits as long as a read of the [`Connection`].
///
/// After its end the connection goes back to its context for others to use, unless the server has said that it closes
/// it. A reply that is not read to its end can be gone on with by another call of [`Connection::reply`]; the connection
/// takes no other request before.
pub struct Reply<'a> {
    connection: &'a mut Connection,
}

impl Reply<'_> {
    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.reader().and_then(ReplyReader::status).unwrap_or_default()
    }

    /// Returns the value of the first field of this name, in whatever case.
    pub fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut fields = self.fields();
        let (_, value) = fields.find(|(it, _)| it.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(String::from_utf8_lossy(value))
    }

    /// Returns the names and values of all fields, in the order of the head.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let fields = self.reader().map_or(&[][..], ReplyReader::fields);
        fields.iter().map(|(name, value)| (&**name, &**value))
    }

    fn reader(&self) -> Option<&ReplyReader> {
        self.connection.exchange.reply.as_deref()
    }
}

impl Read for Reply<'_> {
    /// Reads bytes of the body; 0 is its end. A reply that is cut short is an error of the kind `UnexpectedEof`, one that
    /// cannot be read of the kind `InvalidData`.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match buffer.is_empty() {
            true => Ok(0),
            false => self.connection.step(|reader, source| reader.read_data(source, buffer)),
        }
    }
}

impl Connection {
    /// Reads the status and the fields of the reply to the request that was written last. Replies of 1xx are skipped,
    /// except for 101 and for the `100 Continue` that the request has asked for. The reply to a HEAD has no body.
    ///
    /// ```
    /// # use std::net::TcpListener;
    /// # let server = TcpListener::bind("127.0.0.1:0")?;
    /// # let address = server.local_addr()?;
    /// # std::thread::spawn(move || {
    /// #     let (mut client, _) = server.accept().unwrap();
    /// #     client.read_exact(&mut [0; 18]).unwrap();
    /// #     client.write_all(b"HTTP/1.1 200 OK\r\nETag: 1\r\nContent-Length: 5\r\n\r\nhello").unwrap();
    /// #     client.read_exact(&mut [0; 1]).unwrap_err();
    /// # });
    /// use droplet_client::Context;
    /// use std::io::{Read, Write};
    ///
    /// let context = Context::from_profile(&format!("host = {address}"))?;
    /// let mut connection = context.connect()?;
    /// connection.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    /// let mut reply = connection.reply()?;
    /// assert_eq!(reply.status(), 200);
    /// assert_eq!(reply.field("etag").as_deref(), Some("1"));
    /// let mut body = String::new();
    /// reply.read_to_string(&mut body)?;
    /// assert_eq!(body, "hello");
    /// drop(connection);
    /// assert_eq!(context.statistics().idle, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reply(&mut self) -> io::Result<Reply<'_>> {
        self.step(|reader, source| reader.read_head(source))?;
        Ok(Reply { connection: self })
    }

    /// Takes a step in the reply to the last request.
    fn step<T>(
        &mut self,
        take: impl FnOnce(&mut ReplyReader, &mut Incoming<'_>) -> Result<T, ReadError<TransferError, Infallible>>,
    ) -> io::Result<T> {
        let (timeout, limits) = (self.read_timeout, self.reply_limits());
        let (open, exchange) = self.parts();
        let mut reply =
            exchange.reply.take().unwrap_or_else(|| Box::new(ReplyReader::new(exchange.expected(limits))));
        reply.set_continuation(exchange.request.waits_to_continue());
        let was_over = reply.is_over();
        // After a failed write a plain socket may still hold the server's reason for rejecting the request.
        let cannot_be_read = reply.has_failed() || open.is_broken() && open.stream.tls().is_some();
        let outcome = if !was_over && cannot_be_read {
            Err(ReadError::Source(TransferError::Io(io::ErrorKind::NotConnected.into())))
        } else {
            if !was_over {
                open.begin_exchange();
            }
            take(&mut reply, &mut Incoming { open, exchange, timeout })
        };
        if reply.is_over() && !was_over {
            finish(open, exchange, &reply.reply());
        }
        if outcome.as_ref().is_err_and(|error| !matches!(error, ReadError::Source(TransferError::TimedOut))) {
            reply.give_up();
            open.mark_broken();
        }
        // Without a request, nobody has asked for a reply yet.
        let is_asked_for = reply.is_begun() || exchange.request.was_seen() || open.stream.awaits_reply();
        exchange.reply = Some(reply).filter(|_| is_asked_for);
        outcome.map_err(|error| self.reply_error(error))
    }

    fn reply_error(&self, error: ReadError<TransferError, Infallible>) -> io::Error {
        use crate::http::error::SyntaxError;
        let kind = match &error {
            ReadError::Syntax(SyntaxError::Ended) => io::ErrorKind::UnexpectedEof,
            ReadError::Syntax(SyntaxError::OutOfMemory) => io::ErrorKind::OutOfMemory,
            ReadError::Syntax(_) => io::ErrorKind::InvalidData,
            ReadError::Source(TransferError::TimedOut) => io::ErrorKind::TimedOut,
            ReadError::Source(TransferError::Io(error)) => error.kind(),
            ReadError::Receiver(never) => match *never {},
        };
        let text = match error {
            ReadError::Syntax(error) => error.to_string(),
            ReadError::Source(error) => error.to_string(),
            ReadError::Receiver(never) => match never {},
        };
        io::Error::new(kind, format!("reply from {}: {text}", self.peer()))
    }
}

/// Notes that a reply was read to its end, and learns the limits that it states: others may use the connection, unless the
/// reply or what came with it says otherwise.
fn finish(open: &mut OpenConnection, exchange: &mut Exchange, reply: &reader::Reply) {
    // After 100 the reply to the request follows, and after 101 another protocol. They may be in the buffer.
    if matches!(reply.status, 100 | 101) {
        return;
    }
    if let Some(stated) = reply.keep_alive {
        open.learn_limits(stated);
    }
    open.end_request(&mem::take(&mut exchange.request));
    let is_whole = !reply.lacks_last_line || open.stream.take_empty_line();
    if !exchange.unread().is_empty() {
        // Nobody asked for it. It must not be taken for another reply.
        open.mark_broken();
    } else if reply.is_last {
        open.end_last_exchange();
    } else if is_whole {
        open.end_exchange();
    }
}
