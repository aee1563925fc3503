//! Writes to a connection, and the fault of the host if a write fails or no reply comes.

use std::ffi::CStr;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{call_log, refuse};
use crate::abi::call::ContextCall;
use crate::abi::connection::{self, Connection};
use droplet_client::checkout::ClientConnection as _;
use droplet_client::fault::Fault;
use droplet_client::log;
use droplet_client::net::stream::TransferError;
use droplet_client::status::Error;
use droplet_client::trace;

/// True if replies are read by functions of this project, which ask whether a request waits for `100 Continue`.
static HAS_REPLY_READER: AtomicBool = AtomicBool::new(false);

/// Says that replies are read by functions of this project. To be called before the first request is written.
pub fn announce_reply_reader() {
    HAS_REPLY_READER.store(true, Ordering::Relaxed);
}

/// Writes all pieces.
#[inline(always)]
pub(super) fn write(
    connection: &mut Connection,
    pieces: &mut [IoSlice<'_>],
    timeout: Option<Duration>,
    function: &'static CStr,
) -> Result<(), Error> {
    if connection.is_broken() {
        // OpenSSL forbids another try, and a part of the first may have been sent.
        let peer = connection::peer_name(connection);
        refuse(connection.context(), function, &format!("write to {peer}: the connection failed before"));
        return Err(Error::Failure);
    }
    connection.drop_surplus_on_the_wire();
    if HAS_REPLY_READER.load(Ordering::Relaxed) {
        connection.set_awaits_continue(pieces.first().is_some_and(|head| awaits_continue(head)));
    }
    connection.begin_write();
    connection.write_all(pieces, timeout).map_err(|error| {
        write_failed(connection, &error, function);
        error.error()
    })
}

/// Logs a failed write, and blacklists the host if the host is at fault.
fn write_failed(connection: &mut Connection, error: &TransferError, function: &'static CStr) {
    let context = connection.context();
    let peer = connection::peer_name(connection);
    log!(&call_log(context, function), Error, "write to {peer}: {error}");
    let fault = connection.fault_of_write(error);
    if let (Some(context), Some(fault)) = (context, fault) {
        ContextCall::new(context, function).write_failed(connection, fault);
    }
}

/// Blacklists the host of a connection that got no reply, or a reply that says that the host is at fault.
pub fn blame(connection: &mut Connection, fault: Fault, function: &'static CStr) {
    connection.mark_broken();
    let excuse = connection.excuse();
    let (Some(context), Some(endpoint)) = (connection.context(), connection.endpoint()) else { return };
    if connection.is_replaced() {
        return;
    }
    let call = ContextCall::new(context, function);
    if let Some(excuse) = excuse {
        trace!(&call, "{excuse}: the host is not to blame");
    } else {
        call.blacklist_endpoint(endpoint, fault);
    }
}

/// Returns whether these bytes are the head of a request that waits for a `100 Continue` (RFC 9110, section 10.1.1).
/// It is called for every write, so it rejects most other bytes by their beginning.
pub fn awaits_continue(bytes: &[u8]) -> bool {
    let method = bytes.iter().take(MOST_OF_METHOD + 1).take_while(|byte| byte.is_ascii_uppercase()).count();
    let is_head = (1..=MOST_OF_METHOD).contains(&method) && bytes.get(method) == Some(&b' ');
    let mut lines = bytes[..bytes.len().min(MOST_OF_HEAD)].split(|byte| *byte == b'\n');
    is_head && lines.any(|line| line.get(..7).is_some_and(|name| name.eq_ignore_ascii_case(b"expect:")))
}

/// Length of the longest method in common use, `PROPPATCH`.
const MOST_OF_METHOD: usize = 9;

/// Number of bytes that are searched. Droplet's own heads are no longer.
const MOST_OF_HEAD: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_wait_are_recognised() {
        assert!(awaits_continue(b"PUT /r HTTP/1.1\r\nHost: h\r\nexpect: 100-continue\r\n"));
        assert!(!awaits_continue(b"PUT /r HTTP/1.1\r\nX-Expect: 100-continue\r\n"));
        assert!(!awaits_continue(b"data\r\nExpect: 100-continue\r\n"));
        assert!(!awaits_continue(b""));
    }
}
