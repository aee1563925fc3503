//! An SSL over a transport of ours, by a BIO method that answers as a socket's does: `SSL_get_fd(ssl)` and
//! `BIO_get_fd(bio)` give the descriptor.

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
use super::{with_its_locks, with_own_errors};
use crate::os::sys;

unsafe extern "C" {
    fn BIO_get_new_index() -> c_int;
    fn BIO_up_ref(bio: *mut ffi::BIO) -> c_int;
}

/// A carrier of the bytes of a [`Channel`].
pub trait Transport: AsRawFd {
    /// The place of the type's BIO method.
    fn method() -> &'static Method;

    /// Reads what there is; 0 is the end. `WouldBlock` makes OpenSSL say that it wants to read.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes what fits. `WouldBlock` makes OpenSSL say that it wants to write.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// The place of a BIO method, which is made once and stays.
pub struct Method(AtomicPtr<ffi::BIO_METHOD>);

impl Method {
    /// An empty place.
    pub const fn new() -> Method {
        Method(AtomicPtr::new(ptr::null_mut()))
    }

    /// The method, or NULL for want of memory; then the next call tries again.
    fn get<T: Transport>(&self) -> *const ffi::BIO_METHOD {
        /// `BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR`: by these SSL_get_fd(3) finds it.
        const KIND: c_int = 0x0400 | 0x0100;
        let present = self.0.load(Ordering::Acquire);
        if !present.is_null() {
            return present;
        }
        // SAFETY: the name is a constant.
        let made = unsafe { ffi::BIO_meth_new(BIO_get_new_index() | KIND, c"droplet-conn".as_ptr()) };
        if made.is_null() {
            return made;
        }
        // SAFETY: the method is new, and the functions are of the setters' types.
        unsafe {
            ffi::BIO_meth_set_read__fixed_rust(made, Some(read::<T>));
            ffi::BIO_meth_set_write__fixed_rust(made, Some(write::<T>));
            ffi::BIO_meth_set_ctrl__fixed_rust(made, Some(control::<T>));
        }
        match self.0.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => made,
            Err(of_another_thread) => {
                // SAFETY: nobody else knows it.
                unsafe { ffi::BIO_meth_free(made) };
                of_another_thread
            }
        }
    }
}

/// Whether OpenSSL says that it had no memory: `ERR_R_MALLOC_FAILURE` of <openssl/err.h>.
fn is_want_of_memory(errors: &ErrorStack) -> bool {
    const MALLOC_FAILURE: c_int = if cfg!(openssl3) { 0xC0100 } else { 65 };
    errors.errors().iter().any(|error| error.reason_code() == MALLOC_FAILURE)
}

/// The data of a BIO.
struct Held<T> {
    transport: T,
    /// The error of the last read or write, if that failed.
    error: Option<io::Error>,
    /// Whether the last read met the end of the stream.
    has_ended: bool,
}

/// The reason why an operation did not come to its end.
#[derive(Debug)]
pub enum SslError {
    /// There is nothing to read yet.
    WantsRead,
    /// There is no room to write yet.
    WantsWrite,
    /// The peer has sent its close_notify.
    Closed,
    /// The stream ended without one: anybody on the way may have cut it (RFC 8446, section 6.1).
    CutOff,
    /// The transport failed.
    Io(io::Error),
    /// TLS failed.
    Tls(ErrorStack),
    /// A handshake failed, and an allocation before it. What OpenSSL says then, of the peer's certificate for example,
    /// is not to be trusted.
    OutOfMemory,
}

/// An SSL and its transport. C may have the SSL and its BIO too, and keep references to them: once the
/// channel is gone they lead nowhere.
///
/// Operations need an empty error queue: see [`super::with_own_errors`].
pub struct Channel<T: Transport> {
    ssl: ManuallyDrop<Ssl>,
    bio: NonNull<ffi::BIO>,
    /// From a box; the BIO's data.
    held: NonNull<Held<T>>,
}

// SAFETY: one thread has the channel at a time, and the BIO leads to nothing but what it holds.
unsafe impl<T: Transport + Send> Send for Channel<T> {}

impl<T: Transport> Channel<T> {
    /// A client's, before its handshake.
    pub fn new(ssl: Ssl, transport: T) -> Result<Channel<T>, ErrorStack> {
        // SAFETY: the method is NULL, which gives NULL, or was made for this type.
        let bio = unsafe { ffi::BIO_new(T::method().get::<T>()) };
        let bio = NonNull::new(bio).ok_or_else(take_errors)?;
        let held = NonNull::from(Box::leak(Box::new(Held { transport, error: None, has_ended: false })));
        // SAFETY: all are new and live. One reference to the BIO is the channel's, the other one the SSL's, for
        // both directions (SSL_set_bio(3)).
        unsafe {
            ffi::BIO_set_data(bio.as_ptr(), held.as_ptr().cast());
            ffi::BIO_set_init(bio.as_ptr(), 1);
            BIO_up_ref(bio.as_ptr());
            ffi::SSL_set_bio(ssl.as_ptr(), bio.as_ptr(), bio.as_ptr());
            ffi::SSL_set_connect_state(ssl.as_ptr());
        }
        Ok(Channel { ssl: ManuallyDrop::new(ssl), bio, held })
    }

    /// The carrier of its bytes.
    #[inline]
    pub fn transport(&self) -> &T {
        // SAFETY: it lives as long as the channel, and is changed through `&mut self` and the BIO only: no
        // operation is under way while it is borrowed.
        unsafe { &self.held.as_ref().transport }
    }

    /// The same, to be changed.
    #[inline]
    pub fn transport_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut self.held.as_mut().transport }
    }

    /// The pointers that C gets: the SSL and its BIO.
    pub fn raw(&self) -> (*mut c_void, *mut c_void) {
        (self.ssl.as_ptr().cast(), self.bio.as_ptr().cast())
    }

    /// Goes on with the handshake.
    pub fn handshake(&mut self) -> Result<(), SslError> {
        // malloc(3) says so by errno, and OpenSSL often by some other error.
        sys::set_errno(0);
        self.run(|ssl| {
            // SAFETY: a live SSL whose BIO is ours.
            unsafe { ffi::SSL_do_handshake(ssl) }
        })
        .map_err(|stop| match stop {
            SslError::Tls(errors) if sys::errno() == libc::ENOMEM || is_want_of_memory(&errors) => {
                SslError::OutOfMemory
            }
            other => other,
        })
    }

    /// Reads what there is, at least one byte (SSL_read_ex(3)).
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SslError> {
        let mut count = 0;
        self.run(|ssl| {
            // SAFETY: a live SSL; the buffer is writable for its length.
            unsafe { ffi::SSL_read_ex(ssl, buffer.as_mut_ptr().cast(), buffer.len(), &mut count) }
        })?;
        Ok(count)
    }

    /// Whether there is data of the peer's, which stays unread (SSL_peek_ex(3)).
    pub fn peek(&mut self) -> Result<(), SslError> {
        let (mut byte, mut count) = (0_u8, 0);
        self.run(|ssl| {
            // SAFETY: a live SSL; the buffer is one byte.
            unsafe { ffi::SSL_peek_ex(ssl, (&raw mut byte).cast(), 1, &mut count) }
        })
    }

    /// Writes some of it (SSL_write_ex(3)).
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, SslError> {
        let mut count = 0;
        self.run(|ssl| {
            // SAFETY: a live SSL; the bytes are readable for their length.
            unsafe { ffi::SSL_write_ex(ssl, bytes.as_ptr().cast(), bytes.len(), &mut count) }
        })?;
        Ok(count)
    }

    /// Sends the close_notify, if there is room for it. The peer's is not waited for.
    pub fn send_close_notify(&mut self) {
        // SAFETY: a live SSL.
        unsafe { ffi::SSL_shutdown(self.ssl.as_ptr()) };
    }

    #[inline]
    fn run(&mut self, operation: impl FnOnce(*mut ffi::SSL) -> c_int) -> Result<(), SslError> {
        let answer = operation(self.ssl.as_ptr());
        if answer > 0 { Ok(()) } else { Err(self.stop(answer)) }
    }

    #[cold]
    fn stop(&mut self, answer: c_int) -> SslError {
        /// `SSL_R_UNEXPECTED_EOF_WHILE_READING`.
        const UNEXPECTED_EOF: c_int = 294;
        // SAFETY: no operation is under way, so nobody else has it.
        let held = unsafe { self.held.as_mut() };
        // SAFETY: a live SSL, and the answer of its last operation.
        match unsafe { ffi::SSL_get_error(self.ssl.as_ptr(), answer) } {
            ffi::SSL_ERROR_WANT_READ => SslError::WantsRead,
            ffi::SSL_ERROR_WANT_WRITE => SslError::WantsWrite,
            ffi::SSL_ERROR_ZERO_RETURN => SslError::Closed,
            ffi::SSL_ERROR_SYSCALL => held.error.take().map_or(SslError::CutOff, SslError::Io),
            _ => {
                let errors = take_errors();
                let is_end =
                    errors.errors().first().is_some_and(|error| error.reason_code() == UNEXPECTED_EOF);
                if is_end && held.has_ended { SslError::CutOff } else { SslError::Tls(errors) }
            }
        }
    }

    /// Frees the SSL and gives the transport back.
    pub fn into_transport(self) -> T {
        let channel = ManuallyDrop::new(self);
        // SAFETY: the channel is given up, so it is done once.
        unsafe { channel.dismantle() }.transport
    }

    /// # Safety
    /// The channel is not used afterwards.
    unsafe fn dismantle(&self) -> Box<Held<T>> {
        // SAFETY: the SSL and the reference to the BIO are the channel's, and given up here; the data came from
        // a box, and the BIO leads to it no more.
        with_own_errors(|| unsafe {
            ffi::BIO_set_data(self.bio.as_ptr(), ptr::null_mut());
            with_its_locks(|| drop(ptr::read(&*self.ssl)));
            ffi::BIO_free_all(self.bio.as_ptr());
            Box::from_raw(self.held.as_ptr())
        })
    }
}

impl<T: Transport> Drop for Channel<T> {
    fn drop(&mut self) {
        // SAFETY: it is dropped, so it is done once.
        drop(unsafe { self.dismantle() });
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

/// The data of a BIO of ours; `None` once its channel is gone.
///
/// # Safety
/// `bio` has the method of `T`, and no other reference to what it leads to is in use.
unsafe fn held<'a, T: Transport>(bio: *mut ffi::BIO) -> Option<&'a mut Held<T>> {
    // SAFETY: the data is NULL or what `Channel::new` has set; otherwise as the caller says.
    unsafe { ffi::BIO_get_data(bio).cast::<Held<T>>().as_mut() }
}

/// Notes how a transfer ended, in the terms of BIO_read(3) and BIO_write(3).
fn answer<T>(held: &mut Held<T>, outcome: io::Result<usize>, retry: impl FnOnce()) -> c_int {
    match outcome {
        // No longer than what was asked for, which was an int.
        Ok(count) => {
            held.error = None;
            count as c_int
        }
        Err(error) => {
            if error.kind() == io::ErrorKind::WouldBlock {
                retry();
            }
            held.error = Some(error);
            -1
        }
    }
}

/// Runs what a callback does: no panic may pass through C.
fn guarded(transfer: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    catch_unwind(AssertUnwindSafe(transfer)).unwrap_or_else(|_| Err(io::Error::other("internal error")))
}

unsafe extern "C" fn read<T: Transport>(bio: *mut ffi::BIO, buffer: *mut c_char, length: c_int) -> c_int {
    // SAFETY: OpenSSL calls it for a BIO of this method, within an operation on the channel or of C's, with a
    // buffer that is writable for its length.
    unsafe {
        ffi::BIO_clear_retry_flags(bio);
        let (Some(held), Ok(length @ 1..)) = (held::<T>(bio), usize::try_from(length)) else { return -1 };
        let buffer = slice::from_raw_parts_mut(buffer.cast::<u8>(), length);
        let outcome = guarded(|| held.transport.read(buffer));
        held.has_ended = matches!(outcome, Ok(0));
        answer(held, outcome, || ffi::BIO_set_retry_read(bio))
    }
}

unsafe extern "C" fn write<T: Transport>(bio: *mut ffi::BIO, bytes: *const c_char, length: c_int) -> c_int {
    // SAFETY: as for `read`, with bytes that are readable.
    unsafe {
        ffi::BIO_clear_retry_flags(bio);
        let (Some(held), Ok(length @ 1..)) = (held::<T>(bio), usize::try_from(length)) else { return -1 };
        let bytes = slice::from_raw_parts(bytes.cast::<u8>(), length);
        let outcome = guarded(|| held.transport.write(bytes));
        answer(held, outcome, || ffi::BIO_set_retry_write(bio))
    }
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
    // SAFETY: as for `read`.
    let held = unsafe { held::<T>(bio) };
    match (command, held) {
        (FLUSH, _) => 1,
        (END, held) => c_long::from(held.is_none_or(|held| held.has_ended)),
        (DESCRIPTOR, Some(held)) => {
            let descriptor = held.transport.as_raw_fd();
            // SAFETY: NULL, or where BIO_get_fd(3) wants it as well.
            if let Some(place) = unsafe { pointer.cast::<c_int>().as_mut() } {
                *place = descriptor;
            }
            descriptor.into()
        }
        (DESCRIPTOR, None) => -1,
        // Whether the descriptor is closed with the BIO (`BIO_get_close`): no. All else is not known.
        _ => 0,
    }
}
