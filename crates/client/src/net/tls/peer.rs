//! The name that the peer of a connection has to have.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::IpAddr;
use std::sync::LazyLock;

use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;
use openssl::ssl::{SslRef, SslVerifyMode};
use openssl::x509::verify::X509CheckFlags;

use crate::os::libssl::{self, Identities};

/// A name to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// A name, without the dot that may end it.
    Dns(String),
    /// A literal address.
    Address(IpAddr),
}

impl PeerName {
    /// The name or address in a text. A final dot belongs to the look-up only (RFC 6066, section 3).
    pub fn new(text: &str) -> PeerName {
        match text.parse::<IpAddr>() {
            // An IPv4 address, however it is written.
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

/// The name is checked where the chain is, unless the environment says `DPLX_TLS_VERIFY_HOST=off`.
static VERIFY_NAMES: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("DPLX_TLS_VERIFY_HOST").is_none_or(|value| value != "off"));

/// Sends the server name, unless it is an address (RFC 6066, section 3), and has the certificate checked for
/// it, if the context verifies certificates.
pub fn expect(ssl: &mut SslRef, peer: &PeerName) -> Result<(), ErrorStack> {
    if let PeerName::Dns(name) = peer {
        ssl.set_hostname(name)?;
    }
    let is_checked = *VERIFY_NAMES && ssl.verify_mode().contains(SslVerifyMode::PEER);
    // What the program demands itself stands: it may know the server by another name.
    if !is_checked || Identities::of_context(ssl.ssl_context()).is_any() {
        return Ok(());
    }
    libssl::add_host_flags(ssl, X509CheckFlags::NO_PARTIAL_WILDCARDS);
    match peer {
        PeerName::Address(address) => ssl.param_mut().set_ip(*address),
        PeerName::Dns(name) => {
            ssl.param_mut().set_host(name)?;
            match stand_in(name) {
                Some(other) => libssl::add_host(ssl, &other),
                None => Ok(()),
            }
        }
    }
}

/// A name that a wildcard stands for if it stands for this one, and that no certificate is made out to: for a
/// first label with an underscore, which OpenSSL lets no wildcard stand for. Buckets have such names.
///
/// The label is a random one. So all else is as OpenSSL has it: a wildcard is a whole first label and stands
/// for one label, and a certificate for the name itself has it letter by letter.
fn stand_in(name: &str) -> Option<String> {
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
    fn names_lose_one_final_dot() {
        let name = |text| PeerName::new(text).to_string();
        assert_eq!((name("s3.example."), name("s3.example")), ("s3.example".into(), "s3.example".into()));
        assert_eq!(name("s3.example.."), "s3.example.");
        assert_eq!(PeerName::new("::ffff:127.0.0.1"), PeerName::new("127.0.0.1"));
        assert_eq!(PeerName::new("::1"), PeerName::Address("::1".parse().unwrap()));
    }

    #[test]
    fn only_a_first_label_with_an_underscore_has_a_stand_in() {
        for name in ["bucket.s3.example", "localhost", "my_bucket", "bucket.my_zone.example"] {
            assert_eq!(stand_in(name), None, "{name}");
        }
        let (one, other) = (stand_in("my_bucket.s3.example"), stand_in("my_bucket.s3.example"));
        assert!(one != other && one.is_some_and(|name| name.ends_with(".s3.example") && !name.contains('_')));
    }
}
