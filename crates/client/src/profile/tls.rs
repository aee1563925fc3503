//! The OpenSSL context of a profile: certificate, authorities, ciphers and verification of its TLS connections.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::fs;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    SslContext, SslContextBuilder, SslFiletype, SslMethod, SslOptions, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509Lookup;
use openssl::x509::verify::X509VerifyFlags;

use super::{Profile, ProfileError};
use crate::os::libssl::with_own_errors;
use crate::os::sys;

/// The first version of OpenSSL that refuses TLS 1.0 and 1.1 unless the security level is 0.
const OPENSSL_3: i64 = 0x3000_0000;

impl Profile {
    /// Makes the OpenSSL context. `None` if the profile does not use TLS.
    pub fn tls_context(&self) -> Result<Option<SslContext>, ProfileError> {
        if !self.use_https {
            return Ok(None);
        }
        with_own_errors(|| self.build()).map(Some)
    }

    fn build(&self) -> Result<SslContext, ProfileError> {
        let mut builder = SslContextBuilder::new(SslMethod::tls())
            .map_err(|errors| self.error_in("use_https", reason(&errors)))?;
        self.set_ciphers(&mut builder)?;
        self.set_certificate(&mut builder)?;
        self.set_authorities(&mut builder)?;
        builder.set_verify(if self.cert_verif { SslVerifyMode::PEER } else { SslVerifyMode::NONE });
        if !self.ssl_comp {
            builder.set_options(SslOptions::NO_COMPRESSION);
        }
        let context = builder.build();
        self.check_method(&context)?;
        Ok(context)
    }

    fn set_ciphers(&self, builder: &mut SslContextBuilder) -> Result<(), ProfileError> {
        let error = |errors: ErrorStack| self.error_in("ssl_cipher_list", reason(&errors));
        let list = self.utf8("ssl_cipher_list", &self.ssl_cipher_list)?;
        builder.set_cipher_list(list).map_err(error)?;
        if self.ssl_method.is_some() {
            let error = |errors: ErrorStack| self.error_in("ssl_method", reason(&errors));
            builder.set_min_proto_version(self.ssl_method).map_err(error)?;
            builder.set_max_proto_version(self.ssl_method).map_err(error)?;
        }
        Ok(())
    }

    /// Refuses a version that each handshake would fail with.
    fn check_method(&self, context: &SslContext) -> Result<(), ProfileError> {
        let is_old = matches!(self.ssl_method, Some(SslVersion::TLS1 | SslVersion::TLS1_1));
        if is_old && openssl::version::number() >= OPENSSL_3 && context.security_level() > 0 {
            let library = openssl::version::version();
            let text = format!("{library} speaks TLS 1.0 and 1.1 only with @SECLEVEL=0 in ssl_cipher_list");
            return Err(self.error_in("ssl_method", text));
        }
        Ok(())
    }

    fn set_certificate(&self, builder: &mut SslContextBuilder) -> Result<(), ProfileError> {
        if let Some(file) = &self.ssl_cert_file {
            self.with_file("ssl_cert_file", file, |path, _| builder.set_certificate_chain_file(path))?;
        }
        if let Some(text) = &self.ssl_cert_pem {
            let mut chain = self.certificates("ssl_cert_pem", text)?.into_iter();
            let set = chain.next().map_or(Ok(()), |own| builder.set_certificate(&own));
            set.and_then(|()| chain.try_for_each(|other| builder.add_extra_chain_cert(other)))
                .map_err(|errors| self.error_in("ssl_cert_pem", reason(&errors)))?;
        }
        let (variable, set) = match (&self.ssl_key_file, &self.ssl_key_pem) {
            (Some(file), _) => ("ssl_key_file", self.set_key_of_file(builder, file)),
            (None, Some(text)) => ("ssl_key_pem", self.set_key_of_text(builder, text)),
            (None, None) => return Ok(()),
        };
        set?;
        if self.ssl_cert_file.is_some() || self.ssl_cert_pem.is_some() {
            builder.check_private_key().map_err(|errors| self.error_in(variable, reason(&errors)))?;
        }
        Ok(())
    }

    fn set_key_of_file(&self, builder: &mut SslContextBuilder, file: &CStr) -> Result<(), ProfileError> {
        let mut lacks_password = false;
        let set = self.with_file("ssl_key_file", file, |_, text| {
            builder.set_private_key(&*self.key(text, &mut lacks_password)?)
        });
        set.map_err(|error| self.password_error("ssl_key_file", lacks_password).unwrap_or(error))
    }

    fn set_key_of_text(&self, builder: &mut SslContextBuilder, text: &CStr) -> Result<(), ProfileError> {
        let mut lacks_password = false;
        let key = self.key(text.to_bytes(), &mut lacks_password);
        let set = key.and_then(|key| builder.set_private_key(&key));
        set.map_err(|errors| {
            let error = self.password_error("ssl_key_pem", lacks_password);
            error.unwrap_or_else(|| self.error_in("ssl_key_pem", reason(&errors)))
        })
    }

    /// Reads a key. Sets `lacks_password` if it is encrypted, and there is no password that OpenSSL takes.
    fn key(&self, text: &[u8], lacks_password: &mut bool) -> Result<PKey<Private>, ErrorStack> {
        let password = self.ssl_password.as_ref().map(|password| password.to_bytes());
        // OpenSSL calls this only if the key is encrypted. Without a callback it would ask at the terminal.
        PKey::private_key_from_pem_callback(text, |buffer| {
            let password = password.filter(|password| password.len() <= buffer.len());
            *lacks_password = password.is_none();
            let password = password.ok_or_else(ErrorStack::get)?;
            buffer[..password.len()].copy_from_slice(password);
            Ok(password.len())
        })
    }

    /// Returns the error of a key that lacks a password.
    fn password_error(&self, variable: &'static str, lacks_password: bool) -> Option<ProfileError> {
        lacks_password.then(|| match self.ssl_password {
            None => self.error_in(variable, "the key is encrypted, and ssl_password is not set"),
            Some(_) => self.error_in("ssl_password", "longer than OpenSSL takes"),
        })
    }

    /// Reads certificates, at least one.
    fn certificates(&self, variable: &'static str, text: &CStr) -> Result<Vec<X509>, ProfileError> {
        let certificates = X509::stack_from_pem(text.to_bytes())
            .map_err(|errors| self.error_in(variable, reason(&errors)))?;
        if certificates.is_empty() {
            Err(self.error_in(variable, "no certificate"))
        } else {
            Ok(certificates)
        }
    }

    fn set_authorities(&self, builder: &mut SslContextBuilder) -> Result<(), ProfileError> {
        match (&self.ssl_ca_list, &self.ssl_ca_pem) {
            (Some(file), _) => self.with_file("ssl_ca_list", file, |path, _| builder.set_ca_file(path))?,
            (None, Some(text)) => {
                let store = builder.cert_store_mut();
                let mut all = self.certificates("ssl_ca_pem", text)?.into_iter();
                all.try_for_each(|authority| store.add_cert(authority))
                    .map_err(|errors| self.error_in("ssl_ca_pem", reason(&errors)))?;
            }
            (None, None) => builder
                .set_default_verify_paths()
                .map_err(|errors| self.error_in("ssl_ca_list", reason(&errors)))?,
        }
        if let Some(file) = &self.ssl_crl_list {
            self.with_file("ssl_crl_list", file, |path, _| {
                let store = builder.cert_store_mut();
                store.add_lookup(X509Lookup::file())?.load_crl_file(path, SslFiletype::PEM)?;
                store.set_flags(X509VerifyFlags::CRL_CHECK)
            })?;
        }
        Ok(())
    }

    /// Calls `use_it` with the path and the content of a file that a variable names. A file that cannot be read or used
    /// is an error of that variable.
    fn with_file(
        &self,
        variable: &'static str,
        file: &CStr,
        use_it: impl FnOnce(&Path, &[u8]) -> Result<(), ErrorStack>,
    ) -> Result<(), ProfileError> {
        let path = self.utf8(variable, file)?;
        let text = fs::read(path)
            .map_err(|error| self.error_in(variable, format!("{path}: {}", sys::error_text(&error))))?;
        use_it(Path::new(path), &text)
            .map_err(|errors| self.error_in(variable, format!("{path}: {}", reason(&errors))))
    }

    fn utf8<'a>(&self, variable: &'static str, text: &'a CStr) -> Result<&'a str, ProfileError> {
        text.to_str().map_err(|_| self.error_in(variable, "not written in UTF-8"))
    }
}

/// Returns the first reason of OpenSSL's that has a text.
fn reason(errors: &ErrorStack) -> &'static str {
    errors.errors().first().and_then(|error| error.reason()).unwrap_or("unusable")
}
