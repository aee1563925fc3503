//! `HOST:PORT` as profiles write it.
#![forbid(unsafe_code)]

use std::ffi::{CStr, CString};
use std::net::Ipv6Addr;

use crate::status::Error;

/// A host name, or literal address without brackets, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The name.
    pub name: CString,
    /// The port as it was written.
    pub port: CString,
    /// Its number.
    pub number: u16,
}

impl Authority {
    /// A name and a port that came separately.
    pub fn new(name: &CStr, port: &CStr) -> Result<Authority, Error> {
        let text = without_brackets(name.to_str().map_err(|_| Error::Invalid)?);
        if text.is_empty() {
            return Err(Error::Invalid);
        }
        let number = port_number(port.to_bytes()).ok_or(Error::Invalid)?;
        let name = CString::new(text).map_err(|_| Error::Invalid)?;
        Ok(Authority { name, port: port.to_owned(), number })
    }

    /// One entry of a list: `NAME`, `NAME:PORT`, `[IPV6]` or `[IPV6]:PORT`.
    pub fn parse(entry: &str, default_port: &CStr) -> Result<Authority, Error> {
        let (name, port) = match entry.rsplit_once(':') {
            // The colon belongs to the address.
            _ if entry.parse::<Ipv6Addr>().is_ok() || entry.ends_with(']') => (entry, None),
            Some((name, port)) => (name, Some(port)),
            None => (entry, None),
        };
        let c_string = |text: &str| CString::new(text).map_err(|_| Error::Invalid);
        let port = port.map_or(Ok(default_port.to_owned()), c_string)?;
        Authority::new(&c_string(name)?, &port)
    }

    /// The entries of a list, which `;`, `,` and spaces separate.
    pub fn parse_list<'a>(
        list: &'a str,
        default_port: &'a CStr,
    ) -> impl Iterator<Item = (&'a str, Result<Authority, Error>)> {
        let entries = list.split([';', ',', ' ']).filter(|entry| !entry.is_empty());
        entries.map(move |entry| (entry, Authority::parse(entry, default_port)))
    }
}

/// A port number: decimal digits, from 1 to 65535.
pub fn port_number(text: &[u8]) -> Option<u16> {
    let is_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| is_digits)?.parse().ok()?;
    (number != 0).then_some(number)
}

fn without_brackets(name: &str) -> &str {
    name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(entry: &str) -> Option<(String, String, u16)> {
        let Authority { name, port, number } = Authority::parse(entry, c"443").ok()?;
        Some((name.into_string().ok()?, port.into_string().ok()?, number))
    }

    fn some(name: &str, port: &str, number: u16) -> Option<(String, String, u16)> {
        Some((name.to_owned(), port.to_owned(), number))
    }

    #[test]
    fn a_port_follows_the_last_colon() {
        assert_eq!(parsed("host"), some("host", "443", 443));
        assert_eq!(parsed("host:80"), some("host", "80", 80));
        assert_eq!(parsed("127.0.0.1:0080"), some("127.0.0.1", "0080", 80));
        assert_eq!(parsed("[::1]:80"), some("::1", "80", 80));
        assert_eq!(parsed("[::1]"), some("::1", "443", 443));
        assert_eq!(parsed("::1"), some("::1", "443", 443));
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for entry in ["a:b", "a:0", "a:70000", "a:", "a:-1", "a:+1", "a: 1", ":80", "", "[]", "a:8 0"] {
            assert_eq!(parsed(entry), None, "{entry}");
        }
    }

    #[test]
    fn lists_are_split_at_three_separators() {
        let list: Vec<_> = Authority::parse_list("a:1;b, c:x", c"80")
            .map(|(entry, authority)| (entry, authority.ok().map(|it| it.number)))
            .collect();
        assert_eq!(list, [("a:1", Some(1)), ("b", Some(80)), ("c:x", None)]);
    }
}
