//! The verification of certificates: the settings of the program's `SSL_CTX`, and additions for one connection.

#[cfg(openssl3)]
use std::ffi::CStr;
use std::ffi::{CString, c_char, c_int, c_uint, c_ulong, c_void};

use foreign_types_shared::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::{SslContextRef, SslRef, SslVerifyMode};
use openssl::x509::verify::X509CheckFlags;
use openssl_sys as ffi;

#[cfg(openssl3)]
unsafe extern "C" {
    fn X509_VERIFY_PARAM_get0_host(parameters: *mut ffi::X509_VERIFY_PARAM, place: c_int) -> *mut c_char;
    fn X509_VERIFY_PARAM_get0_email(parameters: *mut ffi::X509_VERIFY_PARAM) -> *mut c_char;
    fn X509_VERIFY_PARAM_get1_ip_asc(parameters: *mut ffi::X509_VERIFY_PARAM) -> *mut c_char;
}

unsafe extern "C" {
    fn X509_VERIFY_PARAM_get_hostflags(parameters: *const ffi::X509_VERIFY_PARAM) -> c_uint;
    fn X509_VERIFY_PARAM_get_depth(parameters: *const ffi::X509_VERIFY_PARAM) -> c_int;
    fn X509_VERIFY_PARAM_add1_host(
        parameters: *mut ffi::X509_VERIFY_PARAM,
        name: *const c_char,
        length: usize,
    ) -> c_int;
    fn SSL_CTX_get_verify_callback(context: *const ffi::SSL_CTX) -> *const c_void;
    fn SSL_CTX_get_client_cert_cb(context: *const ffi::SSL_CTX) -> *const c_void;
    fn SSL_set_post_handshake_auth(ssl: *mut ffi::SSL, is_offered: c_int);
}

/// The names and addresses that a certificate must match (reference identities, RFC 6125).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Identities {
    /// DNS names. The certificate must match one of them.
    hosts: Vec<CString>,
    email: Option<CString>,
    address: Option<CString>,
}

impl Identities {
    /// Returns the identities that verify parameters have.
    ///
    /// # Safety
    /// `parameters` points to live verify parameters, and no other thread changes them.
    #[cfg(openssl3)]
    unsafe fn of(parameters: *mut ffi::X509_VERIFY_PARAM) -> Identities {
        // SAFETY: live parameters that nobody changes (contract of this function). Names are strings of the
        // parameters. The address is a new string, which CRYPTO_free frees.
        unsafe {
            let copy = |text: *mut c_char| (!text.is_null()).then(|| CStr::from_ptr(text).to_owned());
            let address = X509_VERIFY_PARAM_get1_ip_asc(parameters);
            let identities = Identities {
                hosts: (0..)
                    .map_while(|place| copy(X509_VERIFY_PARAM_get0_host(parameters, place)))
                    .collect(),
                email: copy(X509_VERIFY_PARAM_get0_email(parameters)),
                address: copy(address),
            };
            ffi::CRYPTO_free(address.cast(), c"".as_ptr(), 0);
            identities
        }
    }

    /// Returns none: OpenSSL before 3.0 has no functions that read them.
    #[cfg(not(openssl3))]
    unsafe fn of(_: *mut ffi::X509_VERIFY_PARAM) -> Identities {
        Identities::default()
    }

    /// True if there is any identity.
    pub fn is_any(&self) -> bool {
        *self != Identities::default()
    }

    /// Returns the identities that the program has set for all connections of its context.
    pub fn of_context(context: &SslContextRef) -> Identities {
        // SAFETY: the context is live, and so are its parameters. Programs set them before they connect.
        unsafe { Identities::of(ffi::SSL_CTX_get0_param(context.as_ptr())) }
    }
}

impl std::fmt::Display for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.hosts.iter().chain(&self.address).chain(&self.email);
        let texts: Vec<_> = all.map(|text| text.to_string_lossy()).collect();
        f.write_str(&texts.join(" or "))
    }
}

/// The settings by which a context verifies certificates. Contexts with equal settings accept the same
/// certificates, as far as OpenSSL has functions to compare them.
#[derive(Debug, PartialEq, Eq)]
pub struct Verification {
    mode: c_int,
    callback: usize,
    store: usize,
    flags: c_ulong,
    host_flags: c_uint,
    depth: c_int,
    auth_level: c_int,
    identities: Identities,
}

impl Verification {
    /// Returns the present settings of a context.
    pub fn of(context: &SslContextRef) -> Verification {
        let raw = context.as_ptr();
        // SAFETY: the context is live, and so are its parameters. The calls only read.
        unsafe {
            let parameters = ffi::SSL_CTX_get0_param(raw);
            Verification {
                mode: ffi::SSL_CTX_get_verify_mode(raw),
                callback: SSL_CTX_get_verify_callback(raw).addr(),
                store: ffi::SSL_CTX_get_cert_store(raw).addr(),
                flags: ffi::X509_VERIFY_PARAM_get_flags(parameters),
                host_flags: X509_VERIFY_PARAM_get_hostflags(parameters),
                depth: X509_VERIFY_PARAM_get_depth(parameters),
                auth_level: ffi::X509_VERIFY_PARAM_get_auth_level(parameters),
                identities: Identities::of(parameters),
            }
        }
    }

    /// Returns the verify mode (SSL_CTX_set_verify(3)).
    pub fn mode(&self) -> SslVerifyMode {
        SslVerifyMode::from_bits_retain(self.mode)
    }
}

/// Adds host flags to those of a connection. X509_VERIFY_PARAM_set_hostflags(3) by itself replaces them.
pub fn add_host_flags(ssl: &mut SslRef, more: X509CheckFlags) {
    let parameters = ssl.param_mut();
    // SAFETY: the parameters of a live SSL, which the call only reads.
    let before = unsafe { X509_VERIFY_PARAM_get_hostflags(parameters.as_ptr()) };
    parameters.set_hostflags(X509CheckFlags::from_bits_retain(before) | more);
}

/// Also accepts a certificate for this name (X509_VERIFY_PARAM_add1_host(3)).
pub fn add_host(ssl: &mut SslRef, name: &str) -> Result<(), ErrorStack> {
    let parameters = ssl.param_mut().as_ptr();
    // SAFETY: the parameters of a live SSL; the name is readable for its length.
    let added = unsafe { X509_VERIFY_PARAM_add1_host(parameters, name.as_ptr().cast(), name.len()) };
    if added == 1 { Ok(()) } else { Err(ErrorStack::get()) }
}

/// Allows the server to request the client's certificate after the handshake (SSL_set_post_handshake_auth(3)), if the
/// context has a certificate.
pub fn offer_post_handshake_authentication(ssl: &mut SslRef) {
    let context = ssl.ssl_context().as_ptr();
    // SAFETY: a live SSL and its live context. The first two calls only read.
    unsafe {
        let has_certificate = !ffi::SSL_CTX_get0_certificate(context).is_null()
            || !SSL_CTX_get_client_cert_cb(context).is_null();
        if has_certificate {
            SSL_set_post_handshake_auth(ssl.as_ptr(), 1);
        }
    }
}
