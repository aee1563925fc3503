//! System calls by number, futexes and random numbers.

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::{ptr, slice};

use libc::{pollfd, size_t, ssize_t, timespec};

use super::files::poll;
use super::time::nanoseconds;
use super::transfers::{recv, send, sendmsg};
use crate::files::FIRST;
use crate::real::{as_libc, failed, is_simulated};
use crate::threads::{State, What, may_be_interrupted, wait_for};
use crate::world::{violation, with};

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
