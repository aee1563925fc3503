//! Percent-encoding as Droplet does it.

/// Encodes each byte as `%` and two hexadecimal digits (RFC 3986, section 2.1), except for letters, digits, `-`, `.` and
/// `_`.
pub fn encoded(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => text.push(*byte),
            _ => text.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
    }
    text
}
