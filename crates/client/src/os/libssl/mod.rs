//! Functions of OpenSSL that the openssl crate does not offer, each wrapped once.

mod bio;
mod channel;
mod errors;
mod library;
mod records;
mod verification;

use std::ffi::{CStr, c_char, c_int, c_void};

use foreign_types_shared::{ForeignType, ForeignTypeRef};
use openssl::ssl::{SslContext, SslContextRef, SslMethod, SslRef, SslSessionRef};

use crate::os::fork::TlsStep;

pub use bio::{Method, Operation, Transport};
pub use channel::{Channel, SslError, is_out_of_memory};
#[cfg(all(test, openssl3))]
pub use errors::errors_with;
pub use errors::with_own_errors;
pub use library::{Foreign, foreign};
pub use verification::{
    Identities, Verification, add_host, add_host_flags, offer_post_handshake_authentication,
};

unsafe extern "C" {
    fn SSL_SESSION_is_resumable(session: *const c_void) -> c_int;
    fn SSL_get_version(ssl: *const c_void) -> *const c_char;
    fn SSL_get_current_cipher(ssl: *const c_void) -> *const c_void;
    fn SSL_CIPHER_get_name(cipher: *const c_void) -> *const c_char;
}

/// True if a session can be resumed (SSL_SESSION_is_resumable(3)). One of TLS 1.3 can once a ticket has come.
pub fn is_resumable(session: &SslSessionRef) -> bool {
    // SAFETY: `session` is a live session, and the call only reads it.
    unsafe { SSL_SESSION_is_resumable(session.as_ptr().cast()) == 1 }
}

/// Offers a session in the handshake to come (SSL_set_session(3)). Returns false if OpenSSL does not accept it; the
/// handshake is then a full one.
pub fn resume(ssl: &mut SslRef, session: &SslSessionRef) -> bool {
    // SAFETY: the session comes from a connection of the same SSL_CTX: the cache of sessions returns no other
    // (`Scope` of net/tls/sessions.rs).
    unsafe { ssl.set_session(session) }.is_ok()
}

/// Returns the names of the protocol (SSL_get_version(3)) and the cipher (SSL_CIPHER_get_name(3)).
pub fn protocol_and_cipher(ssl: &SslRef) -> (&'static CStr, &'static CStr) {
    let ssl = ssl.as_ptr().cast();
    // SAFETY: `ssl` is a live SSL. Both names are constants of OpenSSL, also if there is no cipher yet.
    unsafe {
        let cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl));
        (CStr::from_ptr(SSL_get_version(ssl)), CStr::from_ptr(cipher))
    }
}

/// Returns a reference to a context of C (SSL_CTX_up_ref(3)). `None` for NULL.
///
/// # Safety
/// `context` is NULL or points to a live `SSL_CTX`.
pub unsafe fn share_context(context: *mut c_void) -> Option<SslContext> {
    if context.is_null() {
        return None;
    }
    // SAFETY: not NULL, so that it is a live SSL_CTX (contract of this function).
    Some(unsafe { SslContextRef::from_ptr(context.cast()) }.to_owned())
}

/// Returns a context as a pointer to an `SSL_CTX`, which now owns the reference.
pub fn hand_over_context(context: SslContext) -> *mut c_void {
    let context = std::mem::ManuallyDrop::new(context);
    ForeignType::as_ptr(&*context).cast()
}

/// Takes back the reference that [`hand_over_context`] has returned. `None` for NULL.
///
/// # Safety
/// `context` is NULL or a pointer that owns a reference to an `SSL_CTX`, and is not used afterwards.
pub unsafe fn take_back_context(context: *mut c_void) -> Option<SslContext> {
    // SAFETY: not NULL, so that it owns a reference (contract of this function).
    (!context.is_null()).then(|| unsafe { SslContext::from_ptr(context.cast()) })
}

/// Returns the `SSL_METHOD` of TLS in any version, as C sees it.
pub fn any_method() -> *mut c_void {
    SslMethod::tls().as_ptr().cast_mut().cast()
}

/// Runs an operation that locks OpenSSL's own locks and does not wait, such as a step of a handshake. A fork waits
/// for its end ([`TlsStep`]).
pub fn in_tls_step<R>(operation: impl FnOnce() -> R) -> R {
    let _step = TlsStep::enter();
    operation()
}
