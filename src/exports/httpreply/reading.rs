//! Reading a reply from a connection: the timeout and the limits of its context, and the state of the connection
//! afterwards.

use std::ffi::CStr;
use std::time::Duration;

use crate::abi::connection::{self, Connection, peer_name};
use crate::exports::{call_log, dpl_status_t, read_failed, refuse};
use droplet_client::http::Limits;
use droplet_client::http::error::{ReadError, SyntaxError};
use droplet_client::http::reader::{self, Receiver, Reply, Source};
use droplet_client::http::reply::Expected;
use droplet_client::log;
use droplet_client::net::stream::TransferError;
use droplet_client::status::Error;

/// Time to wait for a body whose head says neither how long it is nor that the connection ends. Servers that leave the
/// connection open send none; those that send one send it at once. The original drops it in any case.
const OPEN_END: Duration = Duration::from_secs(1);

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

    fn is_silent(&mut self) -> bool {
        // The traces of the last read stay as they are: the release looks at them.
        self.connection.stream().is_silent()
    }

    fn fill_soon(&mut self) -> Result<Option<bool>, TransferError> {
        let soon = self.timeout.map_or(OPEN_END, |timeout| timeout.min(OPEN_END));
        match self.connection.fill(Some(soon)) {
            Err(TransferError::TimedOut) => Ok(None),
            outcome => outcome.map(Some),
        }
    }
}

/// The kind of reply that the caller expects: whether it has a body, and whether anybody wants its data.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub body: bool,
    pub data: bool,
}

/// Reads a reply. An error is logged.
pub fn read<R: Receiver<Error = Error>>(
    connection: &mut Connection,
    wanted: Wanted,
    receiver: &mut R,
    function: &'static CStr,
) -> Result<Reply, ReadError<TransferError, Error>> {
    let context = connection.context();
    let is_secured = connection.stream().tls().is_some();
    let timeout =
        context.map_or(Some(DEFAULT_READ_TIMEOUT), |context| context.view().reply_timeout(is_secured));
    if !connection.forget_unless_under_way() {
        let peer = peer_name(connection);
        let fault = "the program reads it step by step, and has not come to its end";
        refuse(context, function, &format!("reply from {peer}: {fault}"));
        return Err(ReadError::Receiver(Error::Failure));
    }
    let expected = expected(connection, wanted);
    connection.begin_exchange();
    connection.drop_surplus();
    let outcome = reader::read(&mut Incoming { connection: &mut *connection, timeout }, receiver, expected);
    let error = match &outcome {
        Ok(reply) => {
            if reply.is_presumed_empty {
                let peer = peer_name(connection);
                let log = call_log(context, function);
                log!(
                    &log,
                    Warning,
                    "reply from {peer}: its head does not say where its body ends, and none came: it counts as empty"
                );
            }
            finish(connection, reply);
            return outcome;
        }
        Err(ReadError::Syntax(error)) => error.to_string(),
        Err(ReadError::Source(error)) => error.to_string(),
        Err(ReadError::Receiver(error)) => refusal(*error).to_owned(),
    };
    // The rest of this reply would be taken for the reply to the next request.
    let peer = peer_name(connection);
    read_failed(connection, function, format_args!("reply from {peer}: {error}"));
    outcome
}

/// Returns the kind of reply that is expected, with the limits of the connection's context.
pub fn expected(connection: &Connection, wanted: Wanted) -> Expected {
    let header_size = connection.context().and_then(|context| context.view().header_size());
    Expected {
        body: wanted.body,
        data: wanted.data,
        continuation: connection.may_be_continued(),
        limits: Limits::of_lines(header_size.unwrap_or(0)),
    }
}

/// Notes that a reply was read to its end, and learns the limits that it states.
pub fn finish(connection: &mut Connection, reply: &Reply) {
    // After 100 the reply to the request follows, and after 101 another protocol. They may be in the buffer.
    if matches!(reply.status, 100 | 101) {
        return;
    }
    if let Some(stated) = reply.keep_alive {
        connection.learn_limits(stated);
    }
    // A connection with unexpected bytes must not serve another request.
    if connection.buffered().is_empty() {
        connection.end_exchange(reply.is_last);
    }
    connection.set_reply(match reply.lacks_last_line {
        true => connection::Reply::BeforeLastLine,
        false => connection::Reply::Over,
    });
}

/// Returns the reason why a receiver takes no more of a reply, for the log.
fn refusal(error: Error) -> &'static str {
    match error {
        Error::OutOfMemory => "out of memory",
        Error::Unsupported => {
            "its fields are wanted as a dictionary, and the process has no Droplet that makes one"
        }
        Error::Limit => "its body is longer than an unsigned int can say",
        _ => "the program did not accept it",
    }
}

/// Returns the status of a call that could not read a reply.
pub fn status(error: &ReadError<TransferError, Error>) -> dpl_status_t {
    match error {
        ReadError::Receiver(error) => error.status(),
        ReadError::Syntax(SyntaxError::OutOfMemory) => Error::OutOfMemory.status(),
        ReadError::Source(error) if matches!(error.error(), Error::OutOfMemory) => {
            Error::OutOfMemory.status()
        }
        ReadError::Syntax(_) | ReadError::Source(_) => Error::Failure.status(),
    }
}
