//! The head of a request, made by C's functions, against a model of its text.

use std::str;

use arbitrary::{Arbitrary, Unstructured};
use libc::{c_int, c_uint};

use crate::c::{self, Dict};

/// A request. Texts end at their first NUL.
#[derive(Arbitrary, Debug)]
struct Input {
    method: i8,
    encodes: bool,
    encodes_slashes: bool,
    resource: Option<Vec<u8>>,
    subresource: Option<Vec<u8>>,
    added_subresource: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    port: Option<Vec<u8>>,
    range: Option<(u64, u64)>,
    keys: Option<([u8; 4], Vec<u8>)>,
    query: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    /// The number of bytes that the buffer is too small by.
    lacks: u8,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

const METHODS: [&str; 5] = ["GET", "PUT", "DELETE", "HEAD", "POST"];

/// Checks the properties on these bytes.
pub fn check(bytes: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    c::be_quiet();
    let profile = format!(
        "host = 127.0.0.1:1\nurl_encoding = {}\nencode_slashes = {}\n{}",
        input.encodes,
        input.encodes_slashes,
        input.keys.as_ref().map_or(String::new(), |(access, secret)| {
            let plain = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
            let secret = &secret[..secret.len().min(100)];
            format!("access_key = {}\nsecret_key = x{}\n", plain(access), plain(secret))
        })
    );
    // SAFETY: all pointers are what the functions want, and are freed once.
    unsafe {
        let context = c::dplx_ctx_new(c::c_string(profile.as_bytes()).as_ptr());
        assert!(!context.is_null(), "{profile}");
        let request = c::dpl_req_new(context);
        let mut subresource = input.subresource.as_deref().map(text).map(<[u8]>::to_vec);
        set(request, input.resource.as_deref(), c::dpl_req_set_resource);
        set(request, input.subresource.as_deref(), c::dpl_req_set_subresource);
        if let Some(added) = &input.added_subresource {
            set(request, Some(added), c::dpl_req_add_subresource);
            subresource = Some(match subresource {
                Some(present) => [&present, &b";"[..], text(added)].concat(),
                None => text(added).to_vec(),
            });
        }
        set(request, input.host.as_deref(), c::dpl_req_set_host);
        set(request, input.port.as_deref(), c::dpl_req_set_port);
        c::dpl_req_set_method(request, input.method.into());
        let fields = c::dpl_dict_new(3);
        for (name, value) in &input.fields {
            add(fields, name, value);
        }
        add_made_fields(&input, request, fields);
        let query = input.query.as_ref().map(|query| {
            let made = c::dpl_dict_new(5);
            query.iter().for_each(|(name, value)| add(made, name, value));
            made
        });
        let query = query.unwrap_or(std::ptr::null_mut());
        let expected = model(&input, subresource.as_deref(), fields, query);
        check_text(&input, &expected, |buffer, size, length| {
            c::dpl_req_gen_http_request(context, request, fields, query, buffer, size, length)
        });
        if let Some(expected) = &expected {
            has_these_fields(expected, &c::texts(fields));
        }
        c::dpl_dict_free(query);
        c::dpl_dict_free(fields);
        c::dpl_req_free(request);
        c::dplx_ctx_free(context);
    }
}

/// Returns a text up to its first NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

unsafe fn set(
    request: *mut c::Request,
    bytes: Option<&[u8]>,
    function: unsafe extern "C" fn(*mut c::Request, *const libc::c_char) -> c_int,
) {
    if let Some(bytes) = bytes {
        // SAFETY: a request, and a string.
        assert_eq!(unsafe { function(request, c::c_string(bytes).as_ptr()) }, c::SUCCESS);
    }
}

unsafe fn add(dict: *mut Dict, name: &[u8], value: &[u8]) {
    let (name, value) = (c::c_string(name), c::c_string(value));
    // SAFETY: a dictionary and strings.
    assert_eq!(unsafe { c::dpl_dict_add(dict, name.as_ptr(), value.as_ptr(), 0) }, c::SUCCESS);
}

/// Adds the fields that the library makes, and checks their values.
unsafe fn add_made_fields(input: &Input, request: *mut c::Request, fields: *mut Dict) {
    // SAFETY: a request, a range, and a dictionary of strings.
    unsafe {
        let value = |name: &std::ffi::CStr| c::copied(c::dpl_dict_get_value(fields, name.as_ptr()));
        let before = value(c"Host");
        assert_eq!(c::dpl_add_host_to_headers(request, fields), c::SUCCESS);
        match &input.host {
            None => assert_eq!(value(c"Host"), before),
            Some(host) => {
                let (host, port) = (text(host), input.port.as_deref().map(text));
                let mut expected = host.to_vec();
                if host.contains(&b':') && host.first() != Some(&b'[') {
                    expected = [b"[", host, b"]"].concat();
                }
                if let Some(port) = port.filter(|port| *port != b"80") {
                    expected = [&expected, &b":"[..], port].concat();
                }
                assert_eq!(value(c"Host"), Some(expected));
            }
        }
        if let Some((start, end)) = input.range {
            let status = c::dpl_add_range_to_headers(&c::Range { start, end }, fields);
            let number = |number: u64| if number == u64::MAX { String::new() } else { number.to_string() };
            if start == u64::MAX && end == u64::MAX {
                assert_eq!(status, c::EINVAL);
            } else {
                let expected = format!("bytes={}-{}", number(start), number(end));
                assert_eq!((status, value(c"Range")), (c::SUCCESS, Some(expected.into_bytes())));
            }
        }
        let before = value(c"Authorization");
        assert_eq!(c::dpl_add_basic_authorization_to_headers(request, fields), c::SUCCESS);
        let after = value(c"Authorization");
        match &input.keys {
            None => assert_eq!(after, before),
            Some(_) => {
                let encoded = after.expect("a value");
                let encoded = encoded.strip_prefix(b"Basic ").expect("the scheme");
                let plain = openssl::base64::decode_block(str::from_utf8(encoded).expect("letters"));
                assert!(plain.is_ok_and(|plain| plain.windows(2).any(|pair| pair == b":x")));
            }
        }
    }
}

/// Returns the text that should come out. `None` if the request is to be refused.
unsafe fn model(
    input: &Input,
    subresource: Option<&[u8]>,
    fields: *mut Dict,
    query: *mut Dict,
) -> Option<Vec<u8>> {
    let method = METHODS.get(usize::try_from(input.method).ok()?)?;
    let mut target = Vec::new();
    if let Some(resource) = &input.resource {
        let resource = text(resource);
        // Below the base path `/`, the resource `/` is the base path itself.
        let resource = if resource == b"/" { b"" } else { resource };
        target.push(b'/');
        for byte in resource.strip_prefix(b"/").unwrap_or(resource) {
            let is_plain = byte.is_ascii_alphanumeric()
                || b"-._".contains(byte)
                || !input.encodes
                || (*byte == b'/' && !input.encodes_slashes);
            if is_plain {
                target.push(*byte);
            } else {
                target.extend(format!("%{byte:02X}").bytes());
            }
        }
    }
    let mut parts: Vec<Vec<u8>> = subresource.map(<[u8]>::to_vec).into_iter().collect();
    // SAFETY: NULL or dictionaries of strings.
    let (query_texts, fields) = unsafe { (c::texts(query), c::texts(fields)) };
    parts.extend(query_texts.iter().map(|(name, value)| [name, &b"="[..], value].concat()));
    if subresource.is_some() || !query.is_null() {
        target.push(b'?');
    }
    target.extend(parts.join(&b'&'));
    let mut lines = vec![[method.as_bytes(), b" ", &target, b" HTTP/1.1"].concat()];
    lines.extend(fields.iter().map(|(name, value)| [name, &b": "[..], value].concat()));
    let is_bad = |line: &Vec<u8>| line.contains(&b'\r') || line.contains(&b'\n');
    if lines.iter().any(is_bad) || fields.iter().any(|(name, _)| name.is_empty()) {
        return None;
    }
    Some(lines.into_iter().flat_map(|line| [line, b"\r\n".to_vec()].concat()).collect())
}

/// Checks the text in a buffer of exactly its size, and in one that is too small.
fn check_text(
    input: &Input,
    expected: &Option<Vec<u8>>,
    write: impl Fn(*mut libc::c_char, c_int, *mut c_uint) -> c_int,
) {
    let room = expected.as_ref().map_or(1000, Vec::len);
    let mut buffer = vec![0xAA_u8; room].into_boxed_slice();
    let mut length: c_uint = 7;
    let status = write(buffer.as_mut_ptr().cast(), room as c_int, &raw mut length);
    let Some(expected) = expected else {
        assert_eq!((status, length), (c::EINVAL, 7));
        assert!(buffer.iter().all(|byte| *byte == 0xAA), "a refused request leaves nothing behind");
        return;
    };
    assert_eq!((status, length as usize), (c::SUCCESS, expected.len()));
    assert_eq!(String::from_utf8_lossy(&buffer), String::from_utf8_lossy(expected));
    let room = expected.len().saturating_sub(usize::from(input.lacks).max(1));
    let mut buffer = vec![0xAA_u8; room].into_boxed_slice();
    let mut length: c_uint = 7;
    let status = write(buffer.as_mut_ptr().cast(), room as c_int, &raw mut length);
    assert_eq!((status, length), (c::FAILURE, 7));
}

/// Checks that a server finds these fields and no others, if their names and values are ones that HTTP allows.
fn has_these_fields(head: &[u8], fields: &[(Vec<u8>, Vec<u8>)]) {
    let lines = head.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, fields.len() + 1);
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    let is_plain = fields.iter().all(|(name, value)| name.iter().all(is_token) && value.iter().all(is_text));
    let text = [head, b"\r\n"].concat();
    let mut found = vec![httparse::EMPTY_HEADER; fields.len() + 1];
    let mut parsed = httparse::Request::new(&mut found);
    if !is_plain || !parsed.parse(&text).is_ok_and(|it| it.is_complete()) {
        // A target that is not encoded may have blanks.
        return;
    }
    let found: Vec<_> =
        parsed.headers.iter().map(|it| (it.name.as_bytes().to_vec(), it.value.to_vec())).collect();
    let trimmed: Vec<_> =
        fields.iter().map(|(name, value)| (name.clone(), value.trim_ascii().to_vec())).collect();
    assert_eq!(found, trimmed);
}
