//! Sockets: what socket2 does not offer, or only by functions of libc at which a cancelled thread ends.

use std::io::{self, IoSlice};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::time::Duration;

use libc::{c_int, c_long, c_void};

use super::{check, check_count, errno};

/// True if nothing at all has come on a connected socket: no data, no end of the stream, no error. One recv(2), which
/// takes nothing away: it sees what a poll(2) would see, in less time.
#[inline(always)]
pub fn is_silent(socket: &impl AsRawFd) -> bool {
    let seen = receive_with(socket, &mut [0], libc::MSG_PEEK | libc::MSG_DONTWAIT);
    seen == -1 && errno() == libc::EAGAIN
}

/// Reads what has come and leaves it there, without waiting (recv(2)). 0 is the end of the stream.
pub fn peek(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<usize> {
    check_count(receive_with(socket, buffer, libc::MSG_PEEK | libc::MSG_DONTWAIT))
}

/// Reads what has come, without waiting (recv(2)). 0 is the end of the stream.
pub fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<usize> {
    check_count(receive_with(socket, buffer, libc::MSG_DONTWAIT))
}

#[inline(always)]
fn receive_with(socket: &impl AsRawFd, buffer: &mut [u8], flags: c_int) -> c_long {
    let (fd, memory, length) = (socket.as_raw_fd(), buffer.as_mut_ptr(), buffer.len());
    let no_address = ptr::null_mut::<c_void>();
    // SAFETY: the buffer is writable for its length; NULL asks for no address.
    unsafe { libc::syscall(libc::SYS_recvfrom, fd, memory, length, flags, no_address, no_address) }
}

/// Writes what fits, without waiting and without a SIGPIPE. One piece goes by send(2), several by sendmsg(2), which
/// takes longer.
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
    // SAFETY: a msghdr of zeros is valid: no address, no data, no ancillary data.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    // IoSlice has the layout of an iovec, as its documentation guarantees.
    header.msg_iov = pieces.as_ptr().cast_mut().cast();
    header.msg_iovlen = pieces.len();
    // SAFETY: the header points to readable pieces, and the call only reads them.
    check_count(unsafe { libc::syscall(libc::SYS_sendmsg, socket.as_raw_fd(), &raw const header, FLAGS) })
}

/// The numbers of bytes that have crossed a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that the kernel accepted for sending.
    pub out: u64,
    /// Bytes that the kernel received, whether or not they were read.
    pub r#in: u64,
}

/// `TCP_CLOSE` (linux/tcp_states.h): the connection is over, as after a reset.
const CLOSE: u8 = 7;

/// `TCP_CLOSE_WAIT`: the peer has ended its stream.
const CLOSE_WAIT: u8 = 8;

/// Returns the kernel's record of a TCP connection (`TCP_INFO`, tcp(7)), and the number of its bytes that are filled in.
/// `None` for other sockets.
fn tcp_info(socket: &impl AsRawFd) -> Option<(libc::tcp_info, usize)> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: `info` is writable for `length` bytes.
    check(unsafe {
        let (fd, info) = (socket.as_raw_fd(), info.as_mut_ptr().cast());
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info, &mut length)
    })
    .ok()?;
    // SAFETY: all fields are integers. They were set to zero, and the kernel has written those that it knows.
    Some((unsafe { info.assume_init() }, length as usize))
}

/// Returns the traffic of a TCP connection as the kernel counts it. `None` for other sockets, and before Linux 4.19.
pub fn traffic(socket: &impl AsRawFd) -> Option<Traffic> {
    let (info, length) = tcp_info(socket)?;
    let end = mem::offset_of!(libc::tcp_info, tcpi_bytes_retrans) + size_of::<u64>();
    // The kernel counts the end of the stream as a byte.
    let end_received = u64::from(info.tcpi_state == CLOSE_WAIT);
    (length >= end).then(|| Traffic {
        out: (info.tcpi_bytes_sent - info.tcpi_bytes_retrans) + u64::from(info.tcpi_notsent_bytes),
        r#in: info.tcpi_bytes_received.saturating_sub(end_received),
    })
}

/// When data last came and went on a TCP connection, and how it ended.
#[derive(Clone, Copy, Debug)]
pub struct Activity {
    /// True if the peer has ended its stream, and has not reset the connection.
    pub has_ended: bool,
    /// True if the connection was reset.
    pub was_reset: bool,
    /// The time since data was sent.
    pub since_sent: Duration,
    /// The time since the last segment of the peer that was in order and no reset: data, an acknowledgement, or the end
    /// of its stream.
    pub since_heard: Duration,
    /// The round-trip time.
    pub round_trip: Duration,
}

/// Returns what the kernel knows about the activity of a TCP connection (`TCP_INFO`, tcp(7)); its times are in
/// milliseconds. `None` for other sockets.
pub fn activity(socket: &impl AsRawFd) -> Option<Activity> {
    let (info, _) = tcp_info(socket)?;
    let milliseconds = |count: u32| Duration::from_millis(count.into());
    Some(Activity {
        has_ended: info.tcpi_state == CLOSE_WAIT,
        was_reset: info.tcpi_state == CLOSE,
        since_sent: milliseconds(info.tcpi_last_data_sent),
        since_heard: milliseconds(info.tcpi_last_ack_recv),
        round_trip: Duration::from_micros(info.tcpi_rtt.into()),
    })
}

/// True if the program has made a descriptor non-blocking (`O_NONBLOCK`, fcntl(2)).
pub fn is_nonblocking(fd: &impl AsRawFd) -> bool {
    // SAFETY: F_GETFL takes no argument.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })
        .is_ok_and(|flags| flags & libc::O_NONBLOCK != 0)
}

/// Makes a descriptor blocking by one system call (ioctl_fionbio(2)). fcntl(2) would take two.
pub fn make_blocking(fd: &impl AsRawFd) -> io::Result<()> {
    let off: c_int = 0;
    // SAFETY: FIONBIO reads an int.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &off) }).map(drop)
}

/// Shuts both directions of a socket down (shutdown(2)): waits on it end, in every thread. No effect on another file.
pub fn shut_down(fd: RawFd) {
    // SAFETY: shutdown(2) touches no memory.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}
