//! Which OpenSSL an object belongs to: a process may have several, and each knows only its own.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::mem::MaybeUninit;

use openssl_sys as ffi;

unsafe extern "C" {
    fn SSL_CTX_get_ssl_method(context: *const ffi::SSL_CTX) -> *const ffi::SSL_METHOD;
}

/// A context was made by another OpenSSL than the one that this library is linked with.
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

/// Whether a context was made by another OpenSSL. Its method tells, a constant of the library that made it:
/// SSL_CTX_get_ssl_method(3) only reads a pointer near the beginning of the context, whoever made that, and
/// dladdr(3) compares the pointer with the addresses of what is loaded, and does not follow it.
///
/// # Safety
/// `context` is NULL or points to a live `SSL_CTX` of any OpenSSL from 1.1 on.
pub unsafe fn foreign(context: *const c_void) -> Option<Foreign> {
    if context.is_null() {
        return None;
    }
    // SAFETY: the first returns a constant; the second reads what lies within every SSL_CTX.
    let (own, method) = unsafe { (ffi::TLS_method(), SSL_CTX_get_ssl_method(context.cast())) };
    let (own_base, ours) = object_with(own.cast())?;
    if object_with(method.cast()).is_some_and(|(base, _)| base == own_base) {
        return None;
    }
    // In 1.1 the method is the first field, in 3.0 the second.
    // SAFETY: as above.
    let first_field = unsafe { context.cast::<*const c_void>().read() };
    let theirs = object_with(method.cast()).or_else(|| object_with(first_field)).map(|(_, name)| name);
    Some(Foreign { ours, theirs })
}

/// The object that an address lies in: where it is loaded, and its file.
fn object_with(address: *const c_void) -> Option<(usize, String)> {
    let mut found = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address is not followed; what is found is filled in, and its name lasts as long as the object,
    // which is in use.
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
    fn own_contexts_are_told_from_others() {
        let own = SslContext::builder(SslMethod::tls_client()).unwrap().build();
        // SAFETY: NULL, and a live context.
        unsafe {
            assert!(foreign(std::ptr::null()).is_none());
            assert!(foreign(ForeignType::as_ptr(&own).cast()).is_none());
        }
        // One of 1.1 begins with its method, which here is a function of libc's.
        let heap = Box::new(0_u64);
        let other = [libc::getpid as *const c_void, (&raw const *heap).cast()];
        // SAFETY: it is readable as far as is read.
        let found = unsafe { foreign(other.as_ptr().cast()) }.expect("another's");
        assert!(found.to_string().contains("this library uses"), "{found}");
    }
}
