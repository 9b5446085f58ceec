//! Names in paths: decoded once, and what two servers could read differently is found.

use std::fmt::Write as _;

use super::RouteError;

/// A path whose escapes were looked at.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    /// `None`: nothing was escaped.
    pub(super) path: Option<String>,
    /// Why it goes only where names are any bytes.
    pub(super) odd_name: Option<RouteError>,
    /// See [`super::NormalPath::other_readings`].
    pub(super) readings: Vec<String>,
}

/// Decodes a path without repeated slashes. Dot segments in any spelling and control bytes are refused.
pub(super) fn decode(path: &str) -> Result<Decoded, RouteError> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut has_separator = false;
    let mut escaped = path.bytes();
    while let Some(byte) = escaped.next() {
        let value = match byte {
            b'%' => unescape(escaped.next(), escaped.next())?,
            byte => byte,
        };
        if value < b' ' || value == 0x7f {
            return Err(RouteError::BadTarget);
        }
        has_separator |= value == b'\\' || (value == b'/' && byte == b'%');
        bytes.push(value);
    }
    match String::from_utf8(bytes) {
        Ok(decoded) if !has_separator => {
            if decoded.split('/').any(|name| is_dots(name.as_bytes())) {
                return Err(RouteError::DotSegment);
            }
            Ok(Decoded {
                readings: without_parameters(&decoded).into_iter().collect(),
                path: path.contains('%').then_some(decoded),
                odd_name: None,
            })
        }
        other => of_any_bytes(path, has_separator, other.is_err()),
    }
}

/// The rare path with escaped separators, or with bytes that are not UTF-8.
#[cold]
fn of_any_bytes(path: &str, has_separator: bool, is_foreign: bool) -> Result<Decoded, RouteError> {
    let mut matched = String::with_capacity(path.len());
    let mut reading = String::with_capacity(path.len());
    let mut is_read_differently = has_separator;
    for name in path.split('/').skip(1) {
        let bytes: Vec<u8> = percent_encoding::percent_decode_str(name).collect();
        matched.push('/');
        push_kept(&mut matched, &bytes);
        let (resolved, is_overlong) = without_overlong_forms(&bytes);
        is_read_differently |= is_overlong;
        if resolved.iter().any(|b| *b < b' ' || *b == 0x7f) {
            return Err(RouteError::BadTarget);
        }
        for part in resolved.split(|b| matches!(b, b'/' | b'\\')) {
            if is_dots(part) {
                return Err(RouteError::DotSegment);
            }
            if !reading.ends_with('/') {
                reading.push('/');
            }
            reading.push_str(&String::from_utf8_lossy(part));
        }
    }
    let parameters = without_parameters(&reading);
    let mut readings = Vec::new();
    if is_read_differently {
        readings.push(reading);
    }
    readings.extend(parameters);
    Ok(Decoded {
        path: Some(matched),
        odd_name: if has_separator {
            Some(RouteError::EscapedSeparator)
        } else {
            is_foreign.then_some(RouteError::BadTarget)
        },
        readings,
    })
}

/// A name as text, with escapes for what is none of it and for what would separate.
fn push_kept(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '/' => text.push_str("%2F"),
                '\\' => text.push_str("%5C"),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

/// The bytes as a forgiving decoder of UTF-8 reads them: `%c0%ae` is a dot to it (RFC 3629 section 10). And whether there
/// was such a form.
fn without_overlong_forms(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut resolved = Vec::with_capacity(bytes.len());
    let mut found = false;
    let mut at = 0;
    while let Some(&lead) = bytes.get(at) {
        match overlong(&bytes[at..]) {
            Some((value, length)) => {
                resolved.push(value);
                found = true;
                at += length;
            }
            None => {
                resolved.push(lead);
                at += 1;
            }
        }
    }
    (resolved, found)
}

/// An ASCII character in two to six bytes.
fn overlong(bytes: &[u8]) -> Option<(u8, usize)> {
    let length = match bytes.first()? {
        0xc0 | 0xc1 => 2,
        0xe0 => 3,
        0xf0 => 4,
        0xf8 => 5,
        0xfc => 6,
        _ => return None,
    };
    let mut value = u32::from(bytes[0]) & 1;
    if length > 2 {
        value = 0;
    }
    for byte in bytes.get(1..length)? {
        // A decoder that forgives so much may not look at the marks either, but then nothing is left to compare with.
        if byte & 0xc0 != 0x80 {
            return None;
        }
        value = value << 6 | u32::from(byte & 0x3f);
    }
    u8::try_from(value)
        .ok()
        .filter(u8::is_ascii)
        .map(|value| (value, length))
}

/// The path as servers read it that cut parameters off each segment (`/a;x/b` is `/a/b` to them).
fn without_parameters(path: &str) -> Option<String> {
    if !path.contains(';') {
        return None;
    }
    let mut cut = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        if !cut.ends_with('/') {
            cut.push('/');
        }
        cut.push_str(segment.split(';').next().unwrap_or_default());
    }
    Some(cut)
}

fn unescape(high: Option<u8>, low: Option<u8>) -> Result<u8, RouteError> {
    let digit = |byte: Option<u8>| {
        byte.and_then(|byte| char::from(byte).to_digit(16))
            .ok_or(RouteError::BadTarget)
    };
    let value = digit(high)? * 16 + digit(low)?;
    u8::try_from(value).map_err(|_| RouteError::BadTarget)
}

/// `.` and `..`, also with the parameters some servers cut off before they resolve (`..;x`).
fn is_dots(segment: &[u8]) -> bool {
    let name = segment.split(|&byte| byte == b';').next();
    matches!(name, Some(b"." | b".."))
}
