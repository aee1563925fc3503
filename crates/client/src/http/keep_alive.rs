//! The field `Keep-Alive`, in which a server states how long it keeps an idle connection, and for how many requests
//! (RFC 2068, section 19.7.1.1).

use std::str;

/// Limits of a connection, as its server states them. They may be wrong: any number can come, 0 as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Number of seconds that the connection may stay idle.
    pub timeout_s: Option<u32>,
    /// Number of further requests on the connection.
    pub max: Option<u32>,
}

impl KeepAlive {
    /// Returns the limits among the members of the field. What is no number is skipped, a number that is too large is
    /// the greatest, and of several the least counts. `None` if there is no limit.
    pub(super) fn among<'a>(members: impl Iterator<Item = &'a [u8]>) -> Option<KeepAlive> {
        let mut found = KeepAlive { timeout_s: None, max: None };
        for member in members {
            let (name, value) = parameter(member);
            let limit = match name {
                _ if name.eq_ignore_ascii_case(b"timeout") => &mut found.timeout_s,
                _ if name.eq_ignore_ascii_case(b"max") => &mut found.max,
                _ => continue,
            };
            if let Some(number) = number(value) {
                *limit = Some(limit.map_or(number, |other| other.min(number)));
            }
        }
        (found.timeout_s.is_some() || found.max.is_some()).then_some(found)
    }
}

/// Splits `name=value`. The value may stand in quotation marks.
fn parameter(member: &[u8]) -> (&[u8], &[u8]) {
    let at = member.iter().position(|byte| *byte == b'=').unwrap_or(member.len());
    let value = member.get(at + 1..).unwrap_or_default().trim_ascii();
    let bare = value.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(value);
    (member[..at].trim_ascii(), bare)
}

/// Parses a decimal number.
fn number(digits: &[u8]) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let digits = str::from_utf8(digits).ok().filter(|_| is_number)?;
    Some(digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(value: &str) -> Option<(Option<u32>, Option<u32>)> {
        let members = value.split(',').map(|it| it.trim_ascii().as_bytes());
        KeepAlive::among(members).map(|it| (it.timeout_s, it.max))
    }

    #[test]
    fn limits_are_found() {
        assert_eq!(limits("timeout=5, max=100"), Some((Some(5), Some(100))));
        assert_eq!(limits("Max = \"7\" ,TIMEOUT=0"), Some((Some(0), Some(7))));
        assert_eq!(limits("timeout=60"), Some((Some(60), None)));
        assert_eq!(limits("timeout=9, timeout=4, max=1, max=3"), Some((Some(4), Some(1))));
    }

    #[test]
    fn any_text_is_tolerated() {
        assert_eq!(limits("timeout=99999999999999999999"), Some((Some(u32::MAX), None)));
        for value in
            ["", "timeout", "timeout=", "timeout=-1", "max=+1", "timeout=5s", "timeout=0x5", "\u{e4}=1", "=5"]
        {
            assert_eq!(limits(value), None, "{value}");
        }
        assert_eq!(limits("timeout=-1, max=100"), Some((None, Some(100))));
    }
}
