//! Descriptors: poll(2), close(2), and what is known about a file.

use std::ffi::{c_int, c_long, c_short, c_void};
use std::{mem, slice};

use libc::{pollfd, size_t, ssize_t};

use super::sockets::socket_behind;
use super::{fail, fault};
use crate::faults::Call;
use crate::files::{FIRST, File};
use crate::network::Phase;
use crate::real::{as_libc, failed, is_simulated, really};
use crate::threads::{MILLISECOND, What, may_be_interrupted, wait_for};
use crate::world::{violation, with};

#[unsafe(no_mangle)]
pub extern "C" fn poll(descriptors: *mut pollfd, count: libc::nfds_t, timeout: c_int) -> c_int {
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
    let ready = look(descriptors);
    if ready > 0 || timeout == 0 {
        return ready;
    }
    let until = u64::try_from(timeout).ok().map(|time| with(|world| world.now) + time * MILLISECOND);
    let wanted: Vec<(c_int, c_short)> =
        really(|| descriptors.iter().map(|one| (one.fd, one.events)).collect());
    wait_for(What::Poll(wanted), until);
    look(descriptors)
}

/// Notes what has happened to descriptors. Returns the number of those to which something has.
fn look(descriptors: &mut [pollfd]) -> c_int {
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
}

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
