//! Profiles: the settings of a context, as text: its hosts, its timeouts, how it secures its connections.
//!
//! A [`Profile`] begins with the defaults and takes variables from a text ([`Profile::read`]) or one by one
//! ([`Profile::set_all`]). It is checked here as far as that needs no network. A context is then made of it: for C in
//! `src/abi/owned_context.rs`, for Rust in `api/context.rs`.
//!
//! | file | content |
//! | --- | --- |
//! | `variables.rs` | the table of variables: name, field, type, default, meaning. **Add a new variable there** |
//! | `value.rs` | how the text of a value becomes a boolean, a number, a path |
//! | `grammar.rs` | how a text is split into names and values |
//! | `tls.rs` | the OpenSSL context of a profile |
#![forbid(unsafe_code)]

mod grammar;
mod tls;
mod value;
mod variables;

#[cfg(test)]
mod pem_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fmt;
use std::ops::Deref;

pub use variables::Values;

use crate::net::authority::{Authority, parse_list};
use crate::os::reserve;
use crate::status::Error;

/// An invalid profile: where, which variable, and what is wrong with it, as one line of text.
#[derive(Debug, PartialEq, Eq)]
pub struct ProfileError(String);

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A kind of storage, which decides what Droplet's own code does with a connection. The context has it for programs
/// that ask for its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: &'static CStr,
    /// True if a profile with this backend must have hosts.
    pub needs_host: bool,
    /// True if choosing it sets `preserve_root_path`.
    preserve_root_path: bool,
}

/// All backends. The first is the default.
pub const BACKENDS: [Backend; 6] = {
    const fn backend(name: &'static CStr) -> Backend {
        Backend { name, needs_host: true, preserve_root_path: false }
    }
    [
        backend(c"s3"),
        Backend { preserve_root_path: true, ..backend(c"cdmi") },
        backend(c"swift"),
        backend(c"srws"),
        backend(c"sproxyd"),
        Backend { needs_host: false, ..backend(c"posix") },
    ]
};

/// A profile: the values of all variables, and where they were set. It derefs to [`Values`].
#[derive(Debug)]
pub struct Profile {
    /// Name in messages: a file, or another origin.
    name: String,
    /// The line that set a variable last.
    lines: BTreeMap<&'static str, u32>,
    /// The values of the variables.
    values: Values,
    /// Warnings, to be logged.
    pub warnings: Vec<String>,
    /// True if `/` is a resource of its own below the base path. The backend sets it.
    pub preserve_root_path: bool,
    /// Directory that relative paths begin at.
    pub droplet_dir: CString,
    /// Name of the profile.
    pub profile_name: CString,
}

impl Deref for Profile {
    type Target = Values;

    fn deref(&self) -> &Values {
        &self.values
    }
}

/// Value of the variable `host`.
#[derive(Debug, PartialEq, Eq)]
pub struct HostList {
    /// Port of hosts without one.
    pub default_port: &'static CStr,
    /// Text of the list.
    pub text: String,
}

impl HostList {
    /// Returns the hosts of the text. `warn` takes a warning about each entry that is odd. The error is the reason why an
    /// entry is invalid.
    pub fn authorities(&self, mut warn: impl FnMut(String)) -> Result<Vec<Authority>, String> {
        let mut authorities = Vec::new();
        for entry in parse_list(&self.text, self.default_port) {
            entry.warning().into_iter().for_each(&mut warn);
            if reserve::is_low() || authorities.try_reserve(1).is_err() {
                return Err(Error::OutOfMemory.to_string());
            }
            authorities.push(entry.authority?);
        }
        Ok(authorities)
    }
}

impl Profile {
    /// Returns a profile with the defaults. `name` is for messages; relative paths begin at `droplet_dir`.
    pub fn new(name: String, droplet_dir: CString, profile_name: CString) -> Profile {
        Profile {
            name,
            lines: BTreeMap::new(),
            values: Values::default(),
            warnings: Vec::new(),
            preserve_root_path: false,
            droplet_dir,
            profile_name,
        }
    }

    /// Sets the variables of a text, then checks the whole.
    pub fn read(&mut self, text: &[u8]) -> Result<(), ProfileError> {
        for statement in grammar::statements(text) {
            let statement = statement.map_err(|error| self.error_on(Some(error.line), &error.reason))?;
            self.set(&statement.name, &statement.value, Some(statement.line))?;
        }
        self.check()
    }

    /// Sets variables that come one by one, in any order, then checks the whole.
    pub fn set_all<'a>(
        &mut self,
        variables: impl Iterator<Item = (&'a CStr, &'a [u8])>,
    ) -> Result<(), ProfileError> {
        let mut variables: Vec<_> = variables.collect();
        // `use_https` is set first because the default port of `host` depends on it.
        variables.sort_by_key(|(name, _)| (*name != c"use_https", *name));
        for (name, value) in variables {
            self.set(name.to_bytes(), value, None)?;
        }
        self.check()
    }

    /// Checks what depends on more than one variable.
    fn check(&mut self) -> Result<(), ProfileError> {
        if self.hosts.is_none() && self.backend.needs_host {
            return Err(self.error_on(self.lines.get("host").copied(), "no host is set"));
        }
        self.check_sources()?;
        let is_set = |variable: &Option<CString>| variable.as_ref().is_some_and(|text| !text.is_empty());
        if is_set(&self.pricing) || is_set(&self.pricing_dir) {
            let text = "pricing and pricing_dir have no effect: prices are not reckoned, events not logged";
            self.warnings.push(self.error_on(None, text).0);
        }
        Ok(())
    }

    /// Refuses a certificate or key that is given both as a file and as text.
    fn check_sources(&self) -> Result<(), ProfileError> {
        let pairs = [
            ("ssl_ca_pem", &self.ssl_ca_pem, "ssl_ca_list", &self.ssl_ca_list),
            ("ssl_cert_pem", &self.ssl_cert_pem, "ssl_cert_file", &self.ssl_cert_file),
            ("ssl_key_pem", &self.ssl_key_pem, "ssl_key_file", &self.ssl_key_file),
        ];
        match pairs.into_iter().find(|(_, text, _, file)| text.is_some() && file.is_some()) {
            Some((variable, _, other, _)) => Err(self.error_in(variable, format!("{other} is set as well"))),
            None => Ok(()),
        }
    }

    /// Returns an error in the value of a variable, with the line that set it.
    pub fn error_in(&self, variable: &'static str, reason: impl fmt::Display) -> ProfileError {
        self.error_on(self.lines.get(variable).copied(), &format!("{variable}: {reason}"))
    }

    fn error_on(&self, line: Option<u32>, reason: &str) -> ProfileError {
        ProfileError(match line {
            Some(line) => format!("{}:{line}: {reason}", self.name),
            None => format!("{}: {reason}", self.name),
        })
    }
}
