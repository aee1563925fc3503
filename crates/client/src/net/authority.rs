//! `HOST:PORT`, and lists of them, as in profiles.
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
    /// The digits of the port as in the text.
    pub port: CString,
    /// The number of the port.
    pub number: u16,
}

impl Authority {
    /// Reads a host and a port.
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

/// A port number, from 1 to 65535, and the text that it was read from.
pub struct Port<'a> {
    digits: &'a str,
    /// The number.
    pub number: u16,
    /// The text after the digits. It has no effect, as in Droplet.
    surplus: &'a str,
}

impl<'a> Port<'a> {
    /// Reads the port at the beginning of a text.
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
    /// The host and port, or an error message.
    pub authority: Result<Authority, String>,
    /// The text after host and port. It has no effect.
    surplus: &'a str,
}

impl<'a> Entry<'a> {
    /// Reads `NAME`, `NAME:PORT`, `[IPV6]` or `[IPV6]:PORT`. A slash may follow, as in a URL.
    fn new(text: &'a str, default_port: &'a str) -> Entry<'a> {
        let plain = &text[..text.find('/').unwrap_or(text.len())];
        match parse(plain, default_port) {
            Ok((authority, surplus)) => {
                let surplus = &text[plain.len() - surplus.len()..];
                Entry { text, authority: Ok(authority), surplus }
            }
            Err(error) => Entry { text, authority: Err(error.message(text)), surplus: "" },
        }
    }

    /// Returns a warning if a part of the entry has no effect.
    pub fn warning(&self) -> Option<String> {
        let (text, surplus) = (self.text.escape_debug(), self.surplus.escape_debug());
        (!self.surplus.is_empty()).then(|| format!("'{text}': '{surplus}' at the end has no effect"))
    }
}

/// An entry that is not a host with a port.
enum EntryError {
    /// The entry has no valid host or port.
    Invalid,
    /// The entry is an IPv6 address whose last digits may be meant as a port.
    Ambiguous,
}

impl EntryError {
    /// Returns the error message for this text.
    fn message(self, text: &str) -> String {
        let shown = text.escape_debug();
        match self {
            EntryError::Invalid => format!("'{shown}' is not HOST or HOST:PORT"),
            EntryError::Ambiguous => {
                let (address, port) = text.rsplit_once(':').unwrap_or_default();
                format!("'{shown}' is ambiguous: write [{shown}], or [{address}]:{port}")
            }
        }
    }
}

/// Reads the entries of a list, which are separated by `;`, `,` or white space. A list from a file with the line
/// ends of Windows ends with a carriage return.
pub fn parse_list<'a>(list: &'a str, default_port: &'a CStr) -> impl Iterator<Item = Entry<'a>> {
    let is_separator = |letter: char| matches!(letter, ';' | ',') || letter.is_ascii_whitespace();
    let entries = list.split(is_separator).filter(|entry| !entry.is_empty());
    let default_port = default_port.to_str().unwrap_or_default();
    entries.map(move |entry| Entry::new(entry, default_port))
}

/// Reads host and port. Returns also the text after the digits of the port.
fn parse<'a>(entry: &'a str, default_port: &'a str) -> Result<(Authority, &'a str), EntryError> {
    let (host, port) = match entry.rsplit_once(':') {
        Some((address, port)) if is_ipv6(entry) => {
            if is_ipv6(address) && Port::parse(port).is_some_and(|port| port.surplus.is_empty()) {
                return Err(EntryError::Ambiguous);
            }
            (entry, None)
        }
        Some((host, port)) if !entry.ends_with(']') => (host, Some(port)),
        _ => (entry, None),
    };
    let parsed = Port::parse(port.unwrap_or(default_port)).ok_or(EntryError::Invalid)?;
    let surplus = if port.is_some() { parsed.surplus } else { "" };
    let host = CString::new(host).map_err(|_| EntryError::Invalid)?;
    let authority = Authority::with(&host, &parsed).map_err(|_| EntryError::Invalid)?;
    Ok((authority, surplus))
}

/// True for an IPv6 address without brackets, with or without a zone.
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
    fn brackets_are_allowed_around_any_host() {
        assert_eq!(parsed("[::1]:80"), some("::1", "80", 80));
        assert_eq!(parsed("[::1]"), some("::1", "443", 443));
        assert_eq!(parsed("[fe80::1%lo]:80"), some("fe80::1%lo", "80", 80));
        assert_eq!(parsed("[127.0.0.1]:80"), some("127.0.0.1", "80", 80));
        assert_eq!(parsed("[localhost]"), some("localhost", "443", 443));
    }

    #[test]
    fn ipv6_without_brackets_is_accepted_unless_it_is_ambiguous() {
        for address in ["::1", "fe80::1", "fe80::1%lo", "1:2:3:4:5:6:7:8", "::ffff:127.0.0.1"] {
            assert_eq!(parsed(address), some(address, "443", 443));
        }
        for text in ["::1:80", "fe80::1:80", "2001:db8::1:2"] {
            assert!(parsed(text).is_err(), "{text}");
        }
        let message = "'::1:80' is ambiguous: write [::1:80], or [::1]:80";
        assert_eq!(parsed("::1:80"), Err(message.to_owned()));
    }

    #[test]
    fn other_texts_are_rejected() {
        for entry in ["a:b", "a:0", "a:70000", "a:", "a:-1", ":80", "[]", "a:b:80", "http://a:80", "a:/80"] {
            assert_eq!(parsed(entry), Err(format!("'{entry}' is not HOST or HOST:PORT")));
        }
    }

    #[test]
    fn text_after_host_and_port_gets_a_warning() {
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
    fn a_list_is_split_at_its_separators() {
        let numbers = |list: &str| -> Vec<_> {
            parse_list(list, c"80").map(|entry| entry.authority.ok().map(|it| it.number)).collect()
        };
        assert_eq!(numbers("a:1;b, c:x"), [Some(1), Some(80), None]);
        assert_eq!(numbers("a:1;b:2\r"), [Some(1), Some(2)], "a line end of Windows");
        assert_eq!(numbers("\r"), []);
    }
}
