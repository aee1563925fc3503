//! Waiting for descriptors.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Instant;

use libc::{c_int, c_short};

use super::check_count;

/// One entry of [`wait`]: a descriptor and the event to wait for.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct PollFd(libc::pollfd);

impl PollFd {
    /// Waits for data, or for the end of the stream.
    pub fn readable(fd: &impl AsRawFd) -> PollFd {
        PollFd::new(fd, libc::POLLIN | libc::POLLRDHUP)
    }

    /// Waits for room to write, or for the end of a connect.
    pub fn writable(fd: &impl AsRawFd) -> PollFd {
        PollFd::new(fd, libc::POLLOUT)
    }

    fn new(fd: &impl AsRawFd, events: c_short) -> PollFd {
        PollFd(libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 })
    }

    /// True if the last wait saw room to write, and neither an error nor the end of the stream.
    pub fn has_only_room(&self) -> bool {
        self.0.revents == libc::POLLOUT
    }

    /// True if the last wait saw any event on this descriptor, an error included.
    pub fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Calls poll(2) once. Returns false if the time is over.
#[inline]
fn poll(fds: &mut [PollFd], milliseconds: c_int) -> io::Result<bool> {
    let count = fds.len() as libc::nfds_t;
    // SAFETY: PollFd is a transparent pollfd, and the slice is writable for `count` of them. A descriptor that is not
    // open is reported as an event.
    #[cfg(target_arch = "x86_64")]
    let ready = unsafe { libc::syscall(libc::SYS_poll, fds.as_mut_ptr(), count, milliseconds) };
    #[cfg(not(target_arch = "x86_64"))]
    let ready = {
        // Younger architectures have ppoll(2) only. It may write the time that is left.
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        let mut time = libc::timespec { tv_sec: seconds.into(), tv_nsec: i64::from(rest) * 1_000_000 };
        let time = if milliseconds < 0 { std::ptr::null_mut() } else { &raw mut time };
        let no_mask = std::ptr::null::<libc::sigset_t>();
        // SAFETY: as above; the time is NULL or a timespec, and without a mask its size counts for nothing.
        unsafe { libc::syscall(libc::SYS_ppoll, fds.as_mut_ptr(), count, time, no_mask, 0_usize) }
    };
    check_count(ready).map(|ready| ready > 0)
}

/// Waits until a descriptor is ready or the deadline has passed, and returns false if it has passed. `None` is no
/// deadline. Signals do not move the deadline.
pub fn wait(fds: &mut [PollFd], deadline: Option<Instant>) -> io::Result<bool> {
    wait_from(Instant::now(), fds, deadline)
}

/// As [`wait`], for a caller that has just read the clock.
pub fn wait_from(mut now: Instant, fds: &mut [PollFd], deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let milliseconds = deadline.map_or(-1, |deadline| {
            // Rounded up: a wait that ends too early would be followed by another one.
            let left = deadline.saturating_duration_since(now);
            left.as_micros().div_ceil(1000).min(c_int::MAX as u128) as c_int
        });
        match poll(fds, milliseconds) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => now = Instant::now(),
            Ok(false) => {
                now = Instant::now();
                if deadline.is_some_and(|deadline| deadline <= now) {
                    return Ok(false);
                }
            }
            outcome => return outcome,
        }
    }
}
