//! The reasons why handshakes fail.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::ssl::SslRef;
use openssl::x509::X509Ref;

use super::peer::PeerName;
use crate::fault::Fault;
use crate::os::libssl::{Identities, Stop};
use crate::os::sys;
use crate::status::{Error, local_fault};

/// The reason why a handshake failed.
#[derive(Debug)]
pub struct Refusal {
    /// The kind of fault.
    pub fault: Fault,
    /// In words.
    pub reason: String,
    /// What this side lacks, if that is the reason.
    lack: Option<Error>,
}

impl Refusal {
    /// The deadline came first.
    pub fn timed_out() -> Refusal {
        Refusal::of_peer(Fault::TimedOut, "TLS handshake timed out".to_owned())
    }

    /// What to tell the caller if this side is at fault, and not the peer.
    pub fn local_fault(&self) -> Option<Error> {
        self.lack
    }

    /// The handshake could not begin.
    pub fn of_setup(errors: &ErrorStack) -> Refusal {
        Refusal { fault: Fault::Local, lack: Some(Error::System), ..Refusal::of_openssl(errors) }
    }

    fn of_peer(fault: Fault, reason: String) -> Refusal {
        Refusal { fault, reason, lack: None }
    }

    /// The reason why a handshake with this peer stopped.
    pub fn of(stop: &Stop, ssl: &SslRef, peer: &PeerName) -> Refusal {
        match stop {
            Stop::Io(error) => Refusal {
                lack: local_fault(error),
                ..Refusal::of_peer(Fault::of(error), format!("TLS handshake: {}", sys::error_text(error)))
            },
            Stop::OutOfMemory => Refusal {
                lack: Some(Error::OutOfMemory),
                ..Refusal::of_peer(Fault::Local, "TLS handshake: out of memory".to_owned())
            },
            Stop::Tls(errors) if errors.errors().iter().any(|error| error.reason_code() == VERIFY_FAILED) => {
                Refusal::of_peer(Fault::Certificate, verdict(ssl, peer))
            }
            // Another host may do better.
            Stop::Tls(errors) if is_own_failure(errors) => {
                Refusal { fault: Fault::Local, ..Refusal::of_openssl(errors) }
            }
            Stop::Tls(errors) => Refusal::of_openssl(errors),
            Stop::CutOff | Stop::Closed | Stop::WantsRead | Stop::WantsWrite => {
                Refusal::of_peer(Fault::Reset, "TLS handshake: the peer closed the connection".to_owned())
            }
        }
    }

    fn of_openssl(errors: &ErrorStack) -> Refusal {
        let reason = errors.errors().first().and_then(|error| error.reason());
        Refusal::of_peer(Fault::Tls, format!("TLS handshake: {}", reason.unwrap_or("failed")))
    }

    /// Whether a session that was offered may be the cause: the peer sent an alert, or nonsense, or hung up.
    pub fn may_be_of_a_session(&self) -> bool {
        !matches!(self.fault, Fault::Certificate | Fault::Local | Fault::TimedOut)
    }
}

/// Whether OpenSSL stopped for a reason that all of its libraries have in common (`ERR_R_*` of <openssl/err.h>), such
/// as an internal error: what a peer did wrong has a reason of its own.
fn is_own_failure(errors: &ErrorStack) -> bool {
    /// `ERR_RFLAG_COMMON`. Before 3.0 these reasons were the numbers below 100.
    const COMMON: i32 = 2 << 18;
    let is_common = |reason: i32| if cfg!(openssl3) { reason & COMMON != 0 } else { reason < 100 };
    errors.errors().last().is_some_and(|error| is_common(error.reason_code()))
}

/// `SSL_R_CERTIFICATE_VERIFY_FAILED`. The result of a verification that the program's callback has overruled stays
/// set, and says nothing of another failure.
const VERIFY_FAILED: i32 = 134;

/// `X509_V_ERR_*`, X509_STORE_CTX_get_error(3).
const HOSTNAME_MISMATCH: i32 = 62;
const EMAIL_MISMATCH: i32 = 63;
const IP_ADDRESS_MISMATCH: i32 = 64;

fn verdict(ssl: &SslRef, peer: &PeerName) -> String {
    let verdict = ssl.verify_result();
    let text = verdict.error_string();
    if !matches!(verdict.as_raw(), HOSTNAME_MISMATCH | EMAIL_MISMATCH | IP_ADDRESS_MISMATCH) {
        return format!("certificate refused: {text}");
    }
    let names = certified_names(ssl);
    let programs = Identities::of_context(ssl.ssl_context());
    if programs.is_any() {
        return format!(
            "certificate refused: {text}: the program's SSL_CTX wants {programs}, it is for {names}"
        );
    }
    format!(
        "certificate refused: {text}: wanted {peer}, it is for {names} \
         (DPLX_TLS_VERIFY_HOST=off in the environment switches this check off)"
    )
}

/// The names that a certificate which was refused is made out to.
fn certified_names(ssl: &SslRef) -> String {
    let leaf = ssl.verified_chain().and_then(|chain| chain.get(0));
    let texts = leaf.map_or(Vec::new(), names_of);
    if texts.is_empty() { "no name".to_owned() } else { texts.join(", ") }
}

/// The names and addresses of subjectAltName; without one, the common names count.
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
