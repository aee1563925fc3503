//! The head of a request, and the values of its fields.

use droplet_client::status::Error;

use super::url;

/// The encoding of resources, a setting of the context.
#[derive(Clone, Copy)]
pub struct Encoding {
    /// True if resources are percent-encoded.
    pub is_on: bool,
    /// True if slashes are encoded too, except for the first.
    pub takes_slashes: bool,
}

/// Returns the resource of a request below the context's base path. `/` means the base path itself, unless
/// `keeps_root`.
pub fn resource_below(base: &[u8], resource: &[u8], keeps_root: bool) -> Vec<u8> {
    let is_root_base = base == b"/";
    match resource {
        b"" => (if is_root_base { b"" } else { base }).to_vec(),
        b"/" if !keeps_root => resource_below(base, b"", false),
        b"/" => [if is_root_base { b"" } else { base }, b"/"].concat(),
        _ => below(base, resource),
    }
}

/// Returns a path below the context's base path.
pub fn below(base: &[u8], path: &[u8]) -> Vec<u8> {
    if base == b"/" { path.to_vec() } else { [base, b"/", path].concat() }
}

/// Returns the path of a resource in the request line. It always begins with a slash.
pub fn path(resource: &[u8], encoding: Encoding) -> Vec<u8> {
    let rest = resource.strip_prefix(b"/").unwrap_or(resource);
    let rest = match encoding {
        Encoding { is_on: false, .. } => rest.to_vec(),
        Encoding { takes_slashes: true, .. } => url::encoded(rest),
        Encoding { takes_slashes: false, .. } => {
            rest.split(|byte| *byte == b'/').map(url::encoded).collect::<Vec<_>>().join(&b'/')
        }
    };
    [b"/", rest.as_slice()].concat()
}

/// The head of a request, without the empty line that ends it.
pub struct Head(Vec<u8>);

impl Head {
    /// Begins a head with the request line. The parameters of the query are not encoded. A query without parameters is
    /// a `?`.
    pub fn new<'a>(
        method: &str,
        path: Option<Vec<u8>>,
        subresource: Option<&'a [u8]>,
        parameters: Option<Vec<(&'a [u8], &'a [u8])>>,
    ) -> Result<Head, Error> {
        let mut target = path.unwrap_or_default();
        if subresource.is_some() || parameters.is_some() {
            target.push(b'?');
        }
        let parameters = parameters.into_iter().flatten().map(|(name, value)| [name, b"=", value].concat());
        let parts: Vec<_> = subresource.map(<[u8]>::to_vec).into_iter().chain(parameters).collect();
        target.extend(parts.join(&b'&'));
        let mut head = Head(Vec::new());
        head.line(&[method.as_bytes(), b" ", &target, b" HTTP/1.1"])?;
        Ok(head)
    }

    /// Adds a field. A field without a name, or with a line end in it, is refused (RFC 9110, section 5).
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::Invalid);
        }
        self.line(&[name, b": ", value])
    }

    fn line(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        if parts.iter().any(|part| part.iter().any(|byte| matches!(byte, b'\r' | b'\n'))) {
            return Err(Error::Invalid);
        }
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        self.0.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Returns the text.
    pub fn text(&self) -> &[u8] {
        &self.0
    }
}

/// Returns the value of `Host`. A port of `80` is left out. An IPv6 address is put in brackets (RFC 3986).
pub fn host(name: &[u8], port: Option<&[u8]>) -> Vec<u8> {
    let is_bare_ipv6 = name.contains(&b':') && !name.starts_with(b"[");
    let name = if is_bare_ipv6 { [b"[", name, b"]"].concat() } else { name.to_vec() };
    match port {
        None | Some(b"80") => name,
        Some(port) => [&name, b":".as_slice(), port].concat(),
    }
}

/// Returns the value of `Range`. `None` without a start and an end.
pub fn range(start: Option<u64>, end: Option<u64>) -> Option<String> {
    let text = |end: Option<u64>| end.map(|end| end.to_string()).unwrap_or_default();
    (start.is_some() || end.is_some()).then(|| format!("bytes={}-{}", text(start), text(end)))
}

/// Returns the value of `Authorization` for a name and a password (RFC 7617).
pub fn basic_authorization(name: &[u8], password: &[u8]) -> String {
    format!("Basic {}", openssl::base64::encode_block(&[name, b":", password].concat()))
}

/// A moment in UTC.
pub struct UtcTime {
    /// Day of the week, 0 for Sunday.
    pub weekday: usize,
    /// Day of the month, from 1.
    pub day: i32,
    /// Month, 0 for January.
    pub month: usize,
    /// Year, such as 2001.
    pub year: i64,
    /// Hours, minutes and seconds.
    pub clock: [i32; 3],
}

/// Formats a date as HTTP does (RFC 9110, section 5.6.7), in any locale. `None` for an invalid month or weekday.
pub fn date(time: &UtcTime) -> Option<String> {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (weekday, month) = (DAYS.get(time.weekday)?, MONTHS.get(time.month)?);
    let ([hour, minute, second], day, year) = (time.clock, time.day, time.year);
    Some(format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    /// Base path, resource, whether `/` is kept, and the result in the original (Droplet 3.0).
    #[test]
    fn resources_lie_below_the_base_path() {
        for (base, resource, keeps_root, expected) in [
            ("/", "", false, ""),
            ("/", "/", false, ""),
            ("/", "/", true, "/"),
            ("/", "x", false, "x"),
            ("/", "/x", false, "/x"),
            ("", "/", false, ""),
            ("", "/", true, "/"),
            ("", "x", false, "/x"),
            ("/base", "", false, "/base"),
            ("/base", "/", false, "/base"),
            ("/base", "/", true, "/base/"),
            ("/base", "x", false, "/base/x"),
            ("/base", "/x", true, "/base//x"),
        ] {
            let made = resource_below(base.as_bytes(), resource.as_bytes(), keeps_root);
            assert_eq!(text(made), expected, "{base} {resource} {keeps_root}");
        }
    }

    #[test]
    fn paths_are_encoded_except_for_slashes() {
        let encoding = |is_on, takes_slashes| Encoding { is_on, takes_slashes };
        let made = |resource: &str, encoding| text(path(resource.as_bytes(), encoding));
        assert_eq!(made("/a b/c?", encoding(true, false)), "/a%20b/c%3F");
        assert_eq!(made("a//b/", encoding(true, false)), "/a//b/");
        assert_eq!(made("/a//b/", encoding(true, true)), "/a%2F%2Fb%2F");
        assert_eq!(made("/a b/%20?", encoding(false, true)), "/a b/%20?");
        assert_eq!(made("", encoding(true, false)), "/");
        assert_eq!(made("/~x_y-z.!\u{e9}", encoding(true, false)), "/%7Ex_y-z.%21%C3%A9");
    }

    #[test]
    fn a_query_follows_the_subresource() {
        let line = |subresource: Option<&str>, parameters: &[(&'static str, &'static str)]| {
            let parameters = parameters.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let parameters = Some(parameters.collect());
            let head = Head::new("GET", Some(b"/r".to_vec()), subresource.map(str::as_bytes), parameters);
            text(head.unwrap().text().to_vec())
        };
        assert_eq!(line(None, &[]), "GET /r? HTTP/1.1\r\n");
        let head = Head::new("GET", Some(b"/r".to_vec()), None, None);
        assert_eq!(head.unwrap().text(), b"GET /r HTTP/1.1\r\n");
        assert_eq!(line(Some(""), &[("a", "1")]), "GET /r?&a=1 HTTP/1.1\r\n");
        assert_eq!(line(Some("acl"), &[]), "GET /r?acl HTTP/1.1\r\n");
        assert_eq!(line(None, &[("a", "1"), ("b", "")]), "GET /r?a=1&b= HTTP/1.1\r\n");
        assert_eq!(line(Some("acl"), &[("a", "1")]), "GET /r?acl&a=1 HTTP/1.1\r\n");
    }

    #[test]
    fn line_ends_in_a_head_are_refused() {
        for target in ["/r\r\nX: 1", "/r\n", "/\r"] {
            assert!(Head::new("GET", Some(target.into()), None, None).is_err(), "{target:?}");
        }
        assert!(Head::new("GET", None, Some(b"a\nb"), None).is_err());
        let mut head = Head::new("GET", Some(b"/".to_vec()), None, None).unwrap();
        for (name, value) in [("X", "a\r\nEvil: 1"), ("X\nY", "a"), ("", "a"), ("X", "a\r")] {
            assert!(head.field(name.as_bytes(), value.as_bytes()).is_err(), "{name:?}: {value:?}");
        }
        assert_eq!(head.text(), b"GET / HTTP/1.1\r\n", "a refused field leaves nothing behind");
    }

    #[test]
    fn hosts_have_their_port_unless_it_is_80() {
        let made = |name: &str, port: Option<&str>| text(host(name.as_bytes(), port.map(str::as_bytes)));
        assert_eq!(made("h.example", Some("80")), "h.example");
        assert_eq!(made("h.example", None), "h.example");
        assert_eq!(made("h.example", Some("443")), "h.example:443");
        assert_eq!(made("::1", Some("81")), "[::1]:81");
        assert_eq!(made("[::1]", Some("80")), "[::1]");
    }

    #[test]
    fn ranges_may_be_open_at_one_end() {
        assert_eq!(range(Some(0), Some(9)).as_deref(), Some("bytes=0-9"));
        assert_eq!(range(None, Some(5)).as_deref(), Some("bytes=-5"));
        assert_eq!(range(Some(u64::MAX - 1), None).as_deref(), Some("bytes=18446744073709551614-"));
        assert_eq!(range(None, None), None);
    }

    #[test]
    fn dates_are_formatted_as_in_http() {
        let time = UtcTime { weekday: 0, day: 9, month: 8, year: 2001, clock: [1, 46, 40] };
        assert_eq!(date(&time).as_deref(), Some("Sun, 09 Sep 2001 01:46:40 GMT"));
        assert_eq!(date(&UtcTime { month: 12, ..time }), None);
    }

    #[test]
    fn credentials_are_encoded_in_one_line() {
        assert_eq!(basic_authorization(b"AK", b"SK:x"), "Basic QUs6U0s6eA==");
        assert!(!basic_authorization(&[b'k'; 500], b"").contains('\n'));
    }
}
