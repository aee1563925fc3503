//! The way from a connection to the reader of replies: timeouts, limits, and the state of the connection afterwards.

use std::ffi::CStr;
use std::time::Duration;

use crate::abi::context_fields::Fields;
use crate::http::Limits;
use crate::http::reader::{self, Failure, Receiver, Reply, Source};
use crate::http::reply::Expected;
use droplet_client::log;
use droplet_client::net::stream::TransferError;
use droplet_conn::abi::connection::{Connection, peer_name};
use droplet_conn::exports::call_log;

/// `header_size` where a context states none.
const USUAL_HEADER_SIZE: usize = 8192;

/// How many lines of the greatest length a head may have.
const LONG_LINES: usize = 16;

/// The read timeout of a connection whose context was freed.
const USUAL_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection that is read from.
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

/// Reads a reply. What goes wrong is logged.
pub fn read<R: Receiver>(
    connection: &mut Connection,
    with_body: bool,
    receiver: &mut R,
    function: &'static CStr,
) -> Result<Reply, Failure<TransferError, R::Error>> {
    let context = connection.context();
    let is_secured = connection.stream().tls().is_some();
    let timeout = context.map_or(Some(USUAL_READ_TIMEOUT), |context| match is_secured {
        true => context.view().tls_read_timeout(),
        false => context.view().read_timeout(),
    });
    let line = fields(connection).map_or(USUAL_HEADER_SIZE, |fields| fields.header_size(USUAL_HEADER_SIZE));
    let limits = Limits { line, head: line.saturating_mul(LONG_LINES) };
    let expected = Expected { body: with_body, continuation: connection.awaits_continue(), limits };
    connection.begin_exchange();
    connection.drop_surplus();
    let outcome = reader::read(&mut Incoming { connection: &mut *connection, timeout }, receiver, expected);
    let fault = match &outcome {
        // The reply to the request is still to come, and may be in the buffer.
        Ok(Reply { status: 100, .. }) => return outcome,
        // Other words than HTTP's follow, and may be in the buffer.
        Ok(Reply { status: 101, .. }) => return outcome,
        Ok(Reply { is_last, .. }) => {
            // After bytes that nobody asked for, nobody else gets the connection.
            if !is_last && connection.buffered().is_empty() {
                connection.end_exchange();
            }
            connection.set_reply_is_over();
            return outcome;
        }
        Err(Failure::Malformed(fault)) => fault.to_string(),
        Err(Failure::Source(error)) => error.to_string(),
        Err(Failure::Receiver(_)) => "what came was not taken".to_owned(),
    };
    // The rest of it would answer the next request.
    connection.mark_broken();
    log!(&call_log(context, function), Error, "reply from {}: {fault}", peer_name(connection));
    outcome
}

/// The context of a connection, unless it was freed.
pub fn fields(connection: &Connection) -> Option<Fields> {
    // SAFETY: the context is there.
    connection.context().and_then(|_| unsafe { Fields::of(connection.head().ctx.cast()) })
}
