//! Descriptors that are closed only if they still lead to the file that was opened.
//!
//! A program can close the descriptors of idle connections by mistake: a daemon closes all descriptors, as does a
//! child after a fork. The number is then free for a file of the program, which must neither be closed nor written
//! to. So a [`Descriptor`] knows which file it led to at first, and compares before it closes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::check;

/// The first number that is not a standard stream's. A lower one would get what the program prints, even in a daemon
/// that has closed its standard streams.
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

/// The identity of an open file: its device and inode, which sockets and pipes have as well (stat(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFile {
    kind: FileKind,
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl OpenFile {
    /// Returns the file that a descriptor leads to (fstat(2)). An error if it is not open.
    pub fn behind(number: RawFd) -> io::Result<OpenFile> {
        let mut status = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: `status` is writable.
        check(unsafe { libc::fstat(number, status.as_mut_ptr()) })?;
        // SAFETY: fstat(2) has succeeded, so that it has written `status`.
        let status = unsafe { status.assume_init() };
        let kind = match status.st_mode & libc::S_IFMT {
            libc::S_IFREG => FileKind::Regular,
            libc::S_IFSOCK => FileKind::Socket,
            _ => FileKind::Other,
        };
        Ok(OpenFile { kind, device: status.st_dev, inode: status.st_ino })
    }

    /// Returns its kind.
    pub fn kind(&self) -> FileKind {
        self.kind
    }
}

/// An open descriptor. Drop closes it if it still leads to the same file.
#[derive(Debug)]
pub struct Descriptor {
    number: RawFd,
    // The fields of an OpenFile one by one, since they take less room so.
    kind: FileKind,
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl Descriptor {
    /// Takes over a descriptor that was just opened. If it has the number of a standard stream, it gets another one.
    pub fn of_new(fresh: OwnedFd) -> io::Result<Descriptor> {
        let fresh = if fresh.as_raw_fd() < FIRST_OWN { move_up(&fresh)? } else { fresh };
        let file = OpenFile::behind(fresh.as_raw_fd())?;
        Ok(Descriptor::over(fresh.into_raw_fd(), file))
    }

    /// Takes over a descriptor from C, which leads to `file`.
    ///
    /// # Safety
    /// From now on nobody else closes `number` while it leads to `file`.
    pub unsafe fn adopt(number: RawFd, file: OpenFile) -> Descriptor {
        Descriptor::over(number, file)
    }

    /// Returns a descriptor that leads nowhere.
    pub fn none() -> Descriptor {
        Descriptor { number: -1, kind: FileKind::Other, device: 0, inode: 0 }
    }

    fn over(number: RawFd, OpenFile { kind, device, inode }: OpenFile) -> Descriptor {
        Descriptor { number, kind, device, inode }
    }

    /// Returns the file that it led to when it was opened.
    pub fn file(&self) -> OpenFile {
        OpenFile { kind: self.kind, device: self.device, inode: self.inode }
    }

    /// Returns it as a type of the standard library. An error after [`Descriptor::forget`].
    pub fn borrowed(&self) -> io::Result<BorrowedFd<'_>> {
        if self.number < 0 {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        // SAFETY: the number is not -1, and the descriptor stays open while `self` is borrowed.
        Ok(unsafe { BorrowedFd::borrow_raw(self.number) })
    }

    /// True if it still leads to the file that was opened, or if fstat(2) cannot tell: only EBADF proves the
    /// contrary.
    pub fn is_own(&self) -> bool {
        match OpenFile::behind(self.number) {
            Ok(file) => file == self.file(),
            Err(error) => error.raw_os_error() != Some(libc::EBADF),
        }
    }

    /// Gives up the number without closing it: it belongs to the program now.
    pub fn forget(&mut self) {
        self.number = -1;
    }

    /// Keeps the number for use, but never closes it: the file belongs to the program now.
    pub fn disown(&mut self) {
        // No open file has inode 0.
        self.inode = 0;
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
            // SAFETY: the number still leads to the file that this descriptor owns.
            drop(unsafe { OwnedFd::from_raw_fd(self.number) });
        }
    }
}

/// Duplicates a descriptor to a number above the standard streams (fcntl(2)).
#[cold]
fn move_up(low: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes an int, and closes nothing.
    let high = check(unsafe { libc::fcntl(low.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_OWN) })?;
    // SAFETY: fcntl(2) has just opened it, and nothing else owns it.
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

    /// Makes the number of a descriptor lead to another file, as a program does that closes it and opens its own.
    fn replace(descriptor: &Descriptor, other: &impl AsRawFd) {
        // SAFETY: both are open, and the number stays so.
        check(unsafe { libc::dup2(other.as_raw_fd(), descriptor.as_raw_fd()) }).expect("dup2");
    }

    fn close(number: RawFd) {
        // SAFETY: the test has opened it, and does not use it any more.
        unsafe { libc::close(number) };
    }

    #[test]
    fn drop_closes_the_file_that_was_opened() {
        let descriptor = socket();
        let number = descriptor.as_raw_fd();
        assert!(descriptor.is_own());
        // Other tests open files at the same time, which may get the number.
        let file = descriptor.file();
        drop(descriptor);
        assert_ne!(OpenFile::behind(number).ok(), Some(file));
    }

    #[test]
    fn drop_leaves_another_file_under_the_number_open() {
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
            assert!(is_open(number), "the program's file is closed");
            close(number);
        }
    }

    #[test]
    fn drop_leaves_a_disowned_number_open() {
        let mut descriptor = socket();
        let number = descriptor.as_raw_fd();
        descriptor.disown();
        assert!(descriptor.borrowed().is_ok() && !descriptor.is_own());
        drop(descriptor);
        assert!(is_open(number));
        close(number);
    }

    #[test]
    fn drop_leaves_a_forgotten_number_open() {
        let mut descriptor = socket();
        let number = descriptor.as_raw_fd();
        descriptor.forget();
        assert!(descriptor.borrowed().is_err());
        drop(descriptor);
        assert!(is_open(number));
        close(number);
    }

    #[test]
    fn the_number_of_a_standard_stream_is_replaced() {
        let low = File::open("/dev/null").expect("a file").into();
        let high = move_up(&low).expect("a copy");
        assert!(high.as_raw_fd() >= FIRST_OWN);
        let is_same = OpenFile::behind(high.as_raw_fd()).ok() == OpenFile::behind(low.as_raw_fd()).ok();
        assert!(is_same);
    }
}
