//! System calls that the standard library and socket2 do not offer, each wrapped once.
//!

mod descriptor;
pub mod resolver;

use std::io::{self, IoSlice};
use std::mem::{self, MaybeUninit};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use libc::{c_int, c_long, c_short, c_void};

pub use descriptor::{Descriptor, FileKind, OpenFile};

/// Turns the C convention, -1 and `errno`, into a result.
fn check(value: c_int) -> io::Result<c_int> {
    if value == -1 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Turns the answer of syscall(2), a count or -1 and `errno`, into a result.
///
/// The system calls that wait are made by it, because the C library's functions are points at which a
/// cancelled thread ends (pthreads(7)): its frames would be unwound, and Rust's do not let that through.
#[inline]
fn check_count(value: c_long) -> io::Result<usize> {
    usize::try_from(value).map_err(|_| io::Error::last_os_error())
}

/// One entry of [`wait`]: a descriptor and what is awaited on it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct PollFd(libc::pollfd);

impl PollFd {
    /// Awaits data, or the peer's end of the stream.
    pub fn readable(fd: &impl AsRawFd) -> PollFd {
        PollFd::new(fd, libc::POLLIN | libc::POLLRDHUP)
    }

    /// Awaits room to write, or the end of a connect.
    pub fn writable(fd: &impl AsRawFd) -> PollFd {
        PollFd::new(fd, libc::POLLOUT)
    }

    fn new(fd: &impl AsRawFd, events: c_short) -> PollFd {
        PollFd(libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 })
    }

    /// Whether the last wait saw room to write, and neither an error nor an end.
    pub fn has_only_room(&self) -> bool {
        self.0.revents == libc::POLLOUT
    }

    /// Whether the last wait saw anything on this descriptor, an error included.
    pub fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// poll(2), once.
#[inline]
fn poll(fds: &mut [PollFd], milliseconds: c_int) -> io::Result<bool> {
    let count = fds.len() as libc::nfds_t;
    // SAFETY: PollFd is a transparent pollfd and the slice is writable for `count` of them; poll(2)
    // answers for descriptors that are not open, it does not require them to be.
    check_count(unsafe { libc::syscall(libc::SYS_poll, fds.as_mut_ptr(), count, milliseconds) })
        .map(|ready| ready > 0)
}

/// Waits until a descriptor is ready or the deadline passes; `None` waits for ever. Signals do not move
/// the deadline. False means that it passed.
pub fn wait(fds: &mut [PollFd], deadline: Option<Instant>) -> io::Result<bool> {
    wait_from(Instant::now(), fds, deadline)
}

/// As [`wait`], for who has just read the clock.
pub fn wait_from(mut now: Instant, fds: &mut [PollFd], deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let milliseconds = deadline.map_or(-1, |deadline| {
            // Rounded up: waking early would only mean another round.
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

/// The thread's `errno`.
#[inline(always)]
pub fn errno() -> c_int {
    // SAFETY: the address of the thread's own errno, valid for as long as the thread.
    unsafe { *libc::__errno_location() }
}

/// Sets the thread's `errno`.
pub fn set_errno(number: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = number };
}

/// Whether nothing at all is to be seen on a connected socket: no data, no end, no error. One recv(2),
/// which looks and takes nothing: it sees what a poll(2) would, in less time.
#[inline(always)]
pub fn is_silent(socket: &impl AsRawFd) -> bool {
    let seen = receive_with(socket, &mut [0], libc::MSG_PEEK | libc::MSG_DONTWAIT);
    seen == -1 && errno() == libc::EAGAIN
}

/// Whether the next thing on a connected socket is the end of the stream.
pub fn has_ended(socket: &impl AsRawFd) -> bool {
    receive_with(socket, &mut [0], libc::MSG_PEEK | libc::MSG_DONTWAIT) == 0
}

/// Whether there is something to read, which stays there.
pub fn has_data(socket: &impl AsRawFd) -> bool {
    receive_with(socket, &mut [0], libc::MSG_PEEK | libc::MSG_DONTWAIT) > 0
}

/// recv(2) of what stays there, without waiting.
pub fn peek(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<usize> {
    check_count(receive_with(socket, buffer, libc::MSG_PEEK | libc::MSG_DONTWAIT))
}

/// recv(2), without waiting.
pub fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<usize> {
    check_count(receive_with(socket, buffer, libc::MSG_DONTWAIT))
}

#[inline(always)]
fn receive_with(socket: &impl AsRawFd, buffer: &mut [u8], flags: c_int) -> c_long {
    let (fd, memory, length) = (socket.as_raw_fd(), buffer.as_mut_ptr(), buffer.len());
    let no_address = ptr::null_mut::<c_void>();
    // SAFETY: the buffer is writable for its length; no address is asked for.
    unsafe { libc::syscall(libc::SYS_recvfrom, fd, memory, length, flags, no_address, no_address) }
}

/// send(2) of one piece, or sendmsg(2), which takes longer, of several; without waiting and without a SIGPIPE.
#[inline]
pub fn send(socket: &impl AsRawFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    const FLAGS: c_int = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    if let [piece] = pieces {
        let (fd, memory, length) = (socket.as_raw_fd(), piece.as_ptr(), piece.len());
        let no_address = ptr::null::<c_void>();
        // SAFETY: the piece is readable for its length; there is no address.
        let sent = unsafe { libc::syscall(libc::SYS_sendto, fd, memory, length, FLAGS, no_address, 0) };
        return check_count(sent);
    }
    // SAFETY: all zeros is a header without an address, data or ancillary data.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    // IoSlice has the layout of an iovec, as its documentation guarantees.
    header.msg_iov = pieces.as_ptr().cast_mut().cast();
    header.msg_iovlen = pieces.len();
    // SAFETY: the header leads to readable pieces, which the call does not change.
    check_count(unsafe { libc::syscall(libc::SYS_sendmsg, socket.as_raw_fd(), &raw const header, FLAGS) })
}

/// read(2), of any open file.
pub fn read(file: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is writable for its length.
    check_count(unsafe { libc::read(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) } as c_long)
}

/// write(2), to any open file.
pub fn write(file: &impl AsRawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes are readable for their length.
    check_count(unsafe { libc::write(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) } as c_long)
}

/// writev(2), to any open file.
pub fn write_vectored(file: &impl AsRawFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let count = c_int::try_from(pieces.len()).unwrap_or(c_int::MAX);
    // SAFETY: IoSlice has the layout of an iovec, as its documentation guarantees; the pieces are readable.
    check_count(unsafe { libc::writev(file.as_raw_fd(), pieces.as_ptr().cast(), count) } as c_long)
}

/// Bytes that have crossed a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What the kernel took to send.
    pub out: u64,
    /// What the kernel received, whoever read it.
    pub r#in: u64,
}

/// `TCP_CLOSE_WAIT` (linux/tcp_states.h): the peer has sent its end.
const CLOSE_WAIT: u8 = 8;

/// What has crossed a TCP connection, as the kernel counts it (`TCP_INFO`, tcp(7)); nothing for other
/// sockets, and before Linux 4.19.
pub fn traffic(socket: &impl AsRawFd) -> Option<Traffic> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: `info` is writable for `length` bytes.
    check(unsafe {
        let (fd, info) = (socket.as_raw_fd(), info.as_mut_ptr().cast());
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info, &mut length)
    })
    .ok()?;
    // SAFETY: zeroed, and then filled in by the kernel: integers only.
    let info = unsafe { info.assume_init() };
    let end = std::mem::offset_of!(libc::tcp_info, tcpi_bytes_retrans) + size_of::<u64>();
    // The end of the stream counts like a byte.
    let end_received = u64::from(info.tcpi_state == CLOSE_WAIT);
    (length as usize >= end).then(|| Traffic {
        out: (info.tcpi_bytes_sent - info.tcpi_bytes_retrans) + u64::from(info.tcpi_notsent_bytes),
        r#in: info.tcpi_bytes_received.saturating_sub(end_received),
    })
}

/// `CLOCK_MONOTONIC_COARSE` in nanoseconds (clock_gettime(2)): a read of shared memory, no system call.
#[inline]
pub fn coarse_monotonic_nanoseconds() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC_COARSE)
}

/// `CLOCK_MONOTONIC` in nanoseconds: the same time, read from the processor's counter.
pub fn monotonic_nanoseconds() -> u64 {
    nanoseconds(libc::CLOCK_MONOTONIC)
}

#[inline(always)]
fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` is writable, and every Linux has these clocks: the call fills it in.
    let time = unsafe {
        libc::clock_gettime(clock, time.as_mut_ptr());
        time.assume_init()
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Wall-clock time in seconds since 1970, for the public fields that C reads.
#[inline]
pub fn wall_clock_seconds() -> libc::time_t {
    // SAFETY: time(2) accepts NULL.
    unsafe { libc::time(ptr::null_mut()) }
}

/// Makes a descriptor a blocking one, in one system call (ioctl_fionbio(2)); by fcntl(2) it takes two.
pub fn make_blocking(fd: &impl AsRawFd) -> io::Result<()> {
    let off: c_int = 0;
    // SAFETY: FIONBIO reads an int.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &off) }).map(drop)
}

/// Runs `write` such that a SIGPIPE it raises is swallowed, whatever the program does with that signal.
///
/// A SIGPIPE by write(2) goes to the thread that writes (pipe(7), signal(7)): it is blocked for this
/// thread alone, taken back if it came, and the mask restored. One that was pending before stays so.
pub fn without_sigpipe<T>(write: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut sigpipe = MaybeUninit::<libc::sigset_t>::uninit();
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: each set is written by the call that is handed it before it is read; SIGPIPE is a valid
    // signal number and pthread_sigmask changes this thread's mask only.
    let was_pending = unsafe {
        libc::sigemptyset(sigpipe.as_mut_ptr());
        libc::sigaddset(sigpipe.as_mut_ptr(), libc::SIGPIPE);
        libc::sigemptyset(pending.as_mut_ptr());
        libc::sigpending(pending.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, sigpipe.as_ptr(), before.as_mut_ptr());
        libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
    };
    let outcome = write();
    // SAFETY: the sets were filled in above; a zero timeout makes sigtimedwait(2) return at once.
    unsafe {
        if !was_pending && outcome.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
            let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            libc::sigtimedwait(sigpipe.as_ptr(), ptr::null_mut(), &at_once);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
    }
    outcome
}

/// Writes a text on stderr: in one piece, so that nobody else's comes between, and without a SIGPIPE. That
/// nobody reads it is no error.
pub fn print_error(text: &[u8]) {
    let _ = without_sigpipe(|| write(&libc::STDERR_FILENO, text));
}

const CANCEL_DISABLE: c_int = 1;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// Runs `body` such that a thread which is cancelled meanwhile (pthread_cancel(3)) ends after it: a
/// cancellation unwinds the stack, and Rust's frames do not let it through.
pub fn without_cancellation<T>(body: impl FnOnce() -> T) -> T {
    /// The state before, which comes back also after a panic.
    struct Restore(c_int);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the state is one that the function gave.
            unsafe { pthread_setcancelstate(self.0, ptr::null_mut()) };
        }
    }
    let mut before = Restore(CANCEL_DISABLE);
    // SAFETY: the old state is writable; the states are those of pthread_setcancelstate(3).
    unsafe { pthread_setcancelstate(CANCEL_DISABLE, &mut before.0) };
    body()
}

/// Waits until the word is woken (futex(2)), if it still has the expected value, or until the timeout. It may
/// return earlier. It is not a point at which a cancelled thread ends.
pub fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word and the timeout are readable during the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, expected, timeout) };
}

/// Wakes so many threads that wait on a word.
pub fn futex_wake(word: &AtomicU32, count: i32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the address is only looked up among those that are waited on.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, count) };
}

/// A handler of pthread_atfork(3).
pub type ForkHandler = unsafe extern "C" fn();

/// Has the handlers called at every fork from now on (pthread_atfork(3)).
pub fn at_every_fork(prepare: ForkHandler, parent: ForkHandler, child: ForkHandler) {
    // SAFETY: the handlers stay loaded: the library is linked with -z nodelete.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
}

/// The calling thread's id (gettid(2)), as trace lines show it.
pub fn thread_id() -> libc::pid_t {
    // SAFETY: gettid(2) takes no argument and cannot fail.
    unsafe { libc::gettid() }
}

/// Converts a wait from now into a deadline. `None` is no deadline, as is a wait beyond the end of the clock.
pub fn deadline(wait: Option<Duration>) -> Option<Instant> {
    wait.and_then(|wait| Instant::now().checked_add(wait))
}

/// The text of a system error alone, as strerror(3) gives it.
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((plain, _)) => plain.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancellation_is_possible_again_after_a_panic() {
        let panic = std::panic::catch_unwind(|| without_cancellation(|| panic!("as a test")));
        assert!(panic.is_err());
        let mut state = CANCEL_DISABLE;
        // SAFETY: the old state is writable.
        unsafe { pthread_setcancelstate(CANCEL_DISABLE, &mut state) };
        assert_ne!(state, CANCEL_DISABLE);
        // SAFETY: the state is the one that was.
        unsafe { pthread_setcancelstate(state, ptr::null_mut()) };
    }

    #[test]
    fn a_wait_beyond_the_end_of_the_clock_has_no_deadline() {
        assert_eq!(deadline(Some(Duration::MAX)), None);
        assert_eq!(deadline(None), None);
        assert!(deadline(Some(Duration::ZERO)).is_some());
    }
}
