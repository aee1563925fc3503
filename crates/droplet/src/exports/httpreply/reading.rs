//! Reading a reply from a connection: the timeout and the limits of its context, and the state of the connection
//! afterwards.

use std::ffi::CStr;
use std::time::Duration;

use crate::abi::context_fields::Fields;
use droplet_client::http::Limits;
use droplet_client::http::error::ReadError;
use droplet_client::http::reader::{self, Receiver, Reply, Source};
use droplet_client::http::reply::Expected;
use droplet_client::log;
use droplet_client::net::stream::TransferError;
use droplet_client::status::Error;
use droplet_conn::abi::connection::{Connection, peer_name};
use droplet_conn::exports::{call_log, dpl_status_t};

/// `header_size` if a context has none.
const DEFAULT_HEADER_SIZE: usize = 8192;

/// Greatest length of a head, as a multiple of the greatest length of a line.
const LINES_IN_HEAD: usize = 16;

/// The read timeout of a connection whose context was freed.
const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection as a source of bytes.
struct Incoming<'a> {
    connection: &'a mut Connection,
    timeout: Option<Duration>,
}

impl Source for Incoming<'_> {
    type Error = TransferError;

    fn buffered(&mut self) -> &mut [u8] {
        self.connection.buffered()
    }

    fn consume(&mut self, count: usize) {
        self.connection.consume(count);
    }

    fn fill(&mut self) -> Result<bool, TransferError> {
        self.connection.fill(self.timeout)
    }
}

/// Reads a reply. An error is logged.
pub fn read<R: Receiver<Error = Error>>(
    connection: &mut Connection,
    with_body: bool,
    receiver: &mut R,
    function: &'static CStr,
) -> Result<Reply, ReadError<TransferError, Error>> {
    let context = connection.context();
    let is_secured = connection.stream().tls().is_some();
    let timeout = context.map_or(Some(DEFAULT_READ_TIMEOUT), |context| match is_secured {
        true => context.view().tls_read_timeout(),
        false => context.view().read_timeout(),
    });
    let line =
        fields(connection).map_or(DEFAULT_HEADER_SIZE, |fields| fields.header_size(DEFAULT_HEADER_SIZE));
    let limits = Limits { line, head: line.saturating_mul(LINES_IN_HEAD) };
    let expected = Expected { body: with_body, continuation: connection.awaits_continue(), limits };
    connection.begin_exchange();
    connection.drop_surplus();
    let outcome = reader::read(&mut Incoming { connection: &mut *connection, timeout }, receiver, expected);
    let error = match &outcome {
        // The reply to the request will follow, and may be in the buffer.
        Ok(Reply { status: 100, .. }) => return outcome,
        // Another protocol follows, and its first bytes may be in the buffer.
        Ok(Reply { status: 101, .. }) => return outcome,
        Ok(Reply { is_last, .. }) => {
            // A connection with unexpected bytes must not serve another request.
            if !is_last && connection.buffered().is_empty() {
                connection.end_exchange();
            }
            connection.set_reply_is_over();
            return outcome;
        }
        Err(ReadError::Syntax(error)) => error.to_string(),
        Err(ReadError::Source(error)) => error.to_string(),
        Err(ReadError::Receiver(error)) => refusal(*error).to_owned(),
    };
    // The rest of this reply would be taken for the reply to the next request.
    connection.mark_broken();
    log!(&call_log(context, function), Error, "reply from {}: {error}", peer_name(connection));
    outcome
}

/// Returns the reason why a receiver takes no more of a reply, for the log.
fn refusal(error: Error) -> &'static str {
    match error {
        Error::OutOfMemory => "out of memory",
        Error::Limit => "its body is longer than an unsigned int can say",
        _ => "the program did not accept it",
    }
}

/// Returns the status of a call that could not read a reply.
pub fn status(error: &ReadError<TransferError, Error>) -> dpl_status_t {
    match error {
        ReadError::Receiver(error) => error.status(),
        ReadError::Syntax(_) | ReadError::Source(_) => Error::Failure.status(),
    }
}

/// Returns the fields of a connection's context. `None` if the context was freed.
pub fn fields(connection: &Connection) -> Option<Fields> {
    // SAFETY: `ctx` points to the context, which is alive: context() is not None.
    connection.context().and_then(|_| unsafe { Fields::of(connection.head().ctx.cast()) })
}
