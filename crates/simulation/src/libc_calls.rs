//! The functions of libc that this program replaces. The linker prefers them to libc's for the whole process: for the
//! library, the standard library and OpenSSL. Threads that are not simulated get the real ones.

use std::ffi::{CStr, c_char, c_int, c_long, c_short, c_uint, c_void};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::{mem, ptr, slice};

use libc::{addrinfo, pollfd, size_t, sockaddr, sockaddr_in, socklen_t, ssize_t, timespec};

use crate::faults::Call;
use crate::files::{FIRST, File};
use crate::names::DOMAIN;
use crate::network::{Phase, Socket};
use crate::real::{Replaced, as_libc, failed, is_simulated, really, simulated};
use crate::threads::{
    self, MICROSECOND, MILLISECOND, SECOND, State, Thread, Time, What, may_be_interrupted, wait_for,
};
use crate::world::{violation, with};

/// The address of this side.
const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

/// The time that reading a clock takes.
const CLOCK: Time = 40;

fn fail(error: c_int) -> c_int {
    failed(error) as c_int
}

/// Returns the error of a call that is to fail now.
fn fault(call: Call) -> Option<c_int> {
    with(|world| world.fault(call))
}

// ---- Time ----

#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut timespec) -> c_int {
    if !is_simulated() {
        return as_libc(libc::SYS_clock_gettime, [clock.into(), time as c_long, 0, 0, 0, 0]) as c_int;
    }
    let nanoseconds = with(|world| {
        world.now += CLOCK;
        match clock {
            libc::CLOCK_REALTIME => world.wall_clock_nanoseconds() as u64,
            // A tick of 250 Hz.
            libc::CLOCK_MONOTONIC_COARSE => world.now - world.now % (4 * MILLISECOND),
            _ => world.now,
        }
    });
    // SAFETY: the caller passes a timespec to write to.
    unsafe {
        *time = timespec { tv_sec: (nanoseconds / SECOND) as i64, tv_nsec: (nanoseconds % SECOND) as i64 }
    };
    0
}

#[unsafe(no_mangle)]
extern "C" fn time(place: *mut libc::time_t) -> libc::time_t {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    clock_gettime(libc::CLOCK_REALTIME, &mut now);
    // SAFETY: NULL, or a time_t of the caller.
    if let Some(place) = unsafe { place.as_mut() } {
        *place = now.tv_sec;
    }
    now.tv_sec
}

fn sleep(time: *const timespec) -> c_int {
    // SAFETY: the caller passes a timespec.
    let until = with(|world| world.now + nanoseconds(unsafe { &*time }));
    wait_for(What::Time, Some(until));
    0
}

fn nanoseconds(time: &timespec) -> Time {
    time.tv_sec as Time * SECOND + time.tv_nsec as Time
}

#[unsafe(no_mangle)]
extern "C" fn nanosleep(time: *const timespec, left: *mut timespec) -> c_int {
    if is_simulated() {
        return sleep(time);
    }
    as_libc(libc::SYS_nanosleep, [time as c_long, left as c_long, 0, 0, 0, 0]) as c_int
}

#[unsafe(no_mangle)]
extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    time: *const timespec,
    left: *mut timespec,
) -> c_int {
    if is_simulated() {
        assert_eq!(flags, 0, "only relative times are simulated");
        return sleep(time);
    }
    let arguments = [clock.into(), flags.into(), time as c_long, left as c_long, 0, 0];
    -(crate::real::system_call(libc::SYS_clock_nanosleep, arguments) as c_int)
}

#[unsafe(no_mangle)]
extern "C" fn sched_yield() -> c_int {
    if is_simulated() {
        wait_for(What::Time, Some(with(|world| world.now + MICROSECOND)));
        return 0;
    }
    as_libc(libc::SYS_sched_yield, [0; 6]) as c_int
}

// ---- System calls by number ----

#[unsafe(no_mangle)]
extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    if is_simulated() {
        let fd = a as c_int;
        match number {
            libc::SYS_poll => return poll(a as *mut pollfd, b as libc::nfds_t, c as c_int).into(),
            libc::SYS_futex => return futex(a as usize, b as c_int, c as u32, d as *const timespec),
            libc::SYS_recvfrom if fd >= FIRST => {
                return recv(fd, b as *mut c_void, c as usize, d as c_int) as c_long;
            }
            libc::SYS_sendto if fd >= FIRST => {
                return send(fd, b as *const c_void, c as usize, d as c_int) as c_long;
            }
            libc::SYS_sendmsg if fd >= FIRST => {
                return sendmsg(fd, b as *const libc::msghdr, c as c_int) as c_long;
            }
            libc::SYS_getrandom => return getrandom(a as *mut c_void, b as usize, c as c_uint) as c_long,
            _ => {}
        }
    }
    as_libc(number, [a, b, c, d, e, f])
}

#[unsafe(no_mangle)]
extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    if !is_simulated() {
        return as_libc(libc::SYS_getrandom, [buffer as c_long, length as c_long, flags.into(), 0, 0, 0])
            as ssize_t;
    }
    // SAFETY: the caller passes a buffer of this length.
    let bytes = unsafe { slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    with(|world| world.random.fill(bytes));
    length as ssize_t
}

/// Numbers of processes differ between runs, and a history must not.
#[unsafe(no_mangle)]
extern "C" fn getpid() -> libc::pid_t {
    if is_simulated() {
        return 1000 + libc::pid_t::from(with(|world| world.is_child));
    }
    as_libc(libc::SYS_getpid, [0; 6]) as libc::pid_t
}

fn futex(address: usize, operation: c_int, value: u32, timeout: *const timespec) -> c_long {
    match operation & 0x7f {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => {
            // SAFETY: the caller passes the address of a word.
            let seen = unsafe { ptr::read_volatile(address as *const u32) };
            if seen != value {
                return failed(libc::EAGAIN);
            }
            // SAFETY: NULL, or a timespec of the caller.
            let time = unsafe { timeout.as_ref() }.map(nanoseconds);
            let is_absolute = operation & 0x7f == libc::FUTEX_WAIT_BITSET;
            let until = time.map(|time| if is_absolute { time } else { with(|world| world.now) + time });
            // It may return without a reason (futex(2)).
            if with(|world| world.random.u8(..)) < 8 {
                may_be_interrupted();
                return 0;
            }
            wait_for(What::Futex(address), until);
            let is_late = until.is_some_and(|until| with(|world| world.now) >= until);
            if is_late { failed(libc::ETIMEDOUT) } else { 0 }
        }
        libc::FUTEX_WAKE => {
            let woken = with(|world| {
                let mut woken = 0;
                for thread in &mut world.threads {
                    let sleeps = matches!(thread.state, State::Waiting(What::Futex(at), _) if at == address);
                    if sleeps && woken < value as i32 as i64 {
                        thread.state = State::Ready;
                        woken += 1;
                    }
                }
                woken
            });
            may_be_interrupted();
            woken
        }
        other => violation(&format!("futex operation {other} is not simulated")),
    }
}

#[unsafe(no_mangle)]
extern "C" fn poll(descriptors: *mut pollfd, count: libc::nfds_t, timeout: c_int) -> c_int {
    if !is_simulated() {
        return as_libc(libc::SYS_poll, [descriptors as c_long, count as c_long, timeout.into(), 0, 0, 0])
            as c_int;
    }
    may_be_interrupted();
    if let Some(error) = fault(Call::Poll) {
        return fail(error);
    }
    // SAFETY: the caller passes this number of pollfd.
    let descriptors = unsafe { slice::from_raw_parts_mut(descriptors, count as usize) };
    let mut look = || {
        with(|world| {
            world.happen();
            for descriptor in &mut *descriptors {
                descriptor.revents = world.ready_events(descriptor.fd, descriptor.events);
                if descriptor.revents & libc::POLLNVAL != 0 {
                    violation("poll of a descriptor that is closed");
                }
            }
        });
        descriptors.iter().filter(|descriptor| descriptor.revents != 0).count() as c_int
    };
    let ready = look();
    if ready > 0 || timeout == 0 {
        return ready;
    }
    let until = u64::try_from(timeout).ok().map(|time| with(|world| world.now) + time * MILLISECOND);
    let wanted: Vec<(c_int, c_short)> =
        really(|| descriptors.iter().map(|one| (one.fd, one.events)).collect());
    wait_for(What::Poll(wanted), until);
    let mut look = || {
        with(|world| {
            for descriptor in &mut *descriptors {
                descriptor.revents = world.ready_events(descriptor.fd, descriptor.events);
            }
        });
        descriptors.iter().filter(|descriptor| descriptor.revents != 0).count() as c_int
    };
    look()
}

// ---- Sockets ----

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
fn socket_behind(descriptor: c_int) -> Result<usize, c_int> {
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

fn recv(descriptor: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
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

fn send(descriptor: c_int, data: *const c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the caller passes data of this length.
    let data = unsafe { slice::from_raw_parts(data.cast::<u8>(), length) };
    send_pieces(descriptor, &[data], flags)
}

fn sendmsg(descriptor: c_int, header: *const libc::msghdr, flags: c_int) -> ssize_t {
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

// ---- Files ----

#[unsafe(no_mangle)]
extern "C" fn close(descriptor: c_int) -> c_int {
    if descriptor < FIRST {
        return as_libc(libc::SYS_close, [descriptor.into(), 0, 0, 0, 0, 0]) as c_int;
    }
    if is_simulated() {
        may_be_interrupted();
    }
    with(|world| match world.files.close(descriptor) {
        None => violation(&format!("descriptor {descriptor} is closed twice")),
        Some(File::Socket(number)) => {
            world.trace(|| format!("socket {number} is closed"));
            let socket = &mut world.sockets[number];
            socket.is_closed = true;
            if socket.phase == Phase::Connected && !socket.is_inherited {
                world.end_to_server(number);
            }
            0
        }
        Some(_) => 0,
    })
}

#[unsafe(no_mangle)]
extern "C" fn fstat(descriptor: c_int, status: *mut libc::stat) -> c_int {
    if descriptor < FIRST {
        return as_libc(libc::SYS_fstat, [descriptor.into(), status as c_long, 0, 0, 0, 0]) as c_int;
    }
    let (kind, inode) = match with(|world| world.files.get(descriptor)) {
        None => return fail(libc::EBADF),
        Some(File::Socket(number)) => (libc::S_IFSOCK, number),
        Some(File::Reader(number) | File::Writer(number)) => (libc::S_IFIFO, 1_000_000 + number),
    };
    // SAFETY: the caller passes a stat; one of zeros is valid.
    unsafe {
        *status = mem::zeroed();
        (*status).st_mode = kind | 0o600;
        (*status).st_dev = 77;
        (*status).st_ino = inode as u64 + 1;
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn fcntl(descriptor: c_int, command: c_int, argument: c_long) -> c_int {
    if descriptor < FIRST {
        return as_libc(libc::SYS_fcntl, [descriptor.into(), command.into(), argument, 0, 0, 0]) as c_int;
    }
    match (with(|world| world.files.get(descriptor)), command) {
        (None, _) => fail(libc::EBADF),
        (_, libc::F_GETFD) => libc::FD_CLOEXEC,
        (Some(File::Socket(number)), libc::F_GETFL) => {
            let is_nonblocking = with(|world| world.sockets[number].is_nonblocking);
            libc::O_RDWR | if is_nonblocking { libc::O_NONBLOCK } else { 0 }
        }
        (file, command) => violation(&format!("fcntl {command} of {file:?} is not simulated")),
    }
}

#[unsafe(no_mangle)]
extern "C" fn ioctl(descriptor: c_int, request: libc::c_ulong, argument: *mut c_void) -> c_int {
    if descriptor < FIRST {
        let arguments = [descriptor.into(), request as c_long, argument as c_long, 0, 0, 0];
        return as_libc(libc::SYS_ioctl, arguments) as c_int;
    }
    match socket_behind(descriptor) {
        Ok(number) if request == libc::FIONBIO => {
            // SAFETY: this request takes an int.
            let is_on = unsafe { *argument.cast::<c_int>() } != 0;
            with(|world| world.sockets[number].is_nonblocking = is_on);
            0
        }
        Ok(_) => violation(&format!("ioctl {request} is not simulated")),
        Err(error) => fail(error),
    }
}

#[unsafe(no_mangle)]
extern "C" fn pipe2(ends: *mut c_int, flags: c_int) -> c_int {
    if !is_simulated() {
        return as_libc(libc::SYS_pipe2, [ends as c_long, flags.into(), 0, 0, 0, 0]) as c_int;
    }
    if let Some(error) = fault(Call::Pipe) {
        return fail(error);
    }
    let made = with(|world| world.files.pipe());
    // SAFETY: the caller passes room for two numbers.
    unsafe { *ends.cast::<[c_int; 2]>() = made };
    0
}

#[unsafe(no_mangle)]
extern "C" fn write(descriptor: c_int, data: *const c_void, length: size_t) -> ssize_t {
    if descriptor < FIRST {
        return as_libc(libc::SYS_write, [descriptor.into(), data as c_long, length as c_long, 0, 0, 0])
            as ssize_t;
    }
    let outcome = with(|world| match world.files.get(descriptor) {
        Some(File::Writer(pipe)) => {
            let pipe = &mut world.files.pipes[pipe];
            pipe.bytes += length;
            if pipe.has_no_reader { Err(libc::EPIPE) } else { Ok(length) }
        }
        other => violation(&format!("write(2) to {other:?}")),
    });
    may_be_interrupted();
    outcome.map_or_else(|error| failed(error) as ssize_t, |count| count as ssize_t)
}

// ---- Names ----

static GETADDRINFO: Replaced = Replaced::new(c"getaddrinfo");
static FREEADDRINFO: Replaced = Replaced::new(c"freeaddrinfo");

/// An answer with one address; the next one follows by `ai_next`.
#[repr(C)]
struct Answer {
    info: addrinfo,
    address: sockaddr_in,
}

#[unsafe(no_mangle)]
extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    found: *mut *mut addrinfo,
) -> c_int {
    type Function =
        unsafe extern "C" fn(*const c_char, *const c_char, *const addrinfo, *mut *mut addrinfo) -> c_int;
    // SAFETY: NULL or a string.
    let name = unsafe { node.as_ref().map(|node| CStr::from_ptr(node)) };
    let name = name.and_then(|name| name.to_str().ok()).unwrap_or_default();
    if !is_simulated() || !name.ends_with(DOMAIN) {
        // SAFETY: libc's function of this name, with the caller's arguments.
        return really(|| unsafe { GETADDRINFO.get::<Function>()(node, service, hints, found) });
    }
    // SAFETY: NULL or hints.
    let flags = unsafe { hints.as_ref() }.map_or(0, |hints| hints.ai_flags);
    if flags & libc::AI_NUMERICHOST != 0 {
        return libc::EAI_NONAME;
    }
    let delay =
        with(|world| world.names.all.iter().find(|known| known.name == name).map_or(0, |known| known.delay));
    wait_for(What::Time, Some(with(|world| world.now) + delay));
    let answer = with(|world| {
        world.trace(|| format!("look-up of {name}"));
        let addresses = world.resolve(name)?;
        let mut first = ptr::null_mut();
        for ip in addresses.iter().rev() {
            // SAFETY: an answer of zeros is valid: numbers and pointers.
            let mut answer: Box<Answer> = Box::new(unsafe { mem::zeroed() });
            answer.address.sin_family = libc::AF_INET as u16;
            answer.address.sin_addr.s_addr = u32::from(*ip).to_be();
            answer.info.ai_family = libc::AF_INET;
            answer.info.ai_socktype = libc::SOCK_STREAM;
            answer.info.ai_addrlen = size_of::<sockaddr_in>() as socklen_t;
            answer.info.ai_next = first;
            let pointer = Box::into_raw(answer);
            // SAFETY: it was just made.
            unsafe { (*pointer).info.ai_addr = (&raw mut (*pointer).address).cast() };
            first = pointer.cast();
            world.names.lent.push(pointer.addr());
        }
        Ok::<_, c_int>(first)
    });
    match answer {
        Ok(first) => {
            // SAFETY: the caller passes a place for the pointer.
            unsafe { *found = first };
            0
        }
        Err(error) => error,
    }
}

#[unsafe(no_mangle)]
extern "C" fn freeaddrinfo(first: *mut addrinfo) {
    type Function = unsafe extern "C" fn(*mut addrinfo);
    really(|| {
        let is_ours = is_ours(first.addr());
        if !is_ours {
            // SAFETY: libc's function of this name, for a list that libc's getaddrinfo has made.
            return unsafe { FREEADDRINFO.get::<Function>()(first) };
        }
        let mut next = first;
        while !next.is_null() {
            // SAFETY: `getaddrinfo` above has made each from a box, and lent it to the caller.
            let answer = unsafe { Box::from_raw(next.cast::<Answer>()) };
            with(|world| world.names.lent.retain(|lent| *lent != next.addr()));
            next = answer.info.ai_next;
        }
    });
}

fn is_ours(address: usize) -> bool {
    crate::real::THREAD.get().is_some() && with(|world| world.names.lent.contains(&address))
}

// ---- Threads ----

type Work = extern "C" fn(*mut c_void) -> *mut c_void;
type CreateThread =
    unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Work, *mut c_void) -> c_int;

static PTHREAD_CREATE: Replaced = Replaced::new(c"pthread_create");

struct Start {
    number: usize,
    work: Work,
    argument: *mut c_void,
}

#[unsafe(no_mangle)]
extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    work: Work,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the type is that of libc's function.
    let create: CreateThread = really(|| unsafe { PTHREAD_CREATE.get() });
    if !is_simulated() {
        // SAFETY: the caller's arguments.
        return unsafe { create(thread, attributes, work, argument) };
    }
    if let Some(error) = fault(Call::Thread) {
        return error;
    }
    let number = with(|world| {
        world.threads.push(Thread::new(false));
        world.threads.len() - 1
    });
    really(|| {
        let start = Box::into_raw(Box::new(Start { number, work, argument }));
        // SAFETY: the caller's attributes, and a function with its argument.
        let made = unsafe { create(thread, attributes, run, start.cast()) };
        assert_eq!(made, 0, "no thread can be had");
    });
    may_be_interrupted();
    0
}

/// The body of a thread that the library has started.
extern "C" fn run(start: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` passes a box of this type.
    let Start { number, work, argument } = *really(|| unsafe { Box::from_raw(start.cast::<Start>()) });
    threads::begin(number);
    let outcome = simulated(|| work(argument));
    threads::end();
    outcome
}

/// Waits for a lock of pthreads in the simulated time, since the thread that holds it is simulated, too.
fn lock(name: &'static Replaced, object: *mut c_void) -> c_int {
    type Function = unsafe extern "C" fn(*mut c_void) -> c_int;
    loop {
        // SAFETY: the function that tries to lock, for an object of the caller.
        let outcome = really(|| unsafe { name.get::<Function>()(object) });
        if outcome != libc::EBUSY {
            return outcome;
        }
        if is_simulated() {
            wait_for(What::Time, Some(with(|world| world.now) + MICROSECOND));
        } else {
            as_libc(libc::SYS_sched_yield, [0; 6]);
        }
    }
}

static TRY_MUTEX: Replaced = Replaced::new(c"pthread_mutex_trylock");
static TRY_READ: Replaced = Replaced::new(c"pthread_rwlock_tryrdlock");
static TRY_WRITE: Replaced = Replaced::new(c"pthread_rwlock_trywrlock");

#[unsafe(no_mangle)]
extern "C" fn pthread_mutex_lock(mutex: *mut c_void) -> c_int {
    lock(&TRY_MUTEX, mutex)
}

#[unsafe(no_mangle)]
extern "C" fn pthread_rwlock_rdlock(rwlock: *mut c_void) -> c_int {
    lock(&TRY_READ, rwlock)
}

#[unsafe(no_mangle)]
extern "C" fn pthread_rwlock_wrlock(rwlock: *mut c_void) -> c_int {
    lock(&TRY_WRITE, rwlock)
}

// ---- Memory ----

unsafe extern "C" {
    fn __libc_malloc(size: size_t) -> *mut c_void;
    fn __libc_calloc(count: size_t, size: size_t) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: size_t) -> *mut c_void;
}

/// True if an allocation is to fail now. Large ones do not: Rust ends the process then, as docs/architecture.md says.
fn memory_is_short(size: size_t) -> bool {
    if !is_simulated() || size > 4096 {
        return false;
    }
    // A thread may lose its processor at any place, also in a critical section: this is a place in most of them.
    if with(|world| world.random.u8(..) == 0) {
        threads::let_others_run();
    }
    let is_short = fault(Call::Memory).is_some();
    if is_short {
        failed(libc::ENOMEM);
    }
    is_short
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: size_t) -> *mut c_void {
    // SAFETY: libc's function, whose contract the caller keeps.
    if memory_is_short(size) { ptr::null_mut() } else { unsafe { __libc_malloc(size) } }
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: size_t, size: size_t) -> *mut c_void {
    // SAFETY: as above.
    if memory_is_short(count * size) { ptr::null_mut() } else { unsafe { __libc_calloc(count, size) } }
}

#[unsafe(no_mangle)]
extern "C" fn realloc(block: *mut c_void, size: size_t) -> *mut c_void {
    // SAFETY: as above.
    if memory_is_short(size) { ptr::null_mut() } else { unsafe { __libc_realloc(block, size) } }
}
