//! What TLS connections of a profile have in common: an OpenSSL context with certificate, authorities,
//! ciphers and verification as the profile says.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::fs;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    SslContext, SslContextBuilder, SslFiletype, SslMethod, SslOptions, SslVerifyMode, SslVersion,
};
use openssl::x509::store::X509Lookup;
use openssl::x509::verify::X509VerifyFlags;

use super::{Fault, Profile};
use crate::os::libssl::with_own_errors;
use crate::os::sys;

/// From this one on OpenSSL refuses TLS 1.0 and 1.1 unless the security level is 0.
const OPENSSL_3: i64 = 0x3000_0000;

impl Profile {
    /// The OpenSSL context; nothing if connections are not to be secured.
    pub fn tls_context(&self) -> Result<Option<SslContext>, Fault> {
        if !self.use_https {
            return Ok(None);
        }
        with_own_errors(|| self.build()).map(Some)
    }

    fn build(&self) -> Result<SslContext, Fault> {
        let mut builder = SslContextBuilder::new(SslMethod::tls())
            .map_err(|errors| self.fault_in("use_https", reason(&errors)))?;
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

    fn set_ciphers(&self, builder: &mut SslContextBuilder) -> Result<(), Fault> {
        let fault = |errors: ErrorStack| self.fault_in("ssl_cipher_list", reason(&errors));
        let list = self.utf8("ssl_cipher_list", &self.ssl_cipher_list)?;
        builder.set_cipher_list(list).map_err(fault)?;
        if self.ssl_method.is_some() {
            let fault = |errors: ErrorStack| self.fault_in("ssl_method", reason(&errors));
            builder.set_min_proto_version(self.ssl_method).map_err(fault)?;
            builder.set_max_proto_version(self.ssl_method).map_err(fault)?;
        }
        Ok(())
    }

    /// Better no context than one of which each handshake fails.
    fn check_method(&self, context: &SslContext) -> Result<(), Fault> {
        let is_old = matches!(self.ssl_method, Some(SslVersion::TLS1 | SslVersion::TLS1_1));
        if is_old && openssl::version::number() >= OPENSSL_3 && context.security_level() > 0 {
            let library = openssl::version::version();
            let text = format!("{library} speaks TLS 1.0 and 1.1 only with @SECLEVEL=0 in ssl_cipher_list");
            return Err(self.fault_in("ssl_method", text));
        }
        Ok(())
    }

    fn set_certificate(&self, builder: &mut SslContextBuilder) -> Result<(), Fault> {
        if let Some(file) = &self.ssl_cert_file {
            self.with_file("ssl_cert_file", file, |path, _| builder.set_certificate_chain_file(path))?;
        }
        if let Some(file) = &self.ssl_key_file {
            self.set_key(builder, file)?;
            if self.ssl_cert_file.is_some() {
                let fault = |errors| self.fault_in("ssl_key_file", reason(&errors));
                builder.check_private_key().map_err(fault)?;
            }
        }
        Ok(())
    }

    fn set_key(&self, builder: &mut SslContextBuilder, file: &CStr) -> Result<(), Fault> {
        let password = self.ssl_password.as_ref().map(|password| password.to_bytes());
        let mut lacks_password = false;
        let set = self.with_file("ssl_key_file", file, |_, text| {
            // Asked only if the key is encrypted; without a callback OpenSSL would ask at the terminal.
            let key = PKey::private_key_from_pem_callback(text, |buffer| {
                let password = password.filter(|password| password.len() <= buffer.len());
                lacks_password = password.is_none();
                let password = password.ok_or_else(ErrorStack::get)?;
                buffer[..password.len()].copy_from_slice(password);
                Ok(password.len())
            })?;
            builder.set_private_key(&key)
        });
        set.map_err(|fault| match (lacks_password, password) {
            (true, None) => {
                self.fault_in("ssl_key_file", "the key is encrypted, and ssl_password is not set")
            }
            (true, Some(_)) => self.fault_in("ssl_password", "longer than OpenSSL takes"),
            (false, _) => fault,
        })
    }

    fn set_authorities(&self, builder: &mut SslContextBuilder) -> Result<(), Fault> {
        match &self.ssl_ca_list {
            Some(file) => self.with_file("ssl_ca_list", file, |path, _| builder.set_ca_file(path))?,
            None => builder
                .set_default_verify_paths()
                .map_err(|errors| self.fault_in("ssl_ca_list", reason(&errors)))?,
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

    /// Has a file used that a variable names; that it cannot be read, or not be used, is told of.
    fn with_file(
        &self,
        variable: &'static str,
        file: &CStr,
        use_it: impl FnOnce(&Path, &[u8]) -> Result<(), ErrorStack>,
    ) -> Result<(), Fault> {
        let path = self.utf8(variable, file)?;
        let text = fs::read(path)
            .map_err(|error| self.fault_in(variable, format!("{path}: {}", sys::error_text(&error))))?;
        use_it(Path::new(path), &text)
            .map_err(|errors| self.fault_in(variable, format!("{path}: {}", reason(&errors))))
    }

    fn utf8<'a>(&self, variable: &'static str, text: &'a CStr) -> Result<&'a str, Fault> {
        text.to_str().map_err(|_| self.fault_in(variable, "not written in UTF-8"))
    }
}

fn reason(errors: &ErrorStack) -> &'static str {
    errors.errors().first().and_then(|error| error.reason()).unwrap_or("unusable")
}
