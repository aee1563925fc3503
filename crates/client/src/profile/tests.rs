//! Profiles as texts and dictionaries: what is accepted, and what each error says.

use openssl::ssl::SslVersion;

use super::grammar::{LONGEST, Statement, SyntaxError, statements};
use super::variables::VARIABLES;
use super::*;

fn profile() -> Profile {
    Profile::new("test.profile".to_owned(), c"/etc/droplet".to_owned(), c"test".to_owned())
}

/// Reads a text, to which a host is added.
fn read(text: &str) -> Profile {
    let mut profile = profile();
    profile.read(format!("{text}\nhost=127.0.0.1").as_bytes()).expect("a valid profile");
    profile
}

fn error(text: impl AsRef<[u8]>) -> String {
    profile().read(text.as_ref()).expect_err("an invalid profile").to_string()
}

/// Returns the names and values of a text.
fn pairs(text: &str) -> Vec<(String, String)> {
    let text_of = |bytes| String::from_utf8(bytes).expect("text");
    let all: Result<Vec<_>, _> = statements(text.as_bytes()).collect();
    all.expect("well-formed").into_iter().map(|it| (text_of(it.name), text_of(it.value))).collect()
}

fn pair(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

#[test]
fn statements_end_with_newline_or_semicolon() {
    let two = [pair("a", "1"), pair("b", "2")].concat();
    assert_eq!(pairs("a=1\nb=2\n"), two);
    assert_eq!(pairs("a=1;b=2"), two);
    assert_eq!(pairs("\n;;a=1;\n\nb=2"), two);
    assert_eq!(pairs(""), []);
    assert_eq!(pairs("a="), pair("a", ""));
}

#[test]
fn comments_blanks_quotes_and_escapes() {
    assert_eq!(pairs("# all = comment\na = 1 # two\n"), pair("a", "1"));
    assert_eq!(pairs(" a b\t=\t1 2 "), pair("ab", "12"));
    assert_eq!(pairs("a = \"1 2;#=\t\"3"), pair("a", "1 2;#=\t3"));
    assert_eq!(pairs("a = \"1\n2\""), pair("a", "1\n2"));
    assert_eq!(pairs("a = b=c"), pair("a", "b=c"));
    assert_eq!(pairs(r"a = \n\r\t\\\x\ \#\;\="), pair("a", "\n\r\t\\x #;="));
    assert_eq!(pairs(r#"a = "\"\n\\""#), pair("a", "\"\n\\"), "in quotes as well");
    assert_eq!(pairs("\\a\\=b = 1"), pair("a=b", "1"));
}

#[test]
fn carriage_returns_at_line_ends_are_dropped() {
    let two = [pair("a", "1"), pair("b", "2")].concat();
    assert_eq!(pairs("a=1\r\n# x\r\n\r\nb=2\r\n"), two);
    assert_eq!(pairs("a = \"1\"\t\r\nb=2\r"), two);
    assert_eq!(pairs("a=1\r2"), pair("a", "1\r2"));
    assert_eq!(pairs("a=\"1\r\n\""), pair("a", "1\r\n"));
    assert_eq!(read("use_https = true\r\nread_timeout = 7\r\n").read_timeout, 7);
}

/// As strtol(3) and atoi(3) read them.
#[test]
fn numbers_are_read_as_in_c() {
    for (text, number) in [
        ("16", 16),
        ("+16", 16),
        ("0x10", 16),
        ("+0x10", 16),
        ("-0x10", -16),
        ("0X1f", 31),
        ("010", 8),
        ("+010", 8),
        ("-010", -8),
        ("\" 12\"", 12),
        ("\"\\t+0x10\"", 16),
    ] {
        let profile = read(&format!("read_timeout = {text}"));
        assert_eq!(profile.read_timeout, number, "{text}");
        assert!(profile.warnings.is_empty(), "{text}");
    }
    assert_eq!(read("read_timeout = +0x").read_timeout, 0);
    assert_eq!(read("blacklist_expiretime = \" +010\"").blacklist_expiretime, 10);
    for text in ["+-5", "+", "- 5x", "x"] {
        assert!(error(format!("read_timeout = \"{text}\"")).ends_with("is no number"), "{text}");
    }
}

#[test]
fn a_statement_has_the_line_it_begins_on() {
    let lines = |text: &str| -> Vec<u32> {
        statements(text.as_bytes()).map(|it| it.expect("well-formed").line).collect()
    };
    assert_eq!(lines("a=1\n\n  b=2;c=3 # x\nd=\"\n\n\"\ne=1"), [1, 3, 3, 4, 7]);
}

#[test]
fn syntax_errors_have_their_line() {
    let malformed = |text: &[u8]| statements(text).find_map(Result::err).expect("malformed");
    let expect = |text: &str, line, reason: &str| {
        assert_eq!(malformed(text.as_bytes()), SyntaxError { line, reason: reason.to_owned() }, "{text:?}");
    };
    expect("a=1\nbc\n", 2, "a statement without =");
    expect("a=1\nbc", 2, "a statement without =");
    expect("\n\nbc # comment = \nd=1", 3, "a statement without =");
    expect("=1", 1, "no variable before =");
    expect("a=1;\n = \n", 2, "no variable before =");
    expect("a=1\nb = \"x\n\n", 2, "a quote that does not end");
    expect("a=1\nb = x\\", 2, "a backslash at the end");
    expect("a=1\nb = x\0y", 2, "a NUL byte");
    expect("a=1\nb = x\\\0y", 2, "a NUL byte");
    expect(&format!("a=1\n{}=1", "n".repeat(LONGEST + 1)), 2, "a variable of more than 256 bytes");
    expect(&format!("a=1\nb={}", "v".repeat(LONGEST + 1)), 2, "a value of more than 256 bytes");
    let forgotten = format!("a=1\nb=\"x\nc={}\n", "v".repeat(LONGEST));
    expect(&forgotten, 2, "a value of more than 256 bytes, or a quote that does not end");
}

#[test]
fn strings_of_the_greatest_length_are_accepted() {
    let (name, value) = ("n".repeat(LONGEST), "v".repeat(LONGEST));
    assert_eq!(pairs(&format!("{name} = \"{value}\"")), pair(&name, &value));
}

#[test]
fn a_syntax_error_ends_the_statements() {
    let all: Vec<Result<Statement, SyntaxError>> = statements(b"a=1\nb\nc=2").collect();
    assert!(matches!(&all[..], [Ok(_), Err(_)]), "{all:?}");
}

#[test]
fn every_variable_has_its_field() {
    let it = read(
        "use_https = TRUE; blacklist_expiretime = -1; header_size = 0x10; base_path = /a
        access_key = ak; secret_key = sk; aws_auth_sign_version = 2; aws_region = eu-west-1
        ssl_cert_file = c.pem; ssl_key_file = /k.pem; ssl_password = pw; ssl_ca_list = ca; ssl_crl_list = crl
        ssl_method = TLSv1.2; ssl_cipher_list = HIGH; ssl_comp = true; cert_verif = false; pricing = p
        pricing_dir = pd; read_buf_size = 010; encrypt_key = ek; backend = cdmi; encode_slashes = true
        empty_folder_emulation = true; keep_alive = False; url_encoding = false; enterprise_number = 4294967295
        connection_timeout = 1; read_timeout = 2; write_timeout = -3; droplet_dir = x; profile_name = y",
    );
    // Each of these takes the place of a file.
    let pem = read("ssl_cert_pem = cp; ssl_key_pem = kp; ssl_ca_pem = ap");
    for variable in VARIABLES {
        let is_set = it.lines.contains_key(variable.name) || pem.lines.contains_key(variable.name);
        assert!(is_set, "{} is not tested here", variable.name);
    }
    assert!(it.use_https && it.ssl_comp && it.encode_slashes && it.empty_folder_emulation);
    assert!(!it.cert_verif && !it.keep_alive && !it.url_encoding);
    assert_eq!((it.blacklist_expiretime, it.header_size, it.read_buf_size), (-1, 16, 8));
    assert_eq!((it.conn_timeout, it.read_timeout, it.write_timeout), (1, 2, -3));
    assert_eq!((it.aws_auth_sign_version, it.enterprise_number), (2, u32::MAX));
    assert_eq!((&*it.base_path, &*it.aws_region, &*it.ssl_cipher_list), (c"/a", c"eu-west-1", c"HIGH"));
    let texts = [
        (&it.access_key, c"ak"),
        (&it.secret_key, c"sk"),
        (&it.ssl_cert_file, c"/etc/droplet/c.pem"),
        (&it.ssl_key_file, c"/k.pem"),
        (&it.ssl_password, c"pw"),
        (&it.ssl_ca_list, c"ca"),
        (&it.ssl_crl_list, c"crl"),
        (&pem.ssl_cert_pem, c"cp"),
        (&pem.ssl_key_pem, c"kp"),
        (&pem.ssl_ca_pem, c"ap"),
        (&it.pricing, c"p"),
        (&it.pricing_dir, c"pd"),
        (&it.encrypt_key, c"ek"),
    ];
    for (field, text) in texts {
        assert_eq!(field.as_deref(), Some(text));
    }
    assert_eq!(it.ssl_method, Some(SslVersion::TLS1_2));
    assert_eq!(it.backend.name, c"cdmi");
    assert!(it.preserve_root_path, "by the backend");
    assert_eq!((&*it.droplet_dir, &*it.profile_name), (c"/etc/droplet", c"test"), "set from outside");
    assert_eq!(it.hosts, Some(HostList { default_port: c"443", text: "127.0.0.1".to_owned() }));
}

#[test]
fn default_port_is_443_after_use_https() {
    let port = |text: &str| {
        let mut profile = profile();
        profile.read(text.as_bytes()).expect("a valid profile");
        profile.hosts.as_ref().expect("it has hosts").default_port
    };
    assert_eq!(port("host = a"), c"80");
    assert_eq!(port("use_https = true; host = a"), c"443");
    assert_eq!(port("host = a; use_https = true"), c"80");
}

#[test]
fn invalid_values_are_refused_with_variable_and_line() {
    assert_eq!(error("a = 1"), "test.profile:1: no such variable");
    assert_eq!(error("# \n  a\\nb = 1"), "test.profile:2: no such variable");
    assert_eq!(error("\nuse_https = yes"), "test.profile:2: use_https: 'yes' is neither true nor false");
    assert_eq!(error("keep_alive = \rx"), "test.profile:1: keep_alive: '\\rx' is neither true nor false");
    assert_eq!(error("host=a\nhost=b"), "test.profile:2: host: set a second time");
    assert_eq!(error(b"host=\xff"), "test.profile:1: host: '\\xff' is no text");
    assert_eq!(error("read_timeout ="), "test.profile:1: read_timeout: '' is no number");
    assert_eq!(error("read_timeout = soon"), "test.profile:1: read_timeout: 'soon' is no number");
    assert_eq!(error("read_timeout = -"), "test.profile:1: read_timeout: '-' is no number");
    assert_eq!(
        error("write_timeout = 2147483648"),
        "test.profile:1: write_timeout: '2147483648' is out of range"
    );
    let number = "9".repeat(LONGEST);
    assert_eq!(
        error(format!("header_size = {number}")),
        format!("test.profile:1: header_size: '{number}' is out of range")
    );
    assert_eq!(error("enterprise_number=-1"), "test.profile:1: enterprise_number: '-1' is out of range");
    for size in ["0", "-1", "4294967296"] {
        let expected = format!("test.profile:1: read_buf_size: '{size}' is out of range");
        assert_eq!(error(format!("read_buf_size={size}")), expected);
    }
    assert_eq!(
        error("aws_auth_sign_version=3"),
        "test.profile:1: aws_auth_sign_version: '3' is neither 2 nor 4"
    );
    let region = "r".repeat(32);
    assert_eq!(
        error(format!("aws_region={region}")),
        format!("test.profile:1: aws_region: '{region}' is longer than 31 bytes")
    );
    assert_eq!(error("base_path = /a/"), "test.profile:1: base_path: '/a/' ends with a slash");
    assert_eq!(
        error("backend=S3"),
        "test.profile:1: backend: 'S3' is none of s3, cdmi, swift, srws, sproxyd, posix"
    );
    assert!(
        error("ssl_method=SSLv3").starts_with("test.profile:1: ssl_method: 'SSLv3' is gone from OpenSSL (")
    );
    assert_eq!(
        error("ssl_method=TLS"),
        "test.profile:1: ssl_method: 'TLS' is none of SSLv23, TLSv1, TLSv1.1, TLSv1.2"
    );
    assert_eq!(error("use_https=true"), "test.profile: no host is set");
    assert_eq!(profile().read(b"backend=posix"), Ok(()));
    for empty in ["", "\"\"", "\" , ;\"", "\"\t\"", "\\n"] {
        assert_eq!(error(format!("\nhost = {empty}\n")), "test.profile:2: no host is set");
    }
    assert_eq!(profile().read(b"host =\nbackend=posix"), Ok(()));
}

#[test]
fn odd_values_are_accepted_with_a_warning() {
    let odd = |text, warning: &str| assert_eq!(read(text).warnings, [warning]);
    odd("\nport = 80", "test.profile:2: port: has no effect: ports stand in host, NAME:PORT");
    odd("read_timeout = 30s", "test.profile:1: read_timeout: '30s' is taken for 30");
    odd("blacklist_expiretime = 0x10", "test.profile:1: blacklist_expiretime: '0x10' is taken for 0");
    odd("read_timeout = 08", "test.profile:1: read_timeout: '08' is taken for 0");
    let no_pricing =
        "test.profile: pricing and pricing_dir have no effect: prices are not reckoned, events not logged";
    odd("pricing = a; pricing_dir = b", no_pricing);
    assert_eq!(read("pricing_dir = \"\"; read_timeout = 010").warnings, [] as [&str; 0]);
}

#[test]
fn a_dictionary_needs_no_order() {
    let set = |variables: &[(&'static CStr, &'static CStr)]| {
        let mut profile = profile();
        let variables = variables.iter().map(|(name, value)| (*name, value.to_bytes()));
        profile.set_all(variables).map(|()| profile).map_err(|error| error.to_string())
    };
    let good = set(&[(c"host", c"a"), (c"use_https", c"true"), (c"droplet_dir", c"/x")]).expect("good");
    assert_eq!(good.hosts.as_ref().map(|hosts| hosts.default_port), Some(c"443"));
    let bad = set(&[(c"host", c"a"), (c"use_https", c"maybe")]).expect_err("bad");
    assert_eq!(bad, "test.profile: use_https: 'maybe' is neither true nor false");
}

#[test]
fn unusable_tls_files_are_refused_with_variable_and_line() {
    let tls = |text: &str| {
        let profile = read(&format!("use_https=true\n{text}"));
        profile.tls_context().expect_err("refused").to_string()
    };
    for variable in ["ssl_cert_file", "ssl_key_file", "ssl_ca_list", "ssl_crl_list"] {
        let expected = format!("test.profile:2: {variable}: /no/file: No such file or directory");
        assert_eq!(tls(&format!("{variable} = /no/file")), expected);
        let expected = format!("test.profile:2: {variable}: /: Is a directory");
        assert_eq!(tls(&format!("{variable} = /")), expected);
        let this = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let printed = tls(&format!("{variable} = {this}"));
        assert!(printed.starts_with(&format!("test.profile:2: {variable}: {this}: ")), "{printed}");
    }
    assert_eq!(tls("ssl_cipher_list = nothing"), "test.profile:2: ssl_cipher_list: no cipher match");
    assert!(read("ssl_cert_file=/no/file").tls_context().expect("unused").is_none(), "without https");
}

#[test]
fn versions_that_openssl_refuses_are_an_error() {
    let method = |text: &str| read(&format!("use_https=true\n{text}")).tls_context().map(|_| ());
    assert_eq!(method("ssl_method = SSLv23"), Ok(()));
    assert_eq!(method("ssl_method = TLSv1.2"), Ok(()));
    assert_eq!(method("ssl_method = TLSv1; ssl_cipher_list = DEFAULT@SECLEVEL=0"), Ok(()));
    if openssl::version::number() >= 0x3000_0000 {
        let error = method("ssl_method = TLSv1").expect_err("refused").to_string();
        assert!(error.starts_with("test.profile:2: ssl_method: OpenSSL 3"), "{error}");
        assert!(
            error.ends_with("speaks TLS 1.0 and 1.1 only with @SECLEVEL=0 in ssl_cipher_list"),
            "{error}"
        );
    }
}

#[test]
fn no_error_shows_a_piece_of_a_secret() {
    let texts = [
        "ssl_key_pem = -----BEGIN EC PRIVATE KEY-----\nTOPSECRET\n-----END EC PRIVATE KEY-----",
        "ssl_key_pem = -----BEGIN EC PRIVATE KEY-----\nTOPSECRET==\n-----END EC PRIVATE KEY-----",
        "ssl_key_pem = \"-----BEGIN EC PRIVATE KEY-----\"\nTOPSECRET\n\"-----END EC PRIVATE KEY-----\"",
        "ssl_password TOPSECRET",
        "ssl_password = x;TOPSECRET=y",
        "secret_key = \"TOPSECRET",
    ];
    for text in texts {
        let error = error(text);
        assert!(!error.contains("TOPSECRET") && error.starts_with("test.profile:"), "{error}");
    }
}
