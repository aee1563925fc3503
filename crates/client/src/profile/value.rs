//! The values of variables: how a text becomes a boolean, a number, a path, a list of hosts.
#![forbid(unsafe_code)]

use std::ffi::{CString, OsStr, c_int};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::str;

use openssl::ssl::SslVersion;

use super::grammar::show;
use super::{BACKENDS, Backend, HostList, Profile};
use crate::net::authority::parse_list;

/// The longest `aws_region` in bytes: its place in `dpl_ctx_t`, less the NUL.
const LONGEST_REGION: usize = 31;

/// The text of a value, about to be read. An error is a text that says what is wrong with it.
pub struct RawValue<'a> {
    /// The text.
    pub text: &'a [u8],
    /// The profile, as the variables before this one have set it.
    pub profile: &'a Profile,
    /// A warning, for a value that is accepted but has an unexpected meaning.
    pub warning: &'a mut Option<String>,
}

impl<'a> RawValue<'a> {
    fn shown(&self) -> String {
        show(self.text)
    }

    /// Reads a string.
    pub fn text(&mut self) -> Result<CString, String> {
        CString::new(self.text).map_err(|_| "a NUL byte".to_owned())
    }

    /// Reads a string that has no default.
    pub fn some_text(&mut self) -> Result<Option<CString>, String> {
        self.text().map(Some)
    }

    /// Reads `true` or `false`, in letters of any case.
    pub fn boolean(&mut self) -> Result<bool, String> {
        match self.text.to_ascii_lowercase().as_slice() {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(format!("{} is neither true nor false", self.shown())),
        }
    }

    /// Reads a path. A relative path begins at the droplet directory.
    pub fn some_path(&mut self) -> Result<Option<CString>, String> {
        let folder = OsStr::from_bytes(self.profile.droplet_dir.as_bytes());
        let path = Path::new(folder).join(OsStr::from_bytes(self.text));
        CString::new(path.into_os_string().into_vec()).map(Some).map_err(|_| "a NUL byte".to_owned())
    }

    /// Reads a number as strtol(3) does with base 0: after the sign, `0x` means hexadecimal and `0` octal.
    pub fn number<T: TryFrom<i64>>(&mut self) -> Result<T, String> {
        let (is_negative, unsigned) = self.sign();
        match unsigned {
            [b'0', b'x' | b'X', rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                self.digits(is_negative, rest, 16)
            }
            [b'0', ..] => self.digits(is_negative, unsigned, 8),
            _ => self.digits(is_negative, unsigned, 10),
        }
    }

    /// Reads a decimal number. Zeros at its beginning mean nothing.
    pub fn decimal(&mut self) -> Result<c_int, String> {
        let (is_negative, unsigned) = self.sign();
        self.digits(is_negative, unsigned, 10)
    }

    /// Returns whether the number is negative, and what follows the sign. C skips blanks before the sign.
    fn sign(&self) -> (bool, &'a [u8]) {
        match self.text.trim_ascii_start() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            all => (false, all),
        }
    }

    /// Reads the digits of a number. What follows them is ignored, as in C, with a warning.
    fn digits<T: TryFrom<i64>>(&mut self, is_negative: bool, digits: &[u8], base: u32) -> Result<T, String> {
        let end = digits.iter().position(|byte| !char::from(*byte).is_digit(base)).unwrap_or(digits.len());
        let (digits, rest) = digits.split_at(end);
        if digits.is_empty() {
            return Err(format!("{} is no number", self.shown()));
        }
        let number = str::from_utf8(digits).ok().and_then(|digits| i64::from_str_radix(digits, base).ok());
        let number = number.map(|number| if is_negative { -number } else { number });
        let Some((number, fitting)) = number.and_then(|number| Some((number, T::try_from(number).ok()?)))
        else {
            return Err(format!("{} is out of range", self.shown()));
        };
        if !rest.is_empty() {
            *self.warning = Some(format!("{} is taken for {number}", self.shown()));
        }
        Ok(fitting)
    }

    /// Reads the list of hosts. A list without hosts is `None`.
    pub fn hosts(&mut self) -> Result<Option<HostList>, String> {
        if self.profile.hosts.is_some() {
            return Err("set a second time".to_owned());
        }
        let text = str::from_utf8(self.text).map_err(|_| format!("{} is no text", self.shown()))?;
        let default_port = if self.profile.use_https { c"443" } else { c"80" };
        if parse_list(text, default_port).next().is_none() {
            return Ok(None);
        }
        Ok(Some(HostList { default_port, text: text.to_owned() }))
    }

    /// Reads the base path, which ends without a slash.
    pub fn base_path(&mut self) -> Result<CString, String> {
        if self.text.len() > 1 && self.text.ends_with(b"/") {
            return Err(format!("{} ends with a slash", self.shown()));
        }
        self.text()
    }

    /// Reads the version of the AWS signature.
    pub fn sign_version(&mut self) -> Result<u8, String> {
        match self.decimal()? {
            version @ (2 | 4) => Ok(version as u8),
            _ => Err(format!("{} is neither 2 nor 4", self.shown())),
        }
    }

    /// Reads the AWS region.
    pub fn region(&mut self) -> Result<CString, String> {
        if self.text.len() > LONGEST_REGION {
            return Err(format!("{} is longer than {LONGEST_REGION} bytes", self.shown()));
        }
        self.text()
    }

    /// Reads the size of the read buffer.
    pub fn read_buffer_size(&mut self) -> Result<u32, String> {
        // C holds positions in the buffer as int.
        match self.number::<c_int>()? {
            size @ 1.. => Ok(size as u32),
            _ => Err(format!("{} is out of range", self.shown())),
        }
    }

    /// Finds a backend by its name.
    pub fn backend(&mut self) -> Result<Backend, String> {
        let found = BACKENDS.iter().find(|backend| backend.name.to_bytes() == self.text);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = BACKENDS.iter().map(|backend| backend.name.to_string_lossy()).collect();
            format!("{} is none of {}", self.shown(), names.join(", "))
        })
    }

    /// Reads a version of TLS, by the name of OpenSSL's method for it. `SSLv23` is the name for any version.
    pub fn tls_version(&mut self) -> Result<Option<SslVersion>, String> {
        match self.text {
            b"SSLv23" => Ok(None),
            b"TLSv1" => Ok(Some(SslVersion::TLS1)),
            b"TLSv1.1" => Ok(Some(SslVersion::TLS1_1)),
            b"TLSv1.2" => Ok(Some(SslVersion::TLS1_2)),
            b"SSLv2" | b"SSLv3" => {
                let library = openssl::version::version();
                Err(format!("{} is gone from OpenSSL (this is {library})", self.shown()))
            }
            _ => Err(format!("{} is none of SSLv23, TLSv1, TLSv1.1, TLSv1.2", self.shown())),
        }
    }
}
