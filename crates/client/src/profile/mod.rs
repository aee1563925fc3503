//! Profiles: which hosts a context has, how it secures its connections, and all else that may be set.
//!
//! A profile begins with the defaults and takes variables from a text or one by one. What it says is
//! checked here as far as that needs no network; the C side makes a context of it.
#![forbid(unsafe_code)]

mod grammar;
mod tls;
mod variables;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_int};
use std::fmt;

use openssl::ssl::SslVersion;

/// Why there is no context: which variable is wrong, where, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How requests are told from one another: what Droplet's own code does beyond connecting. It is kept for
/// those who look it up, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: &'static CStr,
    /// Whether it has hosts.
    pub needs_host: bool,
    /// What `preserve_root_path` becomes when it is chosen, if it changes.
    preserve_root_path: bool,
}

/// The backends that exist.
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

/// What a profile says; fields are named as in `dpl_ctx_t`.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Profile {
    /// What messages call it: a file, or what else it came from.
    name: String,
    /// Where a variable was set last.
    lines: BTreeMap<&'static str, u32>,
    /// What is odd, to be logged.
    pub warnings: Vec<String>,

    pub conn_timeout: c_int,
    pub read_timeout: c_int,
    pub write_timeout: c_int,
    pub use_https: bool,
    pub hosts: Option<HostList>,
    pub blacklist_expiretime: c_int,
    pub base_path: CString,
    pub access_key: Option<CString>,
    pub secret_key: Option<CString>,
    pub aws_auth_sign_version: u8,
    pub aws_region: CString,
    pub ssl_cert_file: Option<CString>,
    pub ssl_key_file: Option<CString>,
    pub ssl_password: Option<CString>,
    pub ssl_ca_list: Option<CString>,
    pub ssl_crl_list: Option<CString>,
    pub cert_verif: bool,
    ssl_method: Option<SslVersion>,
    pub ssl_cipher_list: CString,
    pub ssl_comp: bool,
    pub pricing: Option<CString>,
    pub read_buf_size: u32,
    pub encrypt_key: Option<CString>,
    pub encode_slashes: bool,
    pub empty_folder_emulation: bool,
    pub keep_alive: bool,
    pub url_encoding: bool,
    pub preserve_root_path: bool,
    pub enterprise_number: u32,
    pub backend: Backend,
    pub header_size: c_int,
    pub droplet_dir: CString,
    pub profile_name: CString,
    pub pricing_dir: Option<CString>,
}

/// The `host` variable.
#[derive(Debug, PartialEq, Eq)]
pub struct HostList {
    /// The port of hosts that name none.
    pub default_port: &'static CStr,
    /// The hosts, as written.
    pub text: String,
}

impl Profile {
    /// The defaults. `name` is for messages; what is relative to the droplet directory is to `droplet_dir`.
    pub fn new(name: String, droplet_dir: CString, profile_name: CString) -> Profile {
        Profile {
            name,
            lines: BTreeMap::new(),
            warnings: Vec::new(),
            conn_timeout: 5,
            read_timeout: 30,
            write_timeout: 30,
            use_https: false,
            hosts: None,
            blacklist_expiretime: 10,
            base_path: c"/".to_owned(),
            access_key: None,
            secret_key: None,
            aws_auth_sign_version: 4,
            aws_region: c"us-east-1".to_owned(),
            ssl_cert_file: None,
            ssl_key_file: None,
            ssl_password: None,
            ssl_ca_list: None,
            ssl_crl_list: None,
            cert_verif: true,
            ssl_method: None,
            ssl_cipher_list: c"ALL:-aNULL:!LOW:!MEDIUM:!RC2:!3DES:!MD5:!DSS:!SEED:!RC4:@STRENGTH".to_owned(),
            ssl_comp: false,
            pricing: None,
            read_buf_size: 8192,
            encrypt_key: None,
            encode_slashes: false,
            empty_folder_emulation: false,
            keep_alive: true,
            url_encoding: true,
            preserve_root_path: false,
            enterprise_number: 37489,
            backend: BACKENDS[0],
            header_size: 8192,
            droplet_dir,
            profile_name,
            pricing_dir: None,
        }
    }

    /// Takes the variables that a text sets, then looks at the whole.
    pub fn read(&mut self, text: &[u8]) -> Result<(), Fault> {
        for statement in grammar::statements(text) {
            let statement =
                statement.map_err(|malformed| self.fault_on(Some(malformed.line), &malformed.fault))?;
            self.take(&statement.name, &statement.value, Some(statement.line))?;
        }
        self.check()
    }

    /// Takes variables that came one by one, in whatever order, then looks at the whole.
    pub fn set_all<'a>(
        &mut self,
        variables: impl Iterator<Item = (&'a CStr, &'a [u8])>,
    ) -> Result<(), Fault> {
        let mut variables: Vec<_> = variables.collect();
        // The default port of `host` depends on `use_https`, which is therefore taken first.
        variables.sort_by_key(|(name, _)| (*name != c"use_https", *name));
        for (name, value) in variables {
            self.take(name.to_bytes(), value, None)?;
        }
        self.check()
    }

    /// What the profile says as a whole.
    fn check(&mut self) -> Result<(), Fault> {
        if self.hosts.is_none() && self.backend.needs_host {
            return Err(self.fault_on(self.lines.get("host").copied(), "no host is set"));
        }
        let is_set = |variable: &Option<CString>| variable.as_ref().is_some_and(|text| !text.is_empty());
        if is_set(&self.pricing) || is_set(&self.pricing_dir) {
            let text = "pricing and pricing_dir have no effect: prices are not reckoned, events not logged";
            self.warnings.push(self.fault_on(None, text).0);
        }
        Ok(())
    }

    /// A fault in what a variable was set to.
    pub fn fault_in(&self, variable: &'static str, fault: impl fmt::Display) -> Fault {
        self.fault_on(self.lines.get(variable).copied(), &format!("{variable}: {fault}"))
    }

    fn fault_on(&self, line: Option<u32>, fault: &str) -> Fault {
        Fault(match line {
            Some(line) => format!("{}:{line}: {fault}", self.name),
            None => format!("{}: {fault}", self.name),
        })
    }
}
