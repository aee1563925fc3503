//! The name that the peer of a TLS connection must have.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::IpAddr;

use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;
use openssl::ssl::{SslRef, SslVerifyMode};
use openssl::x509::verify::X509CheckFlags;

use crate::os::libssl::{self, Identities};
use crate::os::sys::Switch;

/// The name of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// A DNS name, without a final dot.
    Dns(String),
    /// A literal address.
    Address(IpAddr),
}

impl PeerName {
    /// Reads a name or an address. A final dot is part of the look-up only (RFC 6066, section 3).
    pub fn new(text: &str) -> PeerName {
        match text.parse::<IpAddr>() {
            // An IPv4 address that is mapped to IPv6 becomes the IPv4 address.
            Ok(address) => PeerName::Address(address.to_canonical()),
            Err(_) => PeerName::Dns(text.strip_suffix('.').unwrap_or(text).to_owned()),
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerName::Dns(name) => f.write_str(name),
            PeerName::Address(address) => address.fmt(f),
        }
    }
}

/// On if contexts that verify certificates do not check the name.
static ANY_NAME: Switch = Switch::new("DPLX_TLS_VERIFY_HOST", "off");

/// Sends the server name, unless it is an address (RFC 6066, section 3). If the context verifies certificates, also
/// has the name in the certificate checked.
pub fn set_peer(ssl: &mut SslRef, peer: &PeerName) -> Result<(), ErrorStack> {
    if let PeerName::Dns(name) = peer {
        ssl.set_hostname(name)?;
    }
    let is_checked = !ANY_NAME.is_on() && ssl.verify_mode().contains(SslVerifyMode::PEER);
    // Names that the program has set on its SSL_CTX stand: it may know the server by another name.
    if !is_checked || Identities::of_context(ssl.ssl_context()).is_any() {
        return Ok(());
    }
    libssl::add_host_flags(ssl, X509CheckFlags::NO_PARTIAL_WILDCARDS);
    match peer {
        PeerName::Address(address) => ssl.param_mut().set_ip(*address),
        PeerName::Dns(name) => {
            ssl.param_mut().set_host(name)?;
            match wildcard_name(name) {
                Some(other) => libssl::add_host(ssl, &other),
                None => Ok(()),
            }
        }
    }
}

/// Returns a name that only a wildcard certificate matches, for a name whose first label has an underscore. `None`
/// for other names.
///
/// OpenSSL does not match a wildcard against a label with an underscore, but buckets have such names. So the
/// certificate may also match this name, which has a random first label and the same domain. OpenSSL's rules for
/// wildcards apply to it: a wildcard is a whole first label, and matches one label.
fn wildcard_name(name: &str) -> Option<String> {
    let (label, rest) = name.split_once('.')?;
    if !label.contains('_') {
        return None;
    }
    let mut bytes = [0; 16];
    rand_bytes(&mut bytes).ok()?;
    let random: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("x{random}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_final_dot_is_removed() {
        let name = |text| PeerName::new(text).to_string();
        assert_eq!((name("s3.example."), name("s3.example")), ("s3.example".into(), "s3.example".into()));
        assert_eq!(name("s3.example.."), "s3.example.");
        assert_eq!(PeerName::new("::ffff:127.0.0.1"), PeerName::new("127.0.0.1"));
        assert_eq!(PeerName::new("::1"), PeerName::Address("::1".parse().unwrap()));
    }

    #[test]
    fn only_a_first_label_with_an_underscore_needs_a_wildcard_name() {
        for name in ["bucket.s3.example", "localhost", "my_bucket", "bucket.my_zone.example"] {
            assert_eq!(wildcard_name(name), None, "{name}");
        }
        let (one, other) = (wildcard_name("my_bucket.s3.example"), wildcard_name("my_bucket.s3.example"));
        assert!(one != other && one.is_some_and(|name| name.ends_with(".s3.example") && !name.contains('_')));
    }
}
