//! An SSL over a transport that is written in Rust. Its BIO has the interface of a socket BIO: `SSL_get_fd(ssl)` and
//! `BIO_get_fd(bio)` return the descriptor.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::io;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::{ptr, slice};

use foreign_types_shared::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslRef};
use openssl_sys as ffi;

use super::errors::take_errors;
use super::{in_tls_step, with_own_errors};
use crate::os::sys;

unsafe extern "C" {
    fn BIO_get_new_index() -> c_int;
    fn BIO_up_ref(bio: *mut ffi::BIO) -> c_int;
    fn SSL_in_init(ssl: *const c_void) -> c_int;
    fn SSL_rstate_string(ssl: *const c_void) -> *const c_char;
}

/// The transport of the encrypted bytes of a [`Channel`].
pub trait Transport: AsRawFd {
    /// Returns the BIO method of the type, a static of it.
    fn method() -> &'static Method;

    /// Notes that an operation of the [`Channel`] begins. Operations of C are not noted.
    fn begin(&mut self, operation: Operation);

    /// Reads what has come; 0 is the end of the stream. `WouldBlock` becomes `SSL_ERROR_WANT_READ`.
    fn read(&mut self, operation: Operation, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes what fits. `WouldBlock` becomes `SSL_ERROR_WANT_WRITE`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// The operation on an SSL that is under way.
#[derive(Clone, Copy)]
pub struct Operation(*mut ffi::SSL);

impl Operation {
    /// True during a handshake, and while another message of TLS is incomplete (SSL_in_init(3)). No operation returns
    /// data then.
    pub fn is_in_handshake(self) -> bool {
        // SAFETY: a live SSL, which the call only reads.
        unsafe { SSL_in_init(self.0.cast()) != 0 }
    }

    /// True if a record comes next, and no part of one was read.
    pub fn is_at_record(self) -> bool {
        // SAFETY: a live SSL, which the call only reads. SSL_rstate_string returns a constant of two letters.
        unsafe { *SSL_rstate_string(self.0.cast()).add(1) == b'H' as c_char }
    }

    /// Has the operation end after the next message, even if that has no data for the caller. Returns false if it does
    /// so in any case, because the program wants it (`SSL_MODE_AUTO_RETRY`, SSL_CTX_set_mode(3)).
    pub fn end_after_message(self) -> bool {
        // SAFETY: a live SSL. OpenSSL reads its mode after each message.
        let before = unsafe { ffi::SSL_ctrl(self.0, MODE, 0, ptr::null_mut()) };
        // SAFETY: as above.
        unsafe { ffi::SSL_ctrl(self.0, CLEAR_MODE, AUTO_RETRY, ptr::null_mut()) };
        before & AUTO_RETRY != 0
    }

    /// Has operations go on after such a message again.
    pub fn go_on_after_message(self) {
        // SAFETY: as in `end_after_message`.
        unsafe { ffi::SSL_ctrl(self.0, MODE, AUTO_RETRY, ptr::null_mut()) };
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
    fn get<T: Transport>(&self) -> *const ffi::BIO_METHOD {
        /// `BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR`: SSL_get_fd(3) looks for a BIO with these.
        const KIND: c_int = 0x0400 | 0x0100;
        let present = self.0.load(Ordering::Acquire);
        if !present.is_null() {
            return present;
        }
        // SAFETY: the name is a constant, which OpenSSL copies.
        let made = unsafe { ffi::BIO_meth_new(BIO_get_new_index() | KIND, c"droplet-conn".as_ptr()) };
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

/// True if OpenSSL reports that memory is short: `ERR_R_MALLOC_FAILURE` of <openssl/err.h>.
fn is_out_of_memory(errors: &ErrorStack) -> bool {
    const MALLOC_FAILURE: c_int = if cfg!(openssl3) { 0xC0100 } else { 65 };
    errors.errors().iter().any(|error| error.reason_code() == MALLOC_FAILURE)
}

/// The data of a BIO.
struct BioData<T> {
    transport: T,
    /// The SSL, which lives as long as the channel.
    ssl: Operation,
    /// The error of the last read or write, if it failed.
    error: Option<io::Error>,
    /// True if the last read has met the end of the stream.
    has_ended: bool,
}

/// The error of an operation of OpenSSL (SSL_get_error(3)).
#[derive(Debug)]
pub enum SslError {
    /// The operation can go on when there is something to read.
    WantsRead,
    /// The operation can go on when there is room to write.
    WantsWrite,
    /// The peer has sent its close_notify.
    Closed,
    /// The stream has ended without a close_notify: an attacker may have cut it (RFC 8446, section 6.1).
    CutOff,
    /// The transport failed.
    Io(io::Error),
    /// TLS failed.
    Tls(ErrorStack),
    /// An allocation has failed during a handshake. Other errors that OpenSSL reports then, of the peer's
    /// certificate for example, may be false.
    OutOfMemory,
}

/// An SSL and its transport. C may also use the SSL and its BIO, and keep references to them; once the channel is
/// dropped, the BIO has no transport.
///
/// Operations need an empty error queue ([`super::with_own_errors`]).
pub struct Channel<T: Transport> {
    ssl: ManuallyDrop<Ssl>,
    bio: NonNull<ffi::BIO>,
    /// The data of the BIO, from a box.
    data: NonNull<BioData<T>>,
    /// True if the program has taken the SSL.
    is_left: bool,
}

// SAFETY: a channel that is sent to another thread takes along all that it points to: the SSL, its BIO and the data
// of that. C uses the SSL and the BIO only in the thread that uses the connection (contract of the C interface).
unsafe impl<T: Transport + Send> Send for Channel<T> {}

impl<T: Transport> Channel<T> {
    /// Makes the channel of a client, before its handshake.
    pub fn new(ssl: Ssl, transport: T) -> Result<Channel<T>, ErrorStack> {
        // SAFETY: the method was made for this type, or is NULL, for which BIO_new returns NULL.
        let bio = unsafe { ffi::BIO_new(T::method().get::<T>()) };
        let bio = NonNull::new(bio).ok_or_else(take_errors)?;
        let data = NonNull::from(Box::leak(Box::new(BioData {
            transport,
            ssl: Operation(ssl.as_ptr()),
            error: None,
            has_ended: false,
        })));
        // SAFETY: SSL, BIO and data are live, and the BIO is new. The channel keeps one reference to the BIO; the
        // SSL gets the other one, for both directions (SSL_set_bio(3)).
        unsafe {
            ffi::BIO_set_data(bio.as_ptr(), data.as_ptr().cast());
            ffi::BIO_set_init(bio.as_ptr(), 1);
            BIO_up_ref(bio.as_ptr());
            ffi::SSL_set_bio(ssl.as_ptr(), bio.as_ptr(), bio.as_ptr());
            ffi::SSL_set_connect_state(ssl.as_ptr());
        }
        Ok(Channel { ssl: ManuallyDrop::new(ssl), bio, data, is_left: false })
    }

    /// Returns the transport.
    #[inline]
    pub fn transport(&self) -> &T {
        // SAFETY: the data lives as long as the channel. It is changed only through `&mut self` and by operations
        // on the SSL, and none is under way while `self` is borrowed.
        unsafe { &self.data.as_ref().transport }
    }

    /// Returns the transport, to be changed.
    #[inline]
    pub fn transport_mut(&mut self) -> &mut T {
        // SAFETY: as in `transport`, and `&mut self` excludes other references.
        unsafe { &mut self.data.as_mut().transport }
    }

    /// Returns pointers to the SSL and its BIO, for C.
    pub fn raw(&self) -> (*mut c_void, *mut c_void) {
        (self.ssl.as_ptr().cast(), self.bio.as_ptr().cast())
    }

    /// Goes on with the handshake (SSL_do_handshake(3)).
    pub fn handshake(&mut self) -> Result<(), SslError> {
        // If memory is short, malloc(3) sets errno, while OpenSSL often reports another error.
        sys::set_errno(0);
        self.run(|ssl| {
            // SAFETY: a live SSL.
            unsafe { ffi::SSL_do_handshake(ssl) }
        })
        .map_err(|error| match error {
            SslError::Tls(errors) if sys::errno() == libc::ENOMEM || is_out_of_memory(&errors) => {
                SslError::OutOfMemory
            }
            other => other,
        })
    }

    /// Reads what has come, at least one byte (SSL_read_ex(3)).
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SslError> {
        let mut count = 0;
        self.run(|ssl| {
            // SAFETY: a live SSL; the buffer is writable for its length.
            unsafe { ffi::SSL_read_ex(ssl, buffer.as_mut_ptr().cast(), buffer.len(), &mut count) }
        })?;
        Ok(count)
    }

    /// Succeeds if data can be read, and leaves it unread (SSL_peek_ex(3)).
    pub fn peek(&mut self) -> Result<(), SslError> {
        let (mut byte, mut count) = (0_u8, 0);
        self.run(|ssl| {
            // SAFETY: a live SSL; the buffer has one byte.
            unsafe { ffi::SSL_peek_ex(ssl, (&raw mut byte).cast(), 1, &mut count) }
        })
    }

    /// Writes some of the bytes, at least one (SSL_write_ex(3)). Returns their number.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, SslError> {
        let mut count = 0;
        self.run(|ssl| {
            // SAFETY: a live SSL; the bytes are readable for their length.
            unsafe { ffi::SSL_write_ex(ssl, bytes.as_ptr().cast(), bytes.len(), &mut count) }
        })?;
        Ok(count)
    }

    /// Sends the close_notify, if there is room for it, and does not wait for the peer's.
    pub fn send_close_notify(&mut self) {
        // SAFETY: a live SSL.
        unsafe { ffi::SSL_shutdown(self.ssl.as_ptr()) };
    }

    #[inline]
    fn run(&mut self, operation: impl FnOnce(*mut ffi::SSL) -> c_int) -> Result<(), SslError> {
        let under_way = Operation(self.ssl.as_ptr());
        self.transport_mut().begin(under_way);
        let returned = operation(self.ssl.as_ptr());
        if returned > 0 { Ok(()) } else { Err(self.error(returned)) }
    }

    #[cold]
    fn error(&mut self, returned: c_int) -> SslError {
        /// `SSL_R_UNEXPECTED_EOF_WHILE_READING`.
        const UNEXPECTED_EOF: c_int = 294;
        // SAFETY: the operation has returned, so that no other reference to the data is in use.
        let data = unsafe { self.data.as_mut() };
        // SAFETY: a live SSL, and the return value of its last operation.
        match unsafe { ffi::SSL_get_error(self.ssl.as_ptr(), returned) } {
            ffi::SSL_ERROR_WANT_READ => SslError::WantsRead,
            ffi::SSL_ERROR_WANT_WRITE => SslError::WantsWrite,
            ffi::SSL_ERROR_ZERO_RETURN => SslError::Closed,
            ffi::SSL_ERROR_SYSCALL => data.error.take().map_or(SslError::CutOff, SslError::Io),
            _ => {
                let errors = take_errors();
                let is_end =
                    errors.errors().first().is_some_and(|error| error.reason_code() == UNEXPECTED_EOF);
                if is_end && data.has_ended { SslError::CutOff } else { SslError::Tls(errors) }
            }
        }
    }

    /// Frees the SSL and returns the transport.
    pub fn into_transport(self) -> T {
        let channel = ManuallyDrop::new(self);
        // SAFETY: ManuallyDrop keeps the channel from being dropped, so that it is not used afterwards.
        unsafe { channel.free() }.transport
    }

    /// Leaves the SSL to the program, which may have freed it already: nothing but drop may follow. The BIO lives as
    /// long as the SSL, and the transport as long as the BIO.
    pub fn leave_to_program(&mut self) {
        self.is_left = true;
    }

    /// Frees the SSL and the reference to the BIO. Returns the data.
    ///
    /// # Safety
    /// The channel is neither used nor dropped afterwards.
    unsafe fn free(&self) -> Box<BioData<T>> {
        // SAFETY: the channel owns the SSL and one reference to the BIO, and is not used afterwards (contract of this
        // function). The data came from a box, and the BIO does not point to it any more.
        with_own_errors(|| unsafe {
            ffi::BIO_set_data(self.bio.as_ptr(), ptr::null_mut());
            in_tls_step(|| drop(ptr::read(&*self.ssl)));
            ffi::BIO_free_all(self.bio.as_ptr());
            Box::from_raw(self.data.as_ptr())
        })
    }
}

impl<T: Transport> Drop for Channel<T> {
    fn drop(&mut self) {
        if self.is_left {
            // SAFETY: the channel owns a reference to the BIO, and is being dropped. The data stays with the BIO, whose
            // `destroy` frees it.
            return with_own_errors(|| unsafe { ffi::BIO_free_all(self.bio.as_ptr()) });
        }
        // SAFETY: the channel is being dropped, so that it is not used afterwards.
        drop(unsafe { self.free() });
    }
}

impl<T: Transport> Deref for Channel<T> {
    type Target = SslRef;

    #[inline]
    fn deref(&self) -> &SslRef {
        &self.ssl
    }
}

impl<T: Transport> DerefMut for Channel<T> {
    fn deref_mut(&mut self) -> &mut SslRef {
        &mut self.ssl
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
        let outcome = guarded(|| data.transport.read(data.ssl, buffer));
        data.has_ended = matches!(outcome, Ok(0));
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
