//! The OpenSSL that an object belongs to. A process may have loaded several, and none can use the objects of another.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::mem::MaybeUninit;

use openssl_sys as ffi;

unsafe extern "C" {
    fn SSL_CTX_get_ssl_method(context: *const ffi::SSL_CTX) -> *const ffi::SSL_METHOD;
}

/// An `SSL_CTX` was made by another OpenSSL than the one that this library is linked with.
#[derive(Debug)]
pub struct Foreign {
    ours: String,
    theirs: Option<String>,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let theirs = self.theirs.as_deref().unwrap_or("another OpenSSL");
        let version = openssl::version::version();
        write!(
            f,
            "the SSL_CTX of this context was made by {theirs}, and this library uses {} ({version}): \
             build it with the OpenSSL that Droplet is linked with",
            self.ours
        )
    }
}

/// Returns an error if a context was made by another OpenSSL. `None` for NULL.
///
/// Its method tells, since that is a constant of the OpenSSL that made it. SSL_CTX_get_ssl_method(3) only reads a
/// pointer near the beginning of the context, in any version. dladdr(3) compares that pointer with the addresses of
/// the loaded libraries, and does not follow it.
///
/// # Safety
/// `context` is NULL or points to a live `SSL_CTX` of any OpenSSL from 1.1 on.
pub unsafe fn foreign(context: *const c_void) -> Option<Foreign> {
    if context.is_null() {
        return None;
    }
    // SAFETY: the first returns a constant. The second reads a pointer that lies within the SSL_CTX of every version.
    let (own, method) = unsafe { (ffi::TLS_method(), SSL_CTX_get_ssl_method(context.cast())) };
    let (own_base, ours) = object_with(own.cast())?;
    if object_with(method.cast()).is_some_and(|(base, _)| base == own_base) {
        return None;
    }
    // The method is the first field in 1.1, and the second in 3.0.
    // SAFETY: the first field lies within the SSL_CTX of every version.
    let first_field = unsafe { context.cast::<*const c_void>().read() };
    let theirs = object_with(method.cast()).or_else(|| object_with(first_field)).map(|(_, name)| name);
    Some(Foreign { ours, theirs })
}

/// Returns the load address and the file of the library or program that contains an address.
fn object_with(address: *const c_void) -> Option<(usize, String)> {
    let mut found = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr does not follow the address, and writes `found` if it succeeds. The name is valid as long as the
    // library is loaded, and a loaded one is in use.
    unsafe {
        if libc::dladdr(address, found.as_mut_ptr()) == 0 {
            return None;
        }
        let found = found.assume_init();
        let name = if found.dli_fname.is_null() { c"" } else { CStr::from_ptr(found.dli_fname) };
        Some((found.dli_fbase.addr(), name.to_string_lossy().into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use foreign_types_shared::ForeignType;
    use openssl::ssl::{SslContext, SslMethod};

    use super::*;

    #[test]
    fn a_context_of_another_openssl_is_detected() {
        let own = SslContext::builder(SslMethod::tls_client()).unwrap().build();
        // SAFETY: NULL and a live SSL_CTX are allowed.
        unsafe {
            assert!(foreign(std::ptr::null()).is_none());
            assert!(foreign(ForeignType::as_ptr(&own).cast()).is_none());
        }
        // A context of 1.1 begins with its method. Here that is an address in libc.
        let heap = Box::new(0_u64);
        let other = [libc::getpid as *const c_void, (&raw const *heap).cast()];
        // SAFETY: the two pointers that are read lie within the array.
        let found = unsafe { foreign(other.as_ptr().cast()) }.expect("an error");
        assert!(found.to_string().contains("this library uses"), "{found}");
    }
}
