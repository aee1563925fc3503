//! Certificates and keys that are given as text.

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::X509;

use super::*;

fn profile() -> Profile {
    Profile::new("test.profile".to_owned(), c".".to_owned(), c"test".to_owned())
}

/// Returns a key and a certificate for it, as PEM.
fn identity(key: &PKey<Private>) -> (String, String) {
    let mut own = X509::builder().expect("a certificate");
    let made = own
        .set_pubkey(key)
        .and_then(|()| own.set_not_before(&*Asn1Time::days_from_now(0)?))
        .and_then(|()| own.set_not_after(&*Asn1Time::days_from_now(1)?))
        .and_then(|()| own.sign(key, MessageDigest::sha256()));
    made.expect("a certificate");
    let text = |pem: Vec<u8>| String::from_utf8(pem).expect("text");
    let key = key.private_key_to_pem_pkcs8().expect("a key");
    (text(key), text(own.build().to_pem().expect("a certificate")))
}

#[test]
fn certificate_and_key_may_be_given_as_text() {
    let new_key = || PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let (own, other) = (new_key(), new_key());
    let (key, certificate) = identity(&own);
    let (other_key, _) = identity(&other);
    let tls = |text: &str| {
        let mut profile = profile();
        let read = profile.read(format!("use_https=true\nhost=a\n{text}").as_bytes());
        read.and_then(|()| profile.tls_context()).map(|_| ()).map_err(|error| error.to_string())
    };
    let text =
        |certificate: &str, key: &str| format!("ssl_cert_pem = \"{certificate}\"; ssl_key_pem = \"{key}\"");
    assert_eq!(tls(&text(&certificate, &key)), Ok(()));
    assert_eq!(tls(&text(&certificate.replace('\n', "\\n"), &key)), Ok(()), "with escapes");
    assert_eq!(tls(&text(&[&*certificate, &*certificate].concat(), &key)), Ok(()), "a chain");
    let end = certificate.matches('\n').count() + 3;
    let of_other = tls(&text(&certificate, &other_key));
    assert_eq!(of_other, Err(format!("test.profile:{end}: ssl_key_pem: key values mismatch")));
    assert_eq!(
        tls("ssl_cert_pem = \"nothing\""),
        Err("test.profile:3: ssl_cert_pem: no certificate".to_owned())
    );
    assert!(
        tls("ssl_key_pem = nothing").is_err_and(|error| error.starts_with("test.profile:3: ssl_key_pem: "))
    );
    for file in ["ssl_cert_file", "ssl_key_file"] {
        let error = tls(&format!("{}\n{file} = /no/file", text(&certificate, &key))).expect_err("both");
        assert!(error.ends_with(&format!("_pem: {file} is set as well")), "{error}");
    }
    let cipher = Cipher::aes_128_cbc();
    let locked = own.private_key_to_pem_pkcs8_passphrase(cipher, b"open").expect("a key");
    let locked = String::from_utf8(locked).expect("text");
    assert_eq!(tls(&format!("{}\nssl_password = open", text(&certificate, &locked))), Ok(()));
    let error = tls(&text(&certificate, &locked)).expect_err("no password");
    assert!(error.ends_with("ssl_key_pem: the key is encrypted, and ssl_password is not set"), "{error}");
}
