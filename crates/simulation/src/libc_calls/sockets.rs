//! Sockets: making, connecting, options, addresses.

use std::ffi::{c_int, c_long, c_void};
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};

use libc::{sockaddr, sockaddr_in, socklen_t};

use super::{fail, fault};
use crate::faults::Call;
use crate::files::{FIRST, File};
use crate::network::{Phase, Socket};
use crate::real::{as_libc, is_simulated};
use crate::threads::{MILLISECOND, Time, may_be_interrupted};
use crate::world::{violation, with};

/// The address of this side.
const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

#[unsafe(no_mangle)]
extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    if !is_simulated() {
        return as_libc(libc::SYS_socket, [domain.into(), kind.into(), protocol.into(), 0, 0, 0]) as c_int;
    }
    may_be_interrupted();
    if let Some(error) = fault(Call::Socket) {
        return fail(error);
    }
    if kind & libc::SOCK_CLOEXEC == 0 {
        violation("a socket that a program would inherit (no SOCK_CLOEXEC)");
    }
    with(|world| {
        let number = world.sockets.len();
        world.sockets.push(Socket::new(kind & libc::SOCK_NONBLOCK != 0));
        let descriptor = world.files.open(File::Socket(number));
        world.check_limit();
        descriptor
    })
}

/// Returns the number of the socket behind a descriptor, or an error number.
pub fn socket_behind(descriptor: c_int) -> Result<usize, c_int> {
    match with(|world| world.files.get(descriptor)) {
        Some(File::Socket(number)) => Ok(number),
        Some(_) => Err(libc::ENOTSOCK),
        None => violation(&format!("a call on descriptor {descriptor}, which is closed")),
    }
}

#[unsafe(no_mangle)]
extern "C" fn connect(descriptor: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    if descriptor < FIRST {
        return as_libc(libc::SYS_connect, [descriptor.into(), address as c_long, length.into(), 0, 0, 0])
            as c_int;
    }
    may_be_interrupted();
    if let Some(error) = fault(Call::Connect) {
        return fail(error);
    }
    let number = match socket_behind(descriptor) {
        Ok(number) => number,
        Err(error) => return fail(error),
    };
    // SAFETY: the caller passes an address; names lead to IPv4 only.
    let raw = unsafe { address.cast::<sockaddr_in>().read_unaligned() };
    assert_eq!(c_int::from(raw.sin_family), libc::AF_INET);
    let peer =
        SocketAddrV4::new(Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr)), u16::from_be(raw.sin_port));
    with(|world| {
        if !world.sockets[number].is_nonblocking {
            violation("a connect that waits");
        }
        world.connect(number, peer);
    });
    fail(libc::EINPROGRESS)
}

#[unsafe(no_mangle)]
extern "C" fn shutdown(descriptor: c_int, how: c_int) -> c_int {
    if descriptor < FIRST {
        return as_libc(libc::SYS_shutdown, [descriptor.into(), how.into(), 0, 0, 0, 0]) as c_int;
    }
    let number = match socket_behind(descriptor) {
        Ok(number) => number,
        Err(error) => return fail(error),
    };
    with(|world| {
        if world.sockets[number].is_inherited {
            violation("a child shuts its parent's connection down");
        }
        world.sockets[number].is_shut = true;
        world.end_to_server(number);
    });
    0
}

#[unsafe(no_mangle)]
extern "C" fn getsockopt(
    descriptor: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    if descriptor < FIRST {
        let arguments = [descriptor.into(), level.into(), name.into(), value as c_long, length as c_long, 0];
        return as_libc(libc::SYS_getsockopt, arguments) as c_int;
    }
    let number = match socket_behind(descriptor) {
        Ok(number) => number,
        Err(error) => return fail(error),
    };
    with(|world| {
        let now = world.now;
        let socket = &mut world.sockets[number];
        match (level, name) {
            (libc::SOL_SOCKET, libc::SO_ERROR) => {
                // SAFETY: this option is an int.
                unsafe { *value.cast::<c_int>() = mem::take(&mut socket.error) };
            }
            (libc::SOL_SOCKET, libc::SO_RCVTIMEO) => {
                // SAFETY: this option is a timeval.
                unsafe { *value.cast::<libc::timeval>() = libc::timeval { tv_sec: 0, tv_usec: 0 } };
            }
            (libc::IPPROTO_TCP, libc::TCP_INFO) => {
                // SAFETY: this option is a tcp_info, whose fields are integers.
                let info = unsafe { &mut *value.cast::<libc::tcp_info>() };
                info.tcpi_state = match (socket.phase, socket.has_ended) {
                    (Phase::Failed, _) => 7,
                    (_, true) => 8,
                    _ => 1,
                };
                let age = |then: Time| (now.saturating_sub(then) / MILLISECOND) as u32;
                info.tcpi_last_data_sent = age(socket.last_sent);
                info.tcpi_last_ack_recv = age(socket.last_heard);
                info.tcpi_rtt = 400;
                info.tcpi_bytes_sent = socket.sent;
                info.tcpi_bytes_received = socket.received + u64::from(socket.has_ended);
            }
            other => violation(&format!("getsockopt of {other:?} is not simulated")),
        }
    });
    0
}

#[unsafe(no_mangle)]
extern "C" fn setsockopt(
    descriptor: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    if descriptor < FIRST {
        let arguments = [descriptor.into(), level.into(), name.into(), value as c_long, length.into(), 0];
        return as_libc(libc::SYS_setsockopt, arguments) as c_int;
    }
    match socket_behind(descriptor) {
        Ok(_) => 0,
        Err(error) => fail(error),
    }
}

fn write_address(address: SocketAddrV4, place: *mut sockaddr, length: *mut socklen_t) {
    // SAFETY: a sockaddr_in of zeros is valid.
    let mut raw: sockaddr_in = unsafe { mem::zeroed() };
    raw.sin_family = libc::AF_INET as u16;
    raw.sin_port = address.port().to_be();
    raw.sin_addr.s_addr = u32::from(*address.ip()).to_be();
    // SAFETY: the caller passes room for any address.
    unsafe {
        place.cast::<sockaddr_in>().write_unaligned(raw);
        *length = size_of::<sockaddr_in>() as socklen_t;
    }
}

#[unsafe(no_mangle)]
extern "C" fn getpeername(descriptor: c_int, place: *mut sockaddr, length: *mut socklen_t) -> c_int {
    if descriptor < FIRST {
        return as_libc(libc::SYS_getpeername, [descriptor.into(), place as c_long, length as c_long, 0, 0, 0])
            as c_int;
    }
    let peer = socket_behind(descriptor).ok().and_then(|number| {
        with(|world| {
            let socket = &world.sockets[number];
            if socket.phase == Phase::Connected { socket.peer } else { None }
        })
    });
    match peer {
        Some(peer) => {
            write_address(peer, place, length);
            0
        }
        None => fail(libc::ENOTCONN),
    }
}

#[unsafe(no_mangle)]
extern "C" fn getsockname(descriptor: c_int, place: *mut sockaddr, length: *mut socklen_t) -> c_int {
    if descriptor < FIRST {
        return as_libc(libc::SYS_getsockname, [descriptor.into(), place as c_long, length as c_long, 0, 0, 0])
            as c_int;
    }
    write_address(SocketAddrV4::new(LOCAL, 10_000 + descriptor as u16), place, length);
    0
}
