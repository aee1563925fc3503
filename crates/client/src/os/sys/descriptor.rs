//! Descriptors that are closed only while they lead to what was opened.
//!
//! The descriptors of idle connections are numbers that a program can close by mistake: a daemon that closes
//! all of them, a child after a fork. The number is then free for a file of the program's own, which must
//! neither be closed nor written to. So a [`Descriptor`] knows what it led to at first, and looks before it
//! closes anything.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::check;

/// The first number that is not a standard stream's. Whatever is below gets what the program prints, also in a
/// daemon that has closed those streams.
const FIRST_OWN: RawFd = 3;

/// The kind of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file: a write neither blocks nor raises SIGPIPE.
    Regular,
    /// A socket.
    Socket,
    /// A pipe, terminal or device.
    Other,
}

/// What a descriptor leads to. Each file has a device and an inode of its own; so have sockets and pipes
/// (stat(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFile {
    kind: FileKind,
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl OpenFile {
    /// What is behind a number; an error if that is not open (fstat(2)).
    pub fn behind(number: RawFd) -> io::Result<OpenFile> {
        let mut status = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: `status` is writable memory of the right size.
        check(unsafe { libc::fstat(number, status.as_mut_ptr()) })?;
        // SAFETY: fstat(2) succeeded and has filled it in.
        let status = unsafe { status.assume_init() };
        let kind = match status.st_mode & libc::S_IFMT {
            libc::S_IFREG => FileKind::Regular,
            libc::S_IFSOCK => FileKind::Socket,
            _ => FileKind::Other,
        };
        Ok(OpenFile { kind, device: status.st_dev, inode: status.st_ino })
    }

    /// Its kind.
    pub fn kind(&self) -> FileKind {
        self.kind
    }
}

/// An open descriptor. Dropped, it is closed if it still leads to the same file.
#[derive(Debug)]
pub struct Descriptor {
    number: RawFd,
    // The fields of what it led to, one by one: so they take less room.
    kind: FileKind,
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl Descriptor {
    /// Takes over a descriptor that was just opened. It gets another number if it has a standard stream's.
    pub fn of_new(fresh: OwnedFd) -> io::Result<Descriptor> {
        let fresh = if fresh.as_raw_fd() < FIRST_OWN { move_up(&fresh)? } else { fresh };
        let file = OpenFile::behind(fresh.as_raw_fd())?;
        Ok(Descriptor::over(fresh.into_raw_fd(), file))
    }

    /// Takes over a descriptor of C's, which leads to `file`.
    ///
    /// # Safety
    /// Nobody else closes `number` from now on while it leads there.
    pub unsafe fn adopt(number: RawFd, file: OpenFile) -> Descriptor {
        Descriptor::over(number, file)
    }

    fn over(number: RawFd, OpenFile { kind, device, inode }: OpenFile) -> Descriptor {
        Descriptor { number, kind, device, inode }
    }

    /// What it led to when it was opened.
    pub fn file(&self) -> OpenFile {
        OpenFile { kind: self.kind, device: self.device, inode: self.inode }
    }

    /// The descriptor as the standard library knows it; an error after [`Descriptor::forget`].
    pub fn borrowed(&self) -> io::Result<BorrowedFd<'_>> {
        if self.number < 0 {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        // SAFETY: the number is not -1, and its owner does not close it while it is borrowed.
        Ok(unsafe { BorrowedFd::borrow_raw(self.number) })
    }

    /// Whether it still leads to what was opened. An error other than EBADF does not say that it does not.
    pub fn is_own(&self) -> bool {
        match OpenFile::behind(self.number) {
            Ok(file) => file == self.file(),
            Err(error) => error.raw_os_error() != Some(libc::EBADF),
        }
    }

    /// Leaves the number to whoever has it now.
    pub fn forget(&mut self) {
        self.number = -1;
    }
}

impl AsRawFd for Descriptor {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.number
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.number >= 0 && self.is_own() {
            // SAFETY: it is open, and owned.
            drop(unsafe { OwnedFd::from_raw_fd(self.number) });
        }
    }
}

/// A copy of a descriptor above the standard streams (fcntl(2)).
#[cold]
fn move_up(low: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: an open descriptor; the call takes an int.
    let high = check(unsafe { libc::fcntl(low.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_OWN) })?;
    // SAFETY: it was opened by the call, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(high) })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn socket() -> Descriptor {
        Descriptor::of_new(UnixStream::pair().expect("two sockets").0.into()).expect("a descriptor")
    }

    fn is_open(number: RawFd) -> bool {
        OpenFile::behind(number).is_ok()
    }

    /// Puts another file where the descriptor leads to: what a program does that closes it and opens its own.
    fn replace(descriptor: &Descriptor, other: &impl AsRawFd) {
        // SAFETY: both are open. The number stays open.
        check(unsafe { libc::dup2(other.as_raw_fd(), descriptor.as_raw_fd()) }).expect("dup2");
    }

    fn close(number: RawFd) {
        // SAFETY: the test has opened it.
        unsafe { libc::close(number) };
    }

    #[test]
    fn what_was_opened_is_closed() {
        let descriptor = socket();
        let number = descriptor.as_raw_fd();
        assert!(descriptor.is_own());
        // Other tests open files at the same time: this one must be gone, whatever has the number now.
        let file = descriptor.file();
        drop(descriptor);
        assert_ne!(OpenFile::behind(number).ok(), Some(file));
    }

    #[test]
    fn what_lies_under_the_number_by_now_stays_open() {
        let others: [OwnedFd; 2] = [
            File::open("/dev/null").expect("a file").into(),
            UnixStream::pair().expect("two sockets").0.into(),
        ];
        for other in others {
            let descriptor = socket();
            let number = descriptor.as_raw_fd();
            replace(&descriptor, &other);
            assert!(!descriptor.is_own());
            drop(descriptor);
            assert!(is_open(number), "the program's file was closed");
            close(number);
        }
    }

    #[test]
    fn a_forgotten_number_is_nobodys() {
        let mut descriptor = socket();
        let number = descriptor.as_raw_fd();
        descriptor.forget();
        assert!(descriptor.borrowed().is_err());
        drop(descriptor);
        assert!(is_open(number));
        close(number);
    }

    #[test]
    fn a_low_number_is_moved_up() {
        let low = File::open("/dev/null").expect("a file").into();
        let high = move_up(&low).expect("a copy");
        assert!(high.as_raw_fd() >= FIRST_OWN);
        let is_same = OpenFile::behind(high.as_raw_fd()).ok() == OpenFile::behind(low.as_raw_fd()).ok();
        assert!(is_same);
    }
}
