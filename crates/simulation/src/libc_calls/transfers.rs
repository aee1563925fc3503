//! Reading from sockets and writing to them.

use std::ffi::{c_int, c_void};
use std::{mem, slice};

use libc::{size_t, ssize_t};

use super::fault;
use super::sockets::socket_behind;
use crate::faults::Call;
use crate::network::Phase;
use crate::real::{failed, really};
use crate::threads::may_be_interrupted;
use crate::world::{violation, with};

pub fn recv(descriptor: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
    may_be_interrupted();
    if let Some(error) = fault(Call::Receive) {
        return failed(error) as ssize_t;
    }
    let number = match socket_behind(descriptor) {
        Ok(number) => number,
        Err(error) => return failed(error) as ssize_t,
    };
    // SAFETY: the caller passes a buffer of this length.
    let buffer = unsafe { slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    let outcome = with(|world| {
        world.happen();
        let socket = &mut world.sockets[number];
        if socket.is_inherited && flags & libc::MSG_PEEK == 0 {
            violation("a child reads from its parent's connection");
        }
        if !socket.unread.is_empty() {
            let count = length.min(socket.unread.len());
            for (place, byte) in buffer.iter_mut().zip(&socket.unread) {
                *place = *byte;
            }
            if flags & libc::MSG_PEEK == 0 {
                socket.unread.drain(..count);
            }
            return Ok(count);
        }
        match mem::take(&mut socket.error) {
            0 if socket.has_ended || socket.is_shut || socket.phase == Phase::Failed => Ok(0),
            0 => Err(libc::EAGAIN),
            error => Err(error),
        }
    });
    match outcome {
        Ok(count) => count as ssize_t,
        Err(libc::EAGAIN) if flags & libc::MSG_DONTWAIT == 0 => {
            violation("a recv(2) that waits without a deadline")
        }
        Err(error) => failed(error) as ssize_t,
    }
}

pub fn send(descriptor: c_int, data: *const c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the caller passes data of this length.
    let data = unsafe { slice::from_raw_parts(data.cast::<u8>(), length) };
    send_pieces(descriptor, &[data], flags)
}

pub fn sendmsg(descriptor: c_int, header: *const libc::msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the caller passes a msghdr with as many pieces as it says.
    let pieces = unsafe {
        let header = &*header;
        slice::from_raw_parts(header.msg_iov, header.msg_iovlen)
    };
    // SAFETY: each piece is readable.
    let pieces = pieces
        .iter()
        .map(|piece| unsafe { slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len) });
    let pieces: Vec<&[u8]> = really(|| pieces.collect());
    send_pieces(descriptor, &pieces, flags)
}

fn send_pieces(descriptor: c_int, pieces: &[&[u8]], flags: c_int) -> ssize_t {
    may_be_interrupted();
    if flags & libc::MSG_NOSIGNAL == 0 {
        violation("a send that may raise SIGPIPE");
    }
    if flags & libc::MSG_DONTWAIT == 0 {
        violation("a send that waits without a deadline");
    }
    if let Some(error) = fault(Call::Send) {
        return failed(error) as ssize_t;
    }
    let number = match socket_behind(descriptor) {
        Ok(number) => number,
        Err(error) => return failed(error) as ssize_t,
    };
    with(|world| {
        world.happen();
        let socket = &mut world.sockets[number];
        if socket.is_inherited {
            violation("a child writes to its parent's connection");
        }
        let error = mem::take(&mut socket.error);
        if error != 0 {
            return failed(error) as ssize_t;
        }
        if socket.is_shut || socket.phase == Phase::Failed {
            return failed(libc::EPIPE) as ssize_t;
        }
        if socket.phase != Phase::Connected {
            return failed(libc::ENOTCONN) as ssize_t;
        }
        let room = socket.room();
        if room == 0 {
            return failed(libc::EAGAIN) as ssize_t;
        }
        let mut data = pieces.concat();
        data.truncate(room);
        let count = data.len();
        world.send_to_server(number, data);
        count as ssize_t
    })
}
