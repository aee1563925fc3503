//! The text of a profile, in Rust and through C's functions. The bytes are the text.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::slice;

use droplet_client::profile::Profile;
use libc::{c_char, c_int};

use crate::c::{self, Context};

/// Greatest length of a name or a value.
const LONGEST: usize = 256;

/// Checks the properties on these bytes.
pub fn check(bytes: &[u8]) {
    c::be_quiet();
    let (statements, error) = parse(bytes);
    let mut profile = Profile::new("p".to_owned(), c".".to_owned(), c"".to_owned());
    let outcome = profile.read(bytes).map_err(|error| error.to_string());
    if let Err(text) = &outcome {
        is_message(text, bytes);
    }
    match error {
        Some(line) => {
            let text = outcome.as_ref().expect_err("an error of grammar");
            // An earlier statement may be wrong as well.
            let reported = line_of(text).expect("an error of grammar has a line");
            assert!(reported <= line, "{text}, not in line {line}");
        }
        None => is_as_one_by_one(&statements, &profile, outcome.as_ref().err()),
    }
    if !bytes.contains(&0) && needs_no_other_file(&profile) {
        // SAFETY: a string.
        let context = Made(unsafe { c::dplx_ctx_new(c::c_string(bytes).as_ptr()) }, c::dplx_ctx_free);
        check_context(&context, &profile, outcome.is_ok());
        check_dictionary(&statements, &profile, outcome.is_ok() && error.is_none());
    }
}

/// A context of C's, and the function that frees it.
struct Made(*mut Context, unsafe extern "C" fn(*mut Context));

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: NULL, or a context of the maker that the function belongs to.
        unsafe { self.1(self.0) };
    }
}

/// The statements of a text, and the line of an error of grammar.
type Parsed = (Vec<(Vec<u8>, Vec<u8>)>, Option<usize>);

/// Parses a text: an independent parser, which first finds what each byte means.
fn parse(text: &[u8]) -> Parsed {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Text(u8),
        Equals,
        End,
    }
    let mut marks = Vec::new();
    let (mut line, mut quote, mut error) = (1, None, None);
    let mut at = 0;
    while at < text.len() && error.is_none() {
        let (byte, next) = (text[at], text.get(at + 1).copied());
        at += 1;
        line += usize::from(byte == b'\n');
        match byte {
            0 => error = Some(line),
            b'\\' => {
                at += 1;
                line += usize::from(next == Some(b'\n'));
                match next {
                    None | Some(0) => error = Some(line),
                    Some(b'n') => marks.push((Mark::Text(b'\n'), line)),
                    Some(b'r') => marks.push((Mark::Text(b'\r'), line)),
                    Some(b't') => marks.push((Mark::Text(b'\t'), line)),
                    Some(byte) => marks.push((Mark::Text(byte), line)),
                }
            }
            b'"' => quote = if quote.is_some() { None } else { Some(line) },
            byte if quote.is_some() => marks.push((Mark::Text(byte), line)),
            b' ' | b'\t' => {}
            b'\r' if next.is_none_or(|next| next == b'\n') => {}
            b'#' => at += text[at..].iter().take_while(|byte| **byte != b'\n').count(),
            b'=' => marks.push((Mark::Equals, line)),
            b'\n' | b';' => marks.push((Mark::End, line)),
            byte => marks.push((Mark::Text(byte), line)),
        }
    }
    error = error.or(quote);
    let mut statements = Vec::new();
    let ends_early = error.is_some();
    let mut pieces = marks.split(|(mark, _)| *mark == Mark::End).peekable();
    while let Some(piece) = pieces.next() {
        // What an error cuts short is no statement.
        if piece.is_empty() || (ends_early && pieces.peek().is_none()) {
            continue;
        }
        let last_line = piece.last().map_or(1, |(_, line)| *line);
        let Some(place) = piece.iter().position(|(mark, _)| *mark == Mark::Equals) else {
            return (statements, Some(error.map_or(last_line, |line| line.max(last_line))));
        };
        let bytes = |marks: &[(Mark, usize)]| -> Vec<u8> {
            marks.iter().map(|(mark, _)| if let Mark::Text(byte) = mark { *byte } else { b'=' }).collect()
        };
        let (name, value) = (bytes(&piece[..place]), bytes(&piece[place + 1..]));
        let is_long = name.len() > LONGEST || (value.len() > LONGEST && !name.ends_with(b"_pem"));
        if name.is_empty() || is_long {
            return (statements, Some(error.map_or(last_line, |line| line.max(last_line))));
        }
        statements.push((name, value));
    }
    (statements, error)
}

/// Returns the line that a message names.
fn line_of(message: &str) -> Option<usize> {
    message.strip_prefix("p:")?.split_once(':')?.0.parse().ok()
}

/// Checks that a message names a line of the text, and is one line itself.
fn is_message(text: &str, profile: &[u8]) {
    assert!(text.starts_with("p:") && !text.contains(char::is_control), "{text:?}");
    let lines = 1 + profile.iter().filter(|byte| **byte == b'\n').count();
    assert!(line_of(text).is_none_or(|line| (1..=lines).contains(&line)), "{text} of {lines}");
}

/// Checks that the variables mean the same one by one.
fn is_as_one_by_one(statements: &[(Vec<u8>, Vec<u8>)], read: &Profile, error: Option<&String>) {
    // The default port depends on what stands before.
    let place = |name: &[u8]| statements.iter().position(|(other, _)| other == name);
    let last = |name: &[u8]| statements.iter().rposition(|(other, _)| other == name);
    if place(b"host").zip(last(b"use_https")).is_some_and(|(host, https)| host < https) {
        return;
    }
    let names: Vec<_> = statements.iter().map(|(name, _)| c::c_string(name)).collect();
    let values = statements.iter().map(|(_, value)| value.as_slice());
    let mut profile = Profile::new("p".to_owned(), c".".to_owned(), c"".to_owned());
    let outcome = profile.set_all(names.iter().map(CString::as_c_str).zip(values));
    assert_eq!(outcome.is_ok(), error.is_none(), "{outcome:?}, {error:?}");
    if outcome.is_ok() {
        assert_eq!(format!("{:?}", *profile), format!("{:?}", **read));
        assert_eq!(profile.preserve_root_path, read.preserve_root_path);
        assert_eq!(profile.warnings.len(), read.warnings.len());
    }
}

/// Returns whether a context can be made of it without a look-up, and without files but those of the system.
fn needs_no_other_file(profile: &Profile) -> bool {
    let files = [&profile.ssl_cert_file, &profile.ssl_key_file, &profile.ssl_ca_list, &profile.ssl_crl_list];
    let authorities = profile.hosts.as_ref().map_or(Ok(Vec::new()), |hosts| hosts.authorities(drop));
    files.iter().all(|file| file.is_none())
        && authorities.is_ok_and(|all| all.iter().all(|one| one.host.literal().is_some()))
}

/// Checks that there is a context if the profile is valid, with the values of the profile.
fn check_context(made: &Made, profile: &Profile, is_valid: bool) {
    let is_complete = is_valid && profile.tls_context().is_ok();
    // A list without a host is refused, unless the backend needs none.
    let has_hosts = profile
        .hosts
        .as_ref()
        .is_some_and(|hosts| hosts.authorities(drop).is_ok_and(|authorities| !authorities.is_empty()));
    let needs_host = profile.hosts.is_some() || profile.backend.needs_host;
    assert_eq!(!made.0.is_null(), is_complete && (has_hosts || !needs_host), "{}", last_error());
    if made.0.is_null() {
        return;
    }
    // SAFETY: a context that nobody else uses. Its texts are NULL or strings.
    unsafe {
        let context = &*made.0;
        let numbers = [
            (context.conn_timeout, profile.conn_timeout),
            (context.read_timeout, profile.read_timeout),
            (context.write_timeout, profile.write_timeout),
            (context.blacklist_expiretime, profile.blacklist_expiretime),
            (context.header_size, profile.header_size),
            (context.read_buf_size as c_int, profile.read_buf_size as c_int),
            (context.enterprise_number as c_int, profile.enterprise_number as c_int),
            (context.aws_auth_sign_version.into(), profile.aws_auth_sign_version.into()),
            (context.use_https, profile.use_https.into()),
            (context.cert_verif, profile.cert_verif.into()),
            (context.ssl_comp, profile.ssl_comp.into()),
            (context.keep_alive, profile.keep_alive.into()),
            (context.url_encoding, profile.url_encoding.into()),
            (context.encode_slashes, profile.encode_slashes.into()),
            (context.empty_folder_emulation, profile.empty_folder_emulation.into()),
            (context.preserve_root_path, profile.preserve_root_path.into()),
        ];
        for (at, (found, expected)) in numbers.into_iter().enumerate() {
            assert_eq!(found, expected, "number {at}");
        }
        let texts = [
            (context.base_path, Some(&profile.base_path)),
            (context.ssl_cipher_list, Some(&profile.ssl_cipher_list)),
            (context.access_key, profile.access_key.as_ref()),
            (context.secret_key, profile.secret_key.as_ref()),
            (context.ssl_password, profile.ssl_password.as_ref()),
            (context.encrypt_key, profile.encrypt_key.as_ref()),
            (context.pricing, profile.pricing.as_ref()),
            (context.pricing_dir, profile.pricing_dir.as_ref()),
        ];
        for (at, (found, expected)) in texts.into_iter().enumerate() {
            let found = (!found.is_null()).then(|| CStr::from_ptr(found));
            assert_eq!(found, expected.map(CString::as_c_str), "text {at}");
        }
        let region = &context.aws_region;
        let region = slice::from_raw_parts(region.as_ptr().cast::<u8>(), region.len());
        assert_eq!(CStr::from_bytes_until_nul(region).ok(), Some(profile.aws_region.as_c_str()));
        assert_eq!(CStr::from_ptr(*context.backend.cast::<*const c_char>()), profile.backend.name);
        assert_eq!(context.ssl_ctx.is_null(), !profile.use_https);
    }
}

/// Returns the text of the last error of C's functions.
fn last_error() -> String {
    // SAFETY: a string of this thread's.
    unsafe { CStr::from_ptr(c::dplx_last_error()) }.to_string_lossy().into_owned()
}

/// Checks that a dictionary with the same variables makes the same context.
fn check_dictionary(statements: &[(Vec<u8>, Vec<u8>)], profile: &Profile, is_valid: bool) {
    let names: BTreeSet<_> = statements.iter().map(|(name, _)| name).collect();
    let place = |name: &[u8]| statements.iter().position(|(other, _)| other == name);
    let depends_on_order = place(b"host").zip(place(b"use_https")).is_some_and(|(host, https)| host < https);
    if names.len() < statements.len() || depends_on_order || !is_valid {
        return;
    }
    // SAFETY: strings; the dictionary is freed once.
    unsafe {
        let dictionary = c::dpl_dict_new(7);
        for (name, value) in statements {
            let (name, value) = (c::c_string(name), c::c_string(value));
            assert_eq!(c::dpl_dict_add(dictionary, name.as_ptr(), value.as_ptr(), 0), c::SUCCESS);
        }
        c::dpl_dict_add(dictionary, c"droplet_dir".as_ptr(), c".".as_ptr(), 0);
        let context = Made(c::dpl_ctx_new_from_dict(dictionary), c::dpl_ctx_free);
        c::dpl_dict_free(dictionary);
        check_context(&context, profile, is_valid);
    }
}
