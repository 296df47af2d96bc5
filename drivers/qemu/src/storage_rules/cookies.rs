//! Cookies as RFC 6265 has them: what would end one, or begin another header, is refused.

use hostler_sdk::domain::storage_source::{Cookie, Location};

use super::{Broken, Subject, broken};

pub(super) fn rule(subject: &Subject<'_>) -> Option<Broken> {
    let Location::Network(source) = &subject.source.location else { return None };
    source.cookies.iter().enumerate().find_map(|(index, cookie)| {
        let twice = source.cookies.iter().take(index).any(|before| before.name == cookie.name);
        one(cookie, twice)
    })
}

/// Values of cookies are secrets: no message holds one.
fn one(cookie: &Cookie, twice: bool) -> Option<Broken> {
    if cookie.name.is_empty() || !cookie.name.bytes().all(is_token) {
        let name = cookie.name.escape_debug();
        return broken(
            "cookie-name",
            format!("has a cookie called '{name}', which is no name of a cookie"),
            "use letters, digits and !#$%&'*+-.^_`|~",
        );
    }
    if twice {
        return broken("cookie-twice", format!("has the cookie '{}' twice", cookie.name), "keep one of both");
    }
    let value = cookie.value.as_str();
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    if !inner.bytes().all(is_octet) {
        return broken(
            "cookie-value",
            format!(
                "has a cookie '{}' whose value holds a blank, a quote, ',', ';', '\\' or a control",
                cookie.name
            ),
            "encode the value, in percent or base64 notation",
        );
    }
    None
}

/// A character of a token (RFC 2616, 2.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte)
}

/// A character of a value (RFC 6265, 4.1.1).
fn is_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}
