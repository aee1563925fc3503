//! The error of a TLS handshake.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::ssl::SslRef;
use openssl::x509::X509Ref;

use super::peer::PeerName;
use crate::fault::Fault;
use crate::os::libssl::{Identities, SslError, is_out_of_memory};
use crate::os::sys;
use crate::status::{Error, local_fault};

/// A failed handshake.
#[derive(Debug)]
pub struct HandshakeError {
    /// The kind of fault.
    pub fault: Fault,
    /// The text for the log.
    pub reason: String,
    /// The status for the caller, if this machine caused the error.
    local: Option<Error>,
}

impl HandshakeError {
    /// Makes the error of a handshake whose deadline has passed.
    pub fn timed_out() -> Self {
        Self::of_peer(Fault::TimedOut, "TLS handshake timed out".to_owned())
    }

    /// Returns the status for the caller if this machine caused the error, and no other host would do better.
    pub fn local_fault(&self) -> Option<Error> {
        self.local
    }

    /// Makes the error of a handshake that OpenSSL could not prepare.
    pub fn of_setup(errors: &ErrorStack) -> Self {
        let local = if is_out_of_memory(errors) { Error::OutOfMemory } else { Error::System };
        Self { fault: Fault::Local, local: Some(local), ..Self::of_openssl(errors) }
    }

    fn of_peer(fault: Fault, reason: String) -> Self {
        Self { fault, reason, local: None }
    }

    /// Makes the error of a handshake with this peer from the error of OpenSSL.
    pub fn of(error: &SslError, ssl: &SslRef, peer: &PeerName) -> Self {
        match error {
            SslError::Io(error) => Self {
                local: local_fault(error),
                ..Self::of_peer(Fault::of(error), format!("TLS handshake: {}", sys::error_text(error)))
            },
            SslError::OutOfMemory => Self {
                local: Some(Error::OutOfMemory),
                ..Self::of_peer(Fault::Local, "TLS handshake: out of memory".to_owned())
            },
            SslError::Tls(errors)
                if errors.errors().iter().any(|error| error.reason_code() == VERIFY_FAILED) =>
            {
                Self::of_peer(Fault::Certificate, certificate_error(ssl, peer))
            }
            // No status for the caller: another host may do better.
            SslError::Tls(errors) if is_internal(errors) => {
                Self { fault: Fault::Local, ..Self::of_openssl(errors) }
            }
            SslError::Tls(errors) => Self::of_openssl(errors),
            SslError::CutOff | SslError::Closed | SslError::WantsRead | SslError::WantsWrite => {
                Self::of_peer(Fault::Reset, "TLS handshake: the peer closed the connection".to_owned())
            }
        }
    }

    fn of_openssl(errors: &ErrorStack) -> Self {
        let reason = errors.errors().first().and_then(|error| error.reason());
        Self::of_peer(Fault::Tls, format!("TLS handshake: {}", reason.unwrap_or("failed")))
    }

    /// True if a session that was offered may be the reason: the peer has sent an alert or invalid data, or hung up.
    pub fn may_be_due_to_session(&self) -> bool {
        !matches!(self.fault, Fault::Certificate | Fault::Local | Fault::TimedOut)
    }
}

/// True if OpenSSL itself failed: memory ran out, a function was called as it must not be. Such reasons are fatal
/// (`ERR_R_FATAL` of <openssl/err.h>). Other reasons that all libraries share, such as that of a certificate that is no
/// ASN.1, are about what the peer has sent.
fn is_internal(errors: &ErrorStack) -> bool {
    /// `ERR_RFLAG_FATAL`. Before 3.0 these reasons were the numbers from 64 to 99 (`ERR_R_FATAL`).
    const FATAL: i32 = 1 << 18;
    let is_fatal =
        |reason: i32| if cfg!(openssl3) { reason & FATAL != 0 } else { (64..100).contains(&reason) };
    errors.errors().iter().any(|error| is_fatal(error.reason_code()))
}

/// `SSL_R_CERTIFICATE_VERIFY_FAILED`. The result of the verification is not enough to tell: it stays set if a
/// callback of the program overrules it, and another error may follow.
const VERIFY_FAILED: i32 = 134;

/// `X509_V_ERR_*`, X509_STORE_CTX_get_error(3).
const HOSTNAME_MISMATCH: i32 = 62;
const EMAIL_MISMATCH: i32 = 63;
const IP_ADDRESS_MISMATCH: i32 = 64;

/// Returns the text for a certificate that was rejected.
fn certificate_error(ssl: &SslRef, peer: &PeerName) -> String {
    let result = ssl.verify_result();
    let text = result.error_string();
    if !matches!(result.as_raw(), HOSTNAME_MISMATCH | EMAIL_MISMATCH | IP_ADDRESS_MISMATCH) {
        return format!("certificate refused: {text}");
    }
    let names = certified_names(ssl);
    let required = Identities::of_context(ssl.ssl_context());
    if required.is_any() {
        return format!(
            "certificate refused: {text}: the program's SSL_CTX wants {required}, it is for {names}"
        );
    }
    format!(
        "certificate refused: {text}: wanted {peer}, it is for {names} \
         (DPLX_TLS_VERIFY_HOST=off in the environment switches this check off)"
    )
}

/// Returns the names in the certificate of the peer.
fn certified_names(ssl: &SslRef) -> String {
    let leaf = ssl.verified_chain().and_then(|chain| chain.get(0));
    let texts = leaf.map_or(Vec::new(), names_of);
    if texts.is_empty() { "no name".to_owned() } else { texts.join(", ") }
}

/// Returns the names and addresses of subjectAltName. Without that extension the common names count.
fn names_of(leaf: &X509Ref) -> Vec<String> {
    let Some(names) = leaf.subject_alt_names() else {
        let common = leaf.subject_name().entries_by_nid(Nid::COMMONNAME);
        return common.filter_map(|entry| entry.data().to_string().ok()).collect();
    };
    let text = |name: &openssl::x509::GeneralNameRef| match (name.dnsname(), name.ipaddress()) {
        (Some(name), _) => Some(name.to_owned()),
        (None, Some(octets)) => ip_text(octets),
        (None, None) => None,
    };
    names.iter().filter_map(text).collect()
}

fn ip_text(octets: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let any = v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
    any.ok().map(|address| address.to_string())
}

#[cfg(all(test, openssl3))]
mod tests {
    use std::io;

    use openssl::ssl::{Ssl, SslContext, SslMethod};

    use super::*;
    use crate::os::libssl::errors_with;

    // ERR_R_* of <openssl/err.h>, and SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE.
    const MALLOC_FAILURE: i32 = 0xC0100;
    const INTERNAL_ERROR: i32 = 0xC0103;
    const ASN1_LIB: i32 = 0x8000D;
    const ALERT: i32 = 1040;

    #[test]
    fn what_this_machine_lacks_is_no_fault_of_the_peer() {
        let ssl = Ssl::new(&SslContext::builder(SslMethod::tls_client()).unwrap().build()).unwrap();
        let io = |number| SslError::Io(io::Error::from_raw_os_error(number));
        for (error, fault, status) in [
            (io(libc::ENOMEM), Fault::Local, Some(Error::OutOfMemory)),
            (SslError::OutOfMemory, Fault::Local, Some(Error::OutOfMemory)),
            (SslError::Tls(errors_with(INTERNAL_ERROR)), Fault::Local, None),
            (io(libc::ECONNRESET), Fault::Reset, None),
            (SslError::Closed, Fault::Reset, None),
            (SslError::Tls(errors_with(ASN1_LIB)), Fault::Tls, None),
            (SslError::Tls(errors_with(ALERT)), Fault::Tls, None),
        ] {
            let error_of_handshake = HandshakeError::of(&error, &ssl, &PeerName::new("name"));
            assert_eq!(
                (error_of_handshake.fault, error_of_handshake.local_fault()),
                (fault, status),
                "{error:?}"
            );
        }
        for (reason, status) in [(MALLOC_FAILURE, Error::OutOfMemory), (INTERNAL_ERROR, Error::System)] {
            let error = HandshakeError::of_setup(&errors_with(reason));
            assert_eq!((error.fault, error.local_fault()), (Fault::Local, Some(status)), "{reason:#x}");
        }
    }
}
