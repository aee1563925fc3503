//! The variables: what each is set to, and how its value is written.
#![forbid(unsafe_code)]

use std::ffi::{CString, OsStr, c_int};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use openssl::ssl::SslVersion;

use super::grammar::show;
use super::{BACKENDS, Fault, HostList, Profile};

/// The longest `aws_region`: its place in `dpl_ctx_t`, less the NUL.
const LONGEST_REGION: usize = 31;

impl Profile {
    /// Takes one variable.
    pub(super) fn take(&mut self, name: &[u8], value: &[u8], line: Option<u32>) -> Result<(), Fault> {
        let Some(variable) = VARIABLES.iter().find(|variable| variable.name.as_bytes() == name) else {
            return Err(self.fault_on(line, &format!("no such variable: {}", show(name))));
        };
        let mut setting = Setting { profile: self, value, warning: None };
        let outcome = (variable.set)(&mut setting);
        let told = |text: String| format!("{}: {text}", variable.name);
        if let Some(warning) = setting.warning {
            self.warnings.push(self.fault_on(line, &told(warning)).0);
        }
        outcome.map_err(|text| self.fault_on(line, &told(text)))?;
        if let Some(line) = line {
            self.lines.insert(variable.name, line);
        }
        Ok(())
    }
}

/// A variable: its name, and what is to be done with its value.
struct Variable {
    name: &'static str,
    set: fn(&mut Setting<'_>) -> Result<(), String>,
}

macro_rules! variables {
    ($($name:ident: |$setting:ident| $set:expr,)*) => {
        &[$(Variable {
            name: stringify!($name),
            set: |$setting| {
                let () = $set;
                Ok(())
            },
        },)*]
    };
}

static VARIABLES: &[Variable] = variables! {
    use_https: |it| it.profile.use_https = it.boolean()?,
    host: |it| it.set_hosts()?,
    port: |it| it.warn("has no effect: ports stand in host, NAME:PORT"),
    blacklist_expiretime: |it| it.profile.blacklist_expiretime = it.decimal()?,
    header_size: |it| it.profile.header_size = it.number()?,
    base_path: |it| it.set_base_path()?,
    access_key: |it| it.profile.access_key = Some(it.text()?),
    secret_key: |it| it.profile.secret_key = Some(it.text()?),
    aws_auth_sign_version: |it| it.set_sign_version()?,
    aws_region: |it| it.set_region()?,
    ssl_cert_file: |it| it.profile.ssl_cert_file = Some(it.path()?),
    ssl_key_file: |it| it.profile.ssl_key_file = Some(it.path()?),
    ssl_password: |it| it.profile.ssl_password = Some(it.text()?),
    ssl_ca_list: |it| it.profile.ssl_ca_list = Some(it.text()?),
    ssl_crl_list: |it| it.profile.ssl_crl_list = Some(it.text()?),
    ssl_method: |it| it.set_method()?,
    ssl_cipher_list: |it| it.profile.ssl_cipher_list = it.text()?,
    ssl_comp: |it| it.profile.ssl_comp = it.boolean()?,
    cert_verif: |it| it.profile.cert_verif = it.boolean()?,
    pricing: |it| it.profile.pricing = Some(it.text()?),
    pricing_dir: |it| it.profile.pricing_dir = Some(it.text()?),
    read_buf_size: |it| it.set_read_buffer_size()?,
    encrypt_key: |it| it.profile.encrypt_key = Some(it.text()?),
    backend: |it| it.set_backend()?,
    encode_slashes: |it| it.profile.encode_slashes = it.boolean()?,
    empty_folder_emulation: |it| it.profile.empty_folder_emulation = it.boolean()?,
    keep_alive: |it| it.profile.keep_alive = it.boolean()?,
    url_encoding: |it| it.profile.url_encoding = it.boolean()?,
    enterprise_number: |it| it.profile.enterprise_number = it.number()?,
    connection_timeout: |it| it.profile.conn_timeout = it.number()?,
    read_timeout: |it| it.profile.read_timeout = it.number()?,
    write_timeout: |it| it.profile.write_timeout = it.number()?,
    // Known before the profile is read, from wherever that comes.
    droplet_dir: |_it| (),
    profile_name: |_it| (),
};

/// A variable about to be set.
struct Setting<'a> {
    profile: &'a mut Profile,
    value: &'a [u8],
    warning: Option<String>,
}

impl<'a> Setting<'a> {
    fn warn(&mut self, text: &str) {
        self.warning = Some(text.to_owned());
    }

    fn shown(&self) -> String {
        show(self.value)
    }

    fn text(&self) -> Result<CString, String> {
        CString::new(self.value).map_err(|_| "a NUL byte".to_owned())
    }

    fn boolean(&self) -> Result<bool, String> {
        match self.value.to_ascii_lowercase().as_slice() {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(format!("{} is neither true nor false", self.shown())),
        }
    }

    /// A path, which the droplet directory is put before unless it is absolute.
    fn path(&self) -> Result<CString, String> {
        let folder = OsStr::from_bytes(self.profile.droplet_dir.as_bytes());
        let path = Path::new(folder).join(OsStr::from_bytes(self.value));
        CString::new(path.into_os_string().into_vec()).map_err(|_| "a NUL byte".to_owned())
    }

    /// A number as strtol(3) reads it with base 0: 0x for hexadecimal, 0 for octal, after the sign.
    fn number<T: TryFrom<i64>>(&mut self) -> Result<T, String> {
        let (is_negative, unsigned) = self.sign();
        match unsigned {
            [b'0', b'x' | b'X', rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                self.digits(is_negative, rest, 16)
            }
            [b'0', ..] => self.digits(is_negative, unsigned, 8),
            _ => self.digits(is_negative, unsigned, 10),
        }
    }

    /// A decimal number, whatever it begins with.
    fn decimal(&mut self) -> Result<c_int, String> {
        let (is_negative, unsigned) = self.sign();
        self.digits(is_negative, unsigned, 10)
    }

    /// Whether the value begins with a minus sign, and what follows the sign. C passes over blanks before it.
    fn sign(&self) -> (bool, &'a [u8]) {
        match self.value.trim_ascii_start() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            all => (false, all),
        }
    }

    /// What follows the digits has no effect, here as in C, but is told of.
    fn digits<T: TryFrom<i64>>(&mut self, is_negative: bool, digits: &[u8], base: u32) -> Result<T, String> {
        let end = digits.iter().position(|byte| !char::from(*byte).is_digit(base)).unwrap_or(digits.len());
        let (digits, rest) = digits.split_at(end);
        if digits.is_empty() {
            return Err(format!("{} is no number", self.shown()));
        }
        let number =
            std::str::from_utf8(digits).ok().and_then(|digits| i64::from_str_radix(digits, base).ok());
        let number = number.map(|number| if is_negative { -number } else { number });
        let Some((number, fitting)) = number.and_then(|number| Some((number, T::try_from(number).ok()?)))
        else {
            return Err(format!("{} is out of range", self.shown()));
        };
        if !rest.is_empty() {
            self.warning = Some(format!("{} is taken for {number}", self.shown()));
        }
        Ok(fitting)
    }

    fn set_hosts(&mut self) -> Result<(), String> {
        if self.profile.hosts.is_some() {
            return Err("set a second time".to_owned());
        }
        let text = std::str::from_utf8(self.value).map_err(|_| format!("{} is no text", self.shown()))?;
        if text.chars().all(|it| matches!(it, ';' | ',' | ' ')) {
            return Ok(());
        }
        let default_port = if self.profile.use_https { c"443" } else { c"80" };
        self.profile.hosts = Some(HostList { default_port, text: text.to_owned() });
        Ok(())
    }

    fn set_base_path(&mut self) -> Result<(), String> {
        if self.value.len() > 1 && self.value.ends_with(b"/") {
            return Err(format!("{} ends with a slash", self.shown()));
        }
        self.profile.base_path = self.text()?;
        Ok(())
    }

    fn set_sign_version(&mut self) -> Result<(), String> {
        match self.decimal()? {
            version @ (2 | 4) => self.profile.aws_auth_sign_version = version as u8,
            _ => return Err(format!("{} is neither 2 nor 4", self.shown())),
        }
        Ok(())
    }

    fn set_region(&mut self) -> Result<(), String> {
        if self.value.len() > LONGEST_REGION {
            return Err(format!("{} is longer than {LONGEST_REGION} bytes", self.shown()));
        }
        self.profile.aws_region = self.text()?;
        Ok(())
    }

    fn set_read_buffer_size(&mut self) -> Result<(), String> {
        // C holds positions in the buffer as int.
        match self.number::<c_int>()? {
            size @ 1.. => self.profile.read_buf_size = size as u32,
            _ => return Err(format!("{} is out of range", self.shown())),
        }
        Ok(())
    }

    fn set_backend(&mut self) -> Result<(), String> {
        let Some(backend) = BACKENDS.iter().find(|backend| backend.name.to_bytes() == self.value) else {
            let names: Vec<_> = BACKENDS.iter().map(|backend| backend.name.to_string_lossy()).collect();
            return Err(format!("{} is none of {}", self.shown(), names.join(", ")));
        };
        self.profile.backend = *backend;
        // As in the original, it stays so if another backend is set after that.
        self.profile.preserve_root_path |= backend.preserve_root_path;
        Ok(())
    }

    fn set_method(&mut self) -> Result<(), String> {
        self.profile.ssl_method = match self.value {
            b"SSLv23" => None,
            b"TLSv1" => Some(SslVersion::TLS1),
            b"TLSv1.1" => Some(SslVersion::TLS1_1),
            b"TLSv1.2" => Some(SslVersion::TLS1_2),
            b"SSLv2" | b"SSLv3" => {
                let library = openssl::version::version();
                return Err(format!("{} is gone from OpenSSL (this is {library})", self.shown()));
            }
            _ => {
                return Err(format!("{} is none of SSLv23, TLSv1, TLSv1.1, TLSv1.2", self.shown()));
            }
        };
        Ok(())
    }
}
