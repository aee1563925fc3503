//! `HOST:PORT` as profiles write it.
#![forbid(unsafe_code)]

use std::ffi::{CStr, CString};
use std::net::Ipv6Addr;

use crate::net::host_name::HostName;
use crate::status::Error;

/// A host and a port.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The host.
    pub host: HostName,
    /// The digits of the port as they were written.
    pub port: CString,
    /// Their number.
    pub number: u16,
}

impl Authority {
    /// A host and a port that came separately.
    pub fn new(host: &CStr, port: &CStr) -> Result<Authority, Error> {
        let port = port.to_str().ok().and_then(Port::parse).ok_or(Error::Invalid)?;
        Authority::with(host, &port)
    }

    fn with(host: &CStr, port: &Port<'_>) -> Result<Authority, Error> {
        let host = HostName::new(host)?;
        let digits = CString::new(port.digits).map_err(|_| Error::Invalid)?;
        Ok(Authority { host, port: digits, number: port.number })
    }
}

/// A port number, from 1 to 65535, with what stands around it.
pub struct Port<'a> {
    digits: &'a str,
    /// The number.
    pub number: u16,
    /// What follows the digits. It has no effect, here as in C.
    surplus: &'a str,
}

impl<'a> Port<'a> {
    /// The port that a text begins with.
    pub fn parse(text: &'a str) -> Option<Port<'a>> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (digits, surplus) = text.split_at(end);
        let number = digits.parse().ok().filter(|number| *number != 0)?;
        Some(Port { digits, number, surplus })
    }
}

/// One entry of a list of hosts.
pub struct Entry<'a> {
    text: &'a str,
    /// What it stands for; else what is wrong with it, in words.
    pub authority: Result<Authority, String>,
    /// What follows host and port.
    surplus: &'a str,
}

impl<'a> Entry<'a> {
    /// `NAME`, `NAME:PORT`, `[IPV6]` or `[IPV6]:PORT`, perhaps with a slash behind it as at the end of a URL.
    fn new(text: &'a str, default_port: &'a str) -> Entry<'a> {
        let plain = &text[..text.find('/').unwrap_or(text.len())];
        match parse(plain, default_port) {
            Ok((authority, behind)) => {
                let surplus = &text[plain.len() - behind.len()..];
                Entry { text, authority: Ok(authority), surplus }
            }
            Err(malformed) => Entry { text, authority: Err(malformed.of(text)), surplus: "" },
        }
    }

    /// What is odd about it, in words.
    pub fn warning(&self) -> Option<String> {
        let (text, surplus) = (self.text.escape_debug(), self.surplus.escape_debug());
        (!self.surplus.is_empty()).then(|| format!("'{text}': '{surplus}' at its end has no effect"))
    }
}

/// Why an entry of a list stands for nothing.
enum Malformed {
    /// It is no host with a port.
    NoAuthority,
    /// It is an IPv6 address, and may be one that is followed by a port.
    Ambiguous,
}

impl Malformed {
    /// What is wrong with this text, in words.
    fn of(self, text: &str) -> String {
        let shown = text.escape_debug();
        match self {
            Malformed::NoAuthority => format!("'{shown}' is no host with a port"),
            Malformed::Ambiguous => {
                let (address, port) = text.rsplit_once(':').unwrap_or_default();
                format!("'{shown}' is ambiguous: write [{shown}], or [{address}]:{port}")
            }
        }
    }
}

/// The entries of a list, which `;`, `,` and white space separate. The line ends of Windows leave a carriage
/// return at the end of it.
pub fn parse_list<'a>(list: &'a str, default_port: &'a CStr) -> impl Iterator<Item = Entry<'a>> {
    let is_separator = |letter: char| matches!(letter, ';' | ',') || letter.is_ascii_whitespace();
    let entries = list.split(is_separator).filter(|entry| !entry.is_empty());
    let default_port = default_port.to_str().unwrap_or_default();
    entries.map(move |entry| Entry::new(entry, default_port))
}

/// The host and port of an entry, and what follows the digits of the port.
fn parse<'a>(entry: &'a str, default_port: &'a str) -> Result<(Authority, &'a str), Malformed> {
    let (host, port) = match entry.rsplit_once(':') {
        Some((address, port)) if is_ipv6(entry) => {
            if is_ipv6(address) && Port::parse(port).is_some_and(|port| port.surplus.is_empty()) {
                return Err(Malformed::Ambiguous);
            }
            (entry, None)
        }
        Some((host, port)) if !entry.ends_with(']') => (host, Some(port)),
        _ => (entry, None),
    };
    let parsed = Port::parse(port.unwrap_or(default_port)).ok_or(Malformed::NoAuthority)?;
    let surplus = if port.is_some() { parsed.surplus } else { "" };
    let host = CString::new(host).map_err(|_| Malformed::NoAuthority)?;
    let authority = Authority::with(&host, &parsed).map_err(|_| Malformed::NoAuthority)?;
    Ok((authority, surplus))
}

/// Whether this is an IPv6 address without brackets, perhaps with a zone.
fn is_ipv6(text: &str) -> bool {
    text.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(entry: &str) -> Entry<'_> {
        let mut entries = parse_list(entry, c"443");
        let first = entries.next().unwrap();
        assert!(entries.next().is_none());
        first
    }

    fn parsed(entry: &str) -> Result<(String, String, u16), String> {
        let Authority { host, port, number } = only(entry).authority?;
        let text = |text: &CStr| text.to_str().unwrap().to_owned();
        Ok((text(host.written()), text(&port), number))
    }

    fn some(name: &str, port: &str, number: u16) -> Result<(String, String, u16), String> {
        Ok((name.to_owned(), port.to_owned(), number))
    }

    #[test]
    fn a_port_follows_the_last_colon() {
        assert_eq!(parsed("host"), some("host", "443", 443));
        assert_eq!(parsed("host:80"), some("host", "80", 80));
        assert_eq!(parsed("127.0.0.1:0080"), some("127.0.0.1", "0080", 80));
        assert_eq!(parsed("host:+80"), some("host", "80", 80));
    }

    #[test]
    fn brackets_enclose_ipv6_and_do_no_harm_elsewhere() {
        assert_eq!(parsed("[::1]:80"), some("::1", "80", 80));
        assert_eq!(parsed("[::1]"), some("::1", "443", 443));
        assert_eq!(parsed("[fe80::1%lo]:80"), some("fe80::1%lo", "80", 80));
        assert_eq!(parsed("[127.0.0.1]:80"), some("127.0.0.1", "80", 80));
        assert_eq!(parsed("[localhost]"), some("localhost", "443", 443));
    }

    #[test]
    fn ipv6_without_brackets_is_taken_where_it_has_one_meaning() {
        for address in ["::1", "fe80::1", "fe80::1%lo", "1:2:3:4:5:6:7:8", "::ffff:127.0.0.1"] {
            assert_eq!(parsed(address), some(address, "443", 443));
        }
        for text in ["::1:80", "fe80::1:80", "2001:db8::1:2"] {
            assert!(parsed(text).is_err(), "{text}");
        }
        let fault = "'::1:80' is ambiguous: write [::1:80], or [::1]:80";
        assert_eq!(parsed("::1:80"), Err(fault.to_owned()));
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for entry in ["a:b", "a:0", "a:70000", "a:", "a:-1", ":80", "[]", "a:b:80", "http://a:80", "a:/80"] {
            assert_eq!(parsed(entry), Err(format!("'{entry}' is no host with a port")));
        }
    }

    #[test]
    fn what_follows_has_no_effect_and_is_told_of() {
        for (text, surplus) in [("a:80/", "/"), ("a:80/b:81", "/b:81"), ("a:80x", "x"), ("a:80x/y", "x/y")] {
            assert_eq!(parsed(text), some("a", "80", 80));
            assert_eq!(only(text).surplus, surplus);
            assert!(only(text).warning().is_some());
        }
        assert_eq!(parsed("a/"), some("a", "443", 443));
        assert_eq!(parsed("[::1]/x"), some("::1", "443", 443));
        assert_eq!(only("a:80").warning(), None);
    }

    #[test]
    fn lists_are_split_at_their_separators() {
        let numbers = |list: &str| -> Vec<_> {
            parse_list(list, c"80").map(|entry| entry.authority.ok().map(|it| it.number)).collect()
        };
        assert_eq!(numbers("a:1;b, c:x"), [Some(1), Some(80), None]);
        assert_eq!(numbers("a:1;b:2\r"), [Some(1), Some(2)], "a line end of Windows");
        assert_eq!(numbers("\r"), []);
    }
}
