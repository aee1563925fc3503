//! An SSL over a transport that is written in Rust. Its BIO has the interface of a socket BIO: `SSL_get_fd(ssl)` and
//! `BIO_get_fd(bio)` return the descriptor.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::ptr::NonNull;

use foreign_types_shared::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslRef};
use openssl_sys as ffi;

use super::bio::{BioData, Transport};
use super::errors::take_errors;
use super::records::Records;
use super::{in_tls_step, with_own_errors};
use crate::os::sys;

unsafe extern "C" {
    fn BIO_up_ref(bio: *mut ffi::BIO) -> c_int;
    fn SSL_has_pending(ssl: *const ffi::SSL) -> c_int;
}

/// True if OpenSSL reports that memory is short: `ERR_R_MALLOC_FAILURE` of <openssl/err.h>.
pub fn is_out_of_memory(errors: &ErrorStack) -> bool {
    const MALLOC_FAILURE: c_int = if cfg!(openssl3) { 0xC0100 } else { 65 };
    errors.errors().iter().any(|error| error.reason_code() == MALLOC_FAILURE)
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
        let method = T::method().get::<T>();
        if method.is_null() {
            return Err(take_errors());
        }
        // SAFETY: the method was made for this type. It must not be NULL: BIO_new(3) follows it.
        let bio = unsafe { ffi::BIO_new(method) };
        let bio = NonNull::new(bio).ok_or_else(take_errors)?;
        let data = NonNull::from(Box::leak(Box::new(BioData {
            transport,
            ssl: ssl.as_ptr(),
            records: Records::default(),
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

    #[inline]
    fn data(&self) -> &BioData<T> {
        // SAFETY: the data lives as long as the channel. It is changed only through `&mut self` and by operations
        // on the SSL, and none is under way while `self` is borrowed.
        unsafe { self.data.as_ref() }
    }

    #[inline]
    fn data_mut(&mut self) -> &mut BioData<T> {
        // SAFETY: as in `data`, and `&mut self` excludes other references.
        unsafe { self.data.as_mut() }
    }

    /// Returns the transport.
    #[inline]
    pub fn transport(&self) -> &T {
        &self.data().transport
    }

    /// Returns the transport, to be changed.
    #[inline]
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.data_mut().transport
    }

    /// True if everything that has come was read, up to the end of a record: OpenSSL's buffers are empty
    /// (SSL_has_pending(3)), and a record comes next.
    #[inline]
    pub fn is_between_records(&self) -> bool {
        // SAFETY: a live SSL, which the call only reads.
        unsafe { SSL_has_pending(self.ssl.as_ptr()) == 0 && self.data().records.is_at_begin() }
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
        let data = self.data_mut();
        let under_way = data.operation();
        data.transport.begin(under_way);
        let returned = operation(self.ssl.as_ptr());
        if returned > 0 { Ok(()) } else { Err(self.error(returned)) }
    }

    #[cold]
    fn error(&mut self, returned: c_int) -> SslError {
        /// `SSL_R_UNEXPECTED_EOF_WHILE_READING`.
        const UNEXPECTED_EOF: c_int = 294;
        let ssl = self.ssl.as_ptr();
        let data = self.data_mut();
        // SAFETY: a live SSL, and the return value of its last operation.
        match unsafe { ffi::SSL_get_error(ssl, returned) } {
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
