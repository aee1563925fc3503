//! Properties of any text: a valid profile is read as it was written, and an invalid one is refused with its line.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Profile;
use super::grammar::{LONGEST, Statement, statements};

/// A byte of a name or a value, and how it is written: 0 plain if possible, 1 escaped, 2 quoted.
type Written = (u8, u8);

fn strings(shortest: usize) -> impl Strategy<Value = Vec<Written>> {
    vec((1..=u8::MAX, 0..3u8), shortest..=LONGEST)
}

/// Blanks, or an empty text, which may stand between any two bytes.
fn blanks() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", " ", "\t", " \t ", "\"\""])
}

/// Text that may stand between statements.
fn ends() -> impl Strategy<Value = &'static str> {
    select(vec!["\n", ";", "\n\n", " ;; ", "# a = \"b\n", "#\n#;\n"])
}

fn write(to: &mut Vec<u8>, text: &[Written], blank: &str) {
    for (byte, way) in text {
        to.extend_from_slice(blank.as_bytes());
        let is_special = b" \t\r\n;#=\"\\".contains(byte);
        match (*byte, *way) {
            (b'\n', 1) => to.extend_from_slice(b"\\n"),
            (b'\r', 1) => to.extend_from_slice(b"\\r"),
            (b'\t', 1) => to.extend_from_slice(b"\\t"),
            // A backslash before one of these three means another byte.
            (b'n' | b'r' | b't', _) => to.push(*byte),
            (byte, 0) if !is_special => to.push(byte),
            (byte, 2) if !b"\"\\".contains(&byte) => to.extend_from_slice(&[b'"', byte, b'"']),
            (byte, _) => to.extend_from_slice(&[b'\\', byte]),
        }
    }
}

fn bytes(text: &[Written]) -> Vec<u8> {
    text.iter().map(|(byte, _)| *byte).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_profile_is_read_as_it_was_written(
        all in vec((strings(1), strings(0), blanks(), ends()), 0..8),
        beginning in ends(),
    ) {
        let mut text = beginning.as_bytes().to_vec();
        let mut expected = Vec::new();
        for (name, value, blank, end) in &all {
            write(&mut text, name, blank);
            text.extend_from_slice(b" =");
            write(&mut text, value, blank);
            text.extend_from_slice(end.as_bytes());
            expected.push((bytes(name), bytes(value)));
        }
        let read: Result<Vec<_>, _> =
            statements(&text).map(|it| it.map(|Statement { name, value, .. }| (name, value))).collect();
        prop_assert_eq!(read, Ok(expected));
    }

    #[test]
    fn any_text_is_statements_up_to_an_error(
        text in vec(prop_oneof![any::<u8>(), select(b"\n=;#\"\\ ab".to_vec())], 0..2000),
    ) {
        let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count() as u32;
        let mut line_before = 1;
        for statement in statements(&text) {
            let (line, is_sound) = match statement {
                Ok(it) => {
                    let lengths = [it.name.len(), it.value.len()];
                    let has_nul = it.name.contains(&0) || it.value.contains(&0);
                    (it.line, lengths[0] > 0 && lengths.iter().all(|length| *length <= LONGEST) && !has_nul)
                }
                Err(error) => (error.line, !error.reason.is_empty()),
            };
            prop_assert!(is_sound);
            prop_assert!((line_before..=lines).contains(&line), "line {line} of {line_before} to {lines}");
            line_before = line;
        }
    }

    #[test]
    fn any_value_is_accepted_or_refused_with_its_variable(
        variable in select(vec![
            "use_https", "host", "port", "blacklist_expiretime", "header_size", "base_path", "aws_region",
            "aws_auth_sign_version", "ssl_cert_file", "ssl_method", "read_buf_size", "backend", "read_timeout",
            "enterprise_number", "pricing", "droplet_dir",
        ]),
        value in vec(prop_oneof![1..=u8::MAX, select(b"0123456789xX-+aftru".to_vec())], 0..40),
    ) {
        let mut profile = Profile::new("p".to_owned(), c"/d".to_owned(), c"n".to_owned());
        if let Err(error) = profile.set(variable.as_bytes(), &value, Some(7)) {
            let text = error.to_string();
            prop_assert!(text.starts_with(&format!("p:7: {variable}: ")), "{text}");
            prop_assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}
