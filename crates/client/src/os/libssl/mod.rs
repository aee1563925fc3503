//! What OpenSSL has and the openssl crate does not offer, each wrapped once.

mod channel;
mod errors;
mod library;
mod verification;

use std::ffi::{CStr, c_char, c_int, c_void};

use foreign_types_shared::{ForeignType, ForeignTypeRef};
use openssl::ssl::{SslContext, SslContextRef, SslMethod, SslRef, SslSessionRef};

use crate::os::fork::TlsStep;

pub use channel::{Channel, Method, SslError, Transport};
pub use errors::with_own_errors;
pub use library::{Foreign, foreign};
pub use verification::{
    Identities, Verification, add_host, add_host_flags, offer_post_handshake_authentication,
};

unsafe extern "C" {
    fn SSL_has_pending(ssl: *const c_void) -> c_int;
    fn SSL_rstate_string(ssl: *const c_void) -> *const c_char;
    fn SSL_SESSION_is_resumable(session: *const c_void) -> c_int;
    fn SSL_get_version(ssl: *const c_void) -> *const c_char;
    fn SSL_get_current_cipher(ssl: *const c_void) -> *const c_void;
    fn SSL_CIPHER_get_name(cipher: *const c_void) -> *const c_char;
}

/// Whether all that came was read, to the end of a record: no bytes wait in the connection's buffers, processed
/// or not (SSL_has_pending(3)), and the next is a record's first ("RH", SSL_rstate_string(3)).
#[inline]
pub fn is_between_records(ssl: &SslRef) -> bool {
    // SAFETY: a reference to an SSL, which the calls only read; the string is a constant of two letters.
    unsafe {
        let ssl = ssl.as_ptr().cast();
        SSL_has_pending(ssl) == 0 && *SSL_rstate_string(ssl).add(1) == b'H' as c_char
    }
}

/// Whether a session can be resumed (SSL_SESSION_is_resumable(3)); one of TLS 1.3 only once a ticket came.
pub fn is_resumable(session: &SslSessionRef) -> bool {
    // SAFETY: a reference to a session; the call only reads it.
    unsafe { SSL_SESSION_is_resumable(session.as_ptr().cast()) == 1 }
}

/// Asks for a session to be resumed (SSL_set_session(3)). False if it cannot be, which does no harm.
///
/// The session must come from a connection of the same context: [`crate::net::tls::Sessions`] sees to that.
pub fn resume(ssl: &mut SslRef, session: &SslSessionRef) -> bool {
    // SAFETY: the session came from a connection of the same context.
    unsafe { ssl.set_session(session) }.is_ok()
}

/// The names of the protocol (SSL_get_version(3)) and the cipher (SSL_CIPHER_get_name(3)) in use.
pub fn protocol_and_cipher(ssl: &SslRef) -> (&'static CStr, &'static CStr) {
    let ssl = ssl.as_ptr().cast();
    // SAFETY: a live SSL; both names are constants of OpenSSL's, also if there is no cipher yet.
    unsafe {
        let cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl));
        (CStr::from_ptr(SSL_get_version(ssl)), CStr::from_ptr(cipher))
    }
}

/// A share in a context of C's (SSL_CTX_up_ref(3)); nothing for NULL.
///
/// # Safety
/// `context` is NULL or points to a live `SSL_CTX`.
pub unsafe fn share_context(context: *mut c_void) -> Option<SslContext> {
    if context.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller's promise.
    Some(unsafe { SslContextRef::from_ptr(context.cast()) }.to_owned())
}

/// Hands a context to C, which sees an `SSL_CTX`.
pub fn hand_over_context(context: SslContext) -> *mut c_void {
    let context = std::mem::ManuallyDrop::new(context);
    ForeignType::as_ptr(&*context).cast()
}

/// Takes a context back from C; nothing for NULL.
///
/// # Safety
/// `context` is NULL or points to an `SSL_CTX` that is not used by this pointer any more.
pub unsafe fn take_back_context(context: *mut c_void) -> Option<SslContext> {
    // SAFETY: not NULL, and the caller's promise.
    (!context.is_null()).then(|| unsafe { SslContext::from_ptr(context.cast()) })
}

/// What C calls the method that speaks whatever version of TLS both sides know.
pub fn any_method() -> *mut c_void {
    SslMethod::tls().as_ptr().cast_mut().cast()
}

/// Runs an operation that takes locks of OpenSSL's, such as a step of a handshake, and does not wait.
pub fn with_its_locks<R>(operation: impl FnOnce() -> R) -> R {
    let _step = TlsStep::enter();
    operation()
}
