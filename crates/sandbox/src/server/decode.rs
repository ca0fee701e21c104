//! From hyper's request to ours: percent-decoding of path and query, headers as text.

use hyper::http::request::Parts;

use crate::http::Request;

/// The request as services see it.
pub(super) fn request(head: &Parts, body: Vec<u8>) -> Request {
    let headers = head.headers.iter();
    Request {
        method: head.method.as_str().to_owned(),
        path: decode(head.uri.path(), false),
        query: query(head.uri.query().unwrap_or_default()),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body,
    }
}

/// Pairs of a query, as forms write them: `+` is a space, a name without `=` has an empty value.
fn query(raw: &str) -> Vec<(String, String)> {
    let pairs = raw.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true), decode(value, true))
        })
        .collect()
}

/// Undoes percent-encoding. A `%` without two hex digits stays; bytes that are no UTF-8 are replaced.
fn decode(raw: &str, plus_is_space: bool) -> String {
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        let hex = |offset: usize| bytes.get(place + offset).and_then(|digit| char::from(*digit).to_digit(16));
        let escaped = if byte == b'%' { hex(1).zip(hex(2)) } else { None };
        match escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(value) => {
                decoded.push(value);
                place += 3;
            }
            None => {
                decoded.push(if byte == b'+' && plus_is_space { b' ' } else { byte });
                place += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_a_form() {
        let pairs = query("phone=%2B7+999&var=%D0%B3%D0%BE%D1%80%D0%BE%D0%B4&id%5B%5D=1&id[]=2&flag&=x&&a=b=c");
        let expected = [
            ("phone", "+7 999"),
            ("var", "город"),
            ("id[]", "1"),
            ("id[]", "2"),
            ("flag", ""),
            ("", "x"),
            ("a", "b=c"),
        ];
        let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn a_path_keeps_its_plus() {
        assert_eq!(decode("/api/a+b%2Fc", false), "/api/a+b/c");
    }

    #[test]
    fn broken_escapes_stay_and_broken_utf8_is_replaced() {
        assert_eq!(decode("100%", true), "100%");
        assert_eq!(decode("%zz%4", true), "%zz%4");
        assert_eq!(decode("%FFx", true), "\u{fffd}x");
        assert_eq!(decode("%+1", true), "% 1");
    }
}
