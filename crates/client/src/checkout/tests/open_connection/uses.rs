//! Uses of a connection, and whether others may use it afterwards.

use super::*;
use crate::http::request::WrittenRequest;

fn half_a_request() -> WrittenRequest {
    let mut request = WrittenRequest::default();
    request.note([&b"PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\n"[..]].into_iter());
    request
}

#[test]
fn a_connection_is_pooled_if_its_use_has_ended_well() {
    let uses: [Use<Option<&CStr>>; 14] = [
        ("nothing", |_, _| {}, None),
        ("an exchange", exchange, None),
        ("a request", |connection, _| write(connection), Some(c"incomplete")),
        ("the begin of an exchange", |connection, _| connection.begin_exchange(), Some(c"incomplete")),
        (
            "a whole exchange",
            |connection, _| {
                connection.begin_exchange();
                connection.end_exchange();
            },
            None,
        ),
        (
            "half a request outside of an exchange",
            |connection, _| connection.set_request(&half_a_request()),
            Some(c"incomplete"),
        ),
        (
            "the other half, too",
            |connection, _| {
                connection.set_request(&half_a_request());
                connection.set_request(&WrittenRequest::default());
            },
            None,
        ),
        (
            "half a request",
            |connection, _| {
                connection.begin_exchange();
                connection.end_request(&half_a_request());
                connection.end_exchange();
            },
            Some(c"incomplete"),
        ),
        (
            "a request after half of one",
            |connection, _| {
                connection.set_request(&half_a_request());
                connection.end_request(&half_a_request());
                connection.set_request(&WrittenRequest::default());
                connection.begin_exchange();
                connection.end_request(&WrittenRequest::default());
                connection.end_exchange();
            },
            Some(c"incomplete"),
        ),
        (
            "the last exchange",
            |connection, _| {
                connection.begin_exchange();
                connection.end_last_exchange();
            },
            Some(c"used up"),
        ),
        ("a failure", |connection, _| connection.mark_broken(), Some(c"failed")),
        (
            "an exchange after a failure",
            |connection, server| {
                connection.mark_broken();
                connection.begin_exchange();
                exchange(connection, server);
                connection.end_exchange();
            },
            Some(c"failed"),
        ),
        ("the end", read_end, Some(c"used up")),
        (
            "the end after a failure",
            |connection, server| {
                connection.mark_broken();
                read_end(connection, server);
            },
            Some(c"failed"),
        ),
    ];
    for (name, act, expected) in uses {
        let served = Served::new();
        let (mut connection, mut server) = served.open();
        act(&mut connection, &mut server);
        assert_eq!(served.outcome(connection), expected, "{name}");
    }
}
