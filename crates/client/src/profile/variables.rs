//! The table of variables. **Add a new variable to `variables!` below**: its entry makes a field of [`Values`], the default,
//! and the variable that sets the field. If C is to see the field, copy it in `src/abi/owned_context.rs` too.
#![forbid(unsafe_code)]

use std::ffi::{CString, c_int};

use openssl::ssl::SslVersion;

use super::value::RawValue;
use super::{BACKENDS, Backend, HostList, Profile, ProfileError, grammar};

/// A variable, and the function that sets its field.
pub(super) struct Variable {
    pub name: &'static str,
    set: SetField,
}

/// Reads a text and sets a field. It may leave a warning. The error is the reason of a [`ProfileError`].
type SetField = fn(&mut Profile, &[u8], &mut Option<String>) -> Result<(), String>;

/// Makes [`Values`] and [`VARIABLES`] of the table.
macro_rules! variables {
    ($($(#[$meaning:meta])* $variable:ident => $field:ident: $type:ty = $default:expr, $read:path;)*) => {
        /// The values of the variables. The fields are named as in `dpl_ctx_t`.
        #[derive(Debug)]
        pub struct Values {
            $($(#[$meaning])* pub $field: $type,)*
        }

        impl Default for Values {
            fn default() -> Values {
                Values { $($field: $default,)* }
            }
        }

        /// The variables that set a field of [`Values`].
        pub(super) static VARIABLES: &[Variable] = &[
            $(Variable {
                name: stringify!($variable),
                set: |profile, text, warning| {
                    let value = $read(&mut RawValue { text, profile: &*profile, warning })?;
                    profile.values.$field = value;
                    Ok(())
                },
            },)*
        ];
    };
}

// An entry: the meaning; variable => field: type = default, the function of `value.rs` that reads the text.
variables! {
    // ---- hosts and connections ----
    /// Hosts to connect to, with their ports.
    host => hosts: Option<HostList> = None, RawValue::hosts;
    /// Seconds that a connect may take, with its TLS handshake.
    connection_timeout => conn_timeout: c_int = 5, RawValue::number;
    /// Seconds that a read waits for bytes.
    read_timeout => read_timeout: c_int = 30, RawValue::number;
    /// Seconds that a write waits for room.
    write_timeout => write_timeout: c_int = 30, RawValue::number;
    /// Seconds that a host stays blacklisted.
    blacklist_expiretime => blacklist_expiretime: c_int = 10, RawValue::decimal;
    /// Size of the read buffer of a connection, in bytes.
    read_buf_size => read_buf_size: u32 = 8192, RawValue::read_buffer_size;
    /// Longest line in the head of a reply, in bytes.
    header_size => header_size: c_int = 8192, RawValue::number;
    /// True if connections serve more than one request.
    keep_alive => keep_alive: bool = true, RawValue::boolean;

    // ---- TLS ----
    /// True if connections use TLS.
    use_https => use_https: bool = false, RawValue::boolean;
    /// File with the client's certificate chain.
    ssl_cert_file => ssl_cert_file: Option<CString> = None, RawValue::some_path;
    /// File with the client's private key.
    ssl_key_file => ssl_key_file: Option<CString> = None, RawValue::some_path;
    /// The client's certificate chain itself, as PEM.
    ssl_cert_pem => ssl_cert_pem: Option<CString> = None, RawValue::some_text;
    /// The client's private key itself, as PEM.
    ssl_key_pem => ssl_key_pem: Option<CString> = None, RawValue::some_text;
    /// Password of the private key.
    ssl_password => ssl_password: Option<CString> = None, RawValue::some_text;
    /// File with the certificates of trusted authorities; the system's are trusted if there is none.
    ssl_ca_list => ssl_ca_list: Option<CString> = None, RawValue::some_text;
    /// The certificates of trusted authorities themselves, as PEM.
    ssl_ca_pem => ssl_ca_pem: Option<CString> = None, RawValue::some_text;
    /// File with revoked certificates.
    ssl_crl_list => ssl_crl_list: Option<CString> = None, RawValue::some_text;
    /// The only TLS version to speak; any if `None`.
    ssl_method => ssl_method: Option<SslVersion> = None, RawValue::tls_version;
    /// Ciphers, in OpenSSL's notation.
    ssl_cipher_list => ssl_cipher_list: CString =
        c"ALL:-aNULL:!LOW:!MEDIUM:!RC2:!3DES:!MD5:!DSS:!SEED:!RC4:@STRENGTH".to_owned(), RawValue::text;
    /// True if TLS may compress.
    ssl_comp => ssl_comp: bool = false, RawValue::boolean;
    /// True if the server's certificate is verified.
    cert_verif => cert_verif: bool = true, RawValue::boolean;

    // ---- requests: the code around the connection subsystem reads these in the context ----
    /// Path that all resources lie below.
    base_path => base_path: CString = c"/".to_owned(), RawValue::base_path;
    /// True if resources are percent-encoded.
    url_encoding => url_encoding: bool = true, RawValue::boolean;
    /// True if slashes are percent-encoded too.
    encode_slashes => encode_slashes: bool = false, RawValue::boolean;
    /// User name or access key.
    access_key => access_key: Option<CString> = None, RawValue::some_text;
    /// Password or secret key.
    secret_key => secret_key: Option<CString> = None, RawValue::some_text;
    /// Version of the AWS signature, 2 or 4.
    aws_auth_sign_version => aws_auth_sign_version: u8 = 4, RawValue::sign_version;
    /// AWS region of the signature.
    aws_region => aws_region: CString = c"us-east-1".to_owned(), RawValue::region;
    /// Kind of storage.
    backend => backend: Backend = BACKENDS[0], RawValue::backend;
    /// Key that Droplet's own code encrypts data with.
    encrypt_key => encrypt_key: Option<CString> = None, RawValue::some_text;
    /// True if Droplet's own code emulates empty folders.
    empty_folder_emulation => empty_folder_emulation: bool = false, RawValue::boolean;
    /// Enterprise number in object identifiers (CDMI).
    enterprise_number => enterprise_number: u32 = 37489, RawValue::number;
    /// File with prices. Has no effect.
    pricing => pricing: Option<CString> = None, RawValue::some_text;
    /// Folder for logs of priced events. Has no effect.
    pricing_dir => pricing_dir: Option<CString> = None, RawValue::some_text;
}

/// The variables that set nothing.
static WITHOUT_FIELD: [Variable; 3] = [
    Variable {
        name: "port",
        set: |_, _, warning| {
            *warning = Some("has no effect: ports stand in host, NAME:PORT".to_owned());
            Ok(())
        },
    },
    // The caller of Profile::new() has found out these two before the profile is read.
    Variable { name: "droplet_dir", set: |_, _, _| Ok(()) },
    Variable { name: "profile_name", set: |_, _, _| Ok(()) },
];

impl Profile {
    /// Sets one variable. `line` is the line of the profile file that sets it.
    pub(super) fn set(&mut self, name: &[u8], text: &[u8], line: Option<u32>) -> Result<(), ProfileError> {
        let mut all = VARIABLES.iter().chain(&WITHOUT_FIELD);
        let Some(variable) = all.find(|variable| variable.name.as_bytes() == name) else {
            // What stands for a name in a text may be a piece of a secret, such as a line of a key without quotes.
            return Err(match line {
                Some(_) => self.error_on(line, "no such variable"),
                None => self.error_on(line, &format!("no such variable: {}", grammar::show(name))),
            });
        };
        let mut warning = None;
        let outcome = (variable.set)(self, text, &mut warning);
        if let Some(warning) = warning {
            self.warnings.push(self.error_on(line, &format!("{}: {warning}", variable.name)).0);
        }
        outcome.map_err(|reason| self.error_on(line, &format!("{}: {reason}", variable.name)))?;
        if let Some(line) = line {
            self.lines.insert(variable.name, line);
        }
        // As in the original, a later backend does not take this back.
        self.preserve_root_path |= self.values.backend.preserve_root_path;
        Ok(())
    }
}
