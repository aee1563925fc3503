//! Clocks and sleeping.

use std::ffi::c_int;
use std::ffi::c_long;

use libc::timespec;

use crate::real::{as_libc, is_simulated};
use crate::threads::{MICROSECOND, MILLISECOND, SECOND, Time, What, wait_for};
use crate::world::with;

/// The time that reading a clock takes.
const CLOCK: Time = 40;

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

pub fn nanoseconds(time: &timespec) -> Time {
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
