//! Writing to a connection, and whose fault it is when that fails or no reply comes.

use std::ffi::CStr;
use std::io::IoSlice;
use std::time::Duration;

use super::{journal, refuse};
use crate::abi::call::ContextCall;
use crate::abi::connection::{self, Connection};
use crate::client::Connection as _;
use crate::fault::Fault;
use crate::journal::log;
#[cfg(feature = "standalone")]
use crate::journal::trace;
#[cfg(feature = "standalone")]
use crate::standalone::http::request;
use crate::status::Error;
use crate::stream::TransferError;

/// Writes all pieces.
#[inline(always)]
pub(super) fn write(
    connection: &mut Connection,
    pieces: &mut [IoSlice<'_>],
    timeout: Option<Duration>,
    function: &'static CStr,
) -> Result<(), Error> {
    if connection.is_broken() {
        // OpenSSL forbids a second try, and part of the first may have gone out.
        let peer = connection::peer_name(connection);
        refuse(connection.context(), function, &format!("write to {peer}: the connection failed before"));
        return Err(Error::Failure);
    }
    #[cfg(feature = "standalone")]
    connection.drop_surplus_on_the_wire();
    #[cfg(feature = "standalone")]
    connection.set_awaits_continue(pieces.first().is_some_and(|head| request::awaits_continue(head)));
    connection.begin_write();
    connection.stream().write_all(pieces, timeout).map_err(|error| {
        write_failed(connection, &error, function);
        error.error()
    })
}

/// Notes a failed write, and blames the host if it is the host's.
fn write_failed(connection: &mut Connection, error: &TransferError, function: &'static CStr) {
    connection.mark_broken();
    let context = connection.context();
    let peer = connection::peer_name(connection);
    log!(&journal(context, function), Error, "write to {peer}: {error}");
    let has_served = connection.has_served();
    let mut fault = connection.stream().fault_of_write(error, has_served);
    // The host had no part in it if C has replaced the descriptor, or perhaps if a session was resumed.
    if connection.is_replaced() || (fault == Some(Fault::Write) && connection.failed_on_session()) {
        fault = None;
    }
    let (Some(context), Some(endpoint)) = (context, connection.endpoint()) else { return };
    if let Some(fault) = fault {
        ContextCall::new(context, function).blacklist_endpoint(endpoint, fault);
    }
}

/// The host of a connection has given no reply, or one that says that it is at fault.
#[cfg(feature = "standalone")]
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
