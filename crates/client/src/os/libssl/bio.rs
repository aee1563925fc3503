//! The BIO of a [`Channel`](super::Channel): its method, and the callbacks by which OpenSSL reads and writes the transport.

use openssl_sys as ffi;
use std::ffi::{c_char, c_int, c_long, c_void};
use std::io;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::{ptr, slice};

use super::records::Records;

unsafe extern "C" {
    fn SSL_in_init(ssl: *const c_void) -> c_int;
}

/// The transport of the encrypted bytes of a `Channel`.
pub trait Transport: AsRawFd {
    /// Returns the BIO method of the type, a static of it.
    fn method() -> &'static Method;

    /// Notes that an operation of the `Channel` begins. Operations of C are not noted.
    fn begin(&mut self, operation: Operation);

    /// Reads what has come; 0 is the end of the stream. `WouldBlock` becomes `SSL_ERROR_WANT_READ`.
    fn read(&mut self, operation: Operation, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes what fits. `WouldBlock` becomes `SSL_ERROR_WANT_WRITE`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// The operation on an SSL that is under way.
#[derive(Clone, Copy)]
pub struct Operation {
    ssl: *mut ffi::SSL,
    is_at_record: bool,
}

impl Operation {
    /// True during a handshake, and while another message of TLS is incomplete (SSL_in_init(3)). No operation returns
    /// data then.
    pub fn is_in_handshake(self) -> bool {
        // SAFETY: a live SSL, which the call only reads.
        unsafe { SSL_in_init(self.ssl.cast()) != 0 }
    }

    /// True if a record comes next, and no part of one was read.
    pub fn is_at_record(self) -> bool {
        self.is_at_record
    }

    /// Has the operation end after the next message, even if that has no data for the caller. Returns false if it does
    /// so in any case, because the program wants it (`SSL_MODE_AUTO_RETRY`, SSL_CTX_set_mode(3)).
    pub fn end_after_message(self) -> bool {
        // SAFETY: a live SSL. OpenSSL reads its mode after each message.
        let before = unsafe { ffi::SSL_ctrl(self.ssl, MODE, 0, ptr::null_mut()) };
        // SAFETY: as above.
        unsafe { ffi::SSL_ctrl(self.ssl, CLEAR_MODE, AUTO_RETRY, ptr::null_mut()) };
        before & AUTO_RETRY != 0
    }

    /// Has operations go on after such a message again.
    pub fn go_on_after_message(self) {
        // SAFETY: as in `end_after_message`.
        unsafe { ffi::SSL_ctrl(self.ssl, MODE, AUTO_RETRY, ptr::null_mut()) };
    }
}

/// `SSL_CTRL_MODE` of <openssl/ssl.h>.
const MODE: c_int = 33;
/// `SSL_CTRL_CLEAR_MODE`.
const CLEAR_MODE: c_int = 78;
/// `SSL_MODE_AUTO_RETRY`.
const AUTO_RETRY: c_long = 4;

/// A BIO method, which is made at the first use and never freed.
pub struct Method(AtomicPtr<ffi::BIO_METHOD>);

impl Method {
    /// Returns a method that is not made yet.
    pub const fn new() -> Method {
        Method(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns the method. NULL if memory is short; the next call then tries again.
    pub(super) fn get<T: Transport>(&self) -> *const ffi::BIO_METHOD {
        /// `BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR`: SSL_get_fd(3) looks for a BIO with these. It has no index of
        /// its own (BIO_get_new_index(3)): a process has about a hundred, and nobody looks for this method by its own.
        const KIND: c_int = 0x0400 | 0x0100;
        let present = self.0.load(Ordering::Acquire);
        if !present.is_null() {
            return present;
        }
        // SAFETY: the name is a constant, which OpenSSL copies.
        let made = unsafe { ffi::BIO_meth_new(KIND, c"droplet-conn".as_ptr()) };
        if made.is_null() {
            return made;
        }
        // SAFETY: the method is new, and the functions have the types that the setters expect.
        unsafe {
            ffi::BIO_meth_set_read__fixed_rust(made, Some(read::<T>));
            ffi::BIO_meth_set_write__fixed_rust(made, Some(write::<T>));
            ffi::BIO_meth_set_ctrl__fixed_rust(made, Some(control::<T>));
            ffi::BIO_meth_set_destroy__fixed_rust(made, Some(destroy::<T>));
        }
        match self.0.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => made,
            Err(of_other_thread) => {
                // SAFETY: the method was not stored, so that nobody else has it.
                unsafe { ffi::BIO_meth_free(made) };
                of_other_thread
            }
        }
    }
}

/// The data of a BIO.
pub(super) struct BioData<T> {
    pub transport: T,
    /// The SSL, which lives as long as the channel.
    pub ssl: *mut ffi::SSL,
    /// The records that OpenSSL has taken from the transport.
    pub records: Records,
    /// The error of the last read or write, if it failed.
    pub error: Option<io::Error>,
    /// True if the last read has met the end of the stream.
    pub has_ended: bool,
}

impl<T> BioData<T> {
    /// Returns the operation that is under way, or begins.
    #[inline]
    pub fn operation(&self) -> Operation {
        Operation { ssl: self.ssl, is_at_record: self.records.is_at_begin() }
    }
}

/// Returns the data of a BIO. `None` once its channel is dropped.
///
/// # Safety
/// `bio` has the method of `T`, and no other reference to its data is in use.
unsafe fn data<'a, T: Transport>(bio: *mut ffi::BIO) -> Option<&'a mut BioData<T>> {
    // SAFETY: the data is what `Channel::new` has set, or NULL, since the BIO has the method of `T`; no other
    // reference is in use (both: contract of this function).
    unsafe { ffi::BIO_get_data(bio).cast::<BioData<T>>().as_mut() }
}

/// Stores the outcome of a read or write, and returns it as BIO_read(3) and BIO_write(3) do.
fn finish<T>(data: &mut BioData<T>, outcome: io::Result<usize>, retry: impl FnOnce()) -> c_int {
    match outcome {
        // No more than the length that OpenSSL has passed, which was an int.
        Ok(count) => {
            data.error = None;
            count as c_int
        }
        Err(error) => {
            if error.kind() == io::ErrorKind::WouldBlock {
                retry();
            }
            data.error = Some(error);
            -1
        }
    }
}

/// Runs a callback. A panic becomes an error, since it must not unwind through C.
fn guarded(transfer: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    catch_unwind(AssertUnwindSafe(transfer)).unwrap_or_else(|_| Err(io::Error::other("internal error")))
}

unsafe extern "C" fn read<T: Transport>(bio: *mut ffi::BIO, buffer: *mut c_char, length: c_int) -> c_int {
    // SAFETY: OpenSSL calls this function for a BIO with the method of `T`, with a buffer that is writable for its
    // length. It does so within an operation on the SSL, during which nobody uses the data otherwise.
    unsafe {
        ffi::BIO_clear_retry_flags(bio);
        let (Some(data), Ok(length @ 1..)) = (data::<T>(bio), usize::try_from(length)) else { return -1 };
        let buffer = slice::from_raw_parts_mut(buffer.cast::<u8>(), length);
        let operation = data.operation();
        let outcome = guarded(|| data.transport.read(operation, buffer));
        data.has_ended = matches!(outcome, Ok(0));
        if let Ok(count) = outcome {
            data.records.take(&buffer[..count]);
        }
        finish(data, outcome, || ffi::BIO_set_retry_read(bio))
    }
}

unsafe extern "C" fn write<T: Transport>(bio: *mut ffi::BIO, bytes: *const c_char, length: c_int) -> c_int {
    // SAFETY: as in `read`, with bytes that are readable for their length.
    unsafe {
        ffi::BIO_clear_retry_flags(bio);
        let (Some(data), Ok(length @ 1..)) = (data::<T>(bio), usize::try_from(length)) else { return -1 };
        let bytes = slice::from_raw_parts(bytes.cast::<u8>(), length);
        let outcome = guarded(|| data.transport.write(bytes));
        finish(data, outcome, || ffi::BIO_set_retry_write(bio))
    }
}

/// Frees the data of a BIO that was left to the program.
unsafe extern "C" fn destroy<T: Transport>(bio: *mut ffi::BIO) -> c_int {
    // SAFETY: OpenSSL calls this function when the last reference to a BIO with the method of `T` is gone. The data is
    // NULL, or came from a box and belongs to the BIO alone (`leave_to_program`).
    unsafe {
        let data = ffi::BIO_get_data(bio).cast::<BioData<T>>();
        ffi::BIO_set_data(bio, ptr::null_mut());
        if !data.is_null() {
            let data = Box::from_raw(data);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(data)));
        }
    }
    1
}

unsafe extern "C" fn control<T: Transport>(
    bio: *mut ffi::BIO,
    command: c_int,
    _number: c_long,
    pointer: *mut c_void,
) -> c_long {
    /// `BIO_CTRL_EOF`.
    const END: c_int = 2;
    /// `BIO_CTRL_FLUSH`.
    const FLUSH: c_int = 11;
    /// `BIO_C_GET_FD`.
    const DESCRIPTOR: c_int = 105;
    // SAFETY: as in `read`.
    let data = unsafe { data::<T>(bio) };
    match (command, data) {
        (FLUSH, _) => 1,
        (END, data) => c_long::from(data.is_none_or(|data| data.has_ended)),
        (DESCRIPTOR, Some(data)) => {
            let descriptor = data.transport.as_raw_fd();
            // SAFETY: NULL, or the int of the caller to which BIO_get_fd(3) writes.
            if let Some(place) = unsafe { pointer.cast::<c_int>().as_mut() } {
                *place = descriptor;
            }
            descriptor.into()
        }
        (DESCRIPTOR, None) => -1,
        // Includes BIO_get_close(3): the BIO does not close the descriptor.
        _ => 0,
    }
}
