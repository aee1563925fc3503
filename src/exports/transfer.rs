//! Writes to a connection, and the fault of the host if a write fails or no reply comes.

use std::ffi::CStr;
use std::io::IoSlice;
use std::time::Duration;

use super::{call_log, refuse};
use crate::abi::call::ContextCall;
use crate::abi::connection::{self, Connection};
use crate::abi::last_error;
use droplet_client::checkout::ClientConnection as _;
use droplet_client::fault::Fault;
use droplet_client::log;
use droplet_client::net::stream::TransferError;
use droplet_client::status::Error;
use droplet_client::trace;

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
        if connection.was_cancelled() {
            note_cancelled(&peer);
        } else {
            refuse(connection.context(), function, &format!("write to {peer}: the connection failed before"));
        }
        return Err(Error::Failure);
    }
    if pieces.iter().all(|piece| piece.is_empty()) {
        // Nothing is sent: it is no request, and the last reply stays.
        return Ok(());
    }
    connection.drop_surplus_on_the_wire();
    let is_behind_another = connection.has_complete_request();
    let begins = connection.note_request(pieces);
    if !connection.forget_reply() && begins {
        let peer = connection::peer_name(connection);
        let fault = "the reply to the last request was not read to its end";
        refuse(connection.context(), function, &format!("write to {peer}: {fault}"));
        connection.mark_broken();
        return Err(Error::Failure);
    }
    connection.begin_write();
    if is_behind_another {
        connection.note_pipelining();
    }
    connection.write_all(pieces, timeout).map_err(|error| {
        write_failed(connection, &error, function);
        error.error()
    })
}

/// Logs a failed write, and blacklists the host if the host is at fault.
fn write_failed(connection: &mut Connection, error: &TransferError, function: &'static CStr) {
    let context = connection.context();
    let peer = connection::peer_name(connection);
    if connection.was_cancelled() {
        return note_cancelled(&peer);
    }
    log!(&call_log(context, function), Error, "write to {peer}: {error}");
    let fault = connection.fault_of_write(error);
    if let (Some(context), Some(fault)) = (context, fault) {
        ContextCall::new(context, function).write_failed(connection, fault);
    }
}

/// Notes that a write was cancelled. The program asked for it, so it is not logged.
fn note_cancelled(peer: &str) {
    last_error::note(format_args!("write to {peer}: cancelled"));
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
