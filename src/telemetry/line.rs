//! One log line as bytes: JSON for machines or text for people, each field escaped and capped, so that
//! nothing a client sends can make a second line (docs/design/hardening.md row 126).

use time::OffsetDateTime;

/// Longest value of a field in bytes; the rest is cut.
const FIELD: usize = 1024;

/// The two forms of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Json,
    Text,
    /// Text with the level in colour, for a terminal.
    Coloured,
}

/// A field's name.
pub(super) trait Name {
    /// It, and what stands around it in this style. Names are words of this program, so there is nothing to escape.
    fn push(&self, out: &mut Vec<u8>, style: Style);
}

impl Name for &'static str {
    fn push(&self, out: &mut Vec<u8>, style: Style) {
        let (before, after) = match style {
            Style::Json => (",\"", "\":"),
            Style::Text | Style::Coloured => (" ", "="),
        };
        for part in [before, self, after] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// A name as each style has it, made when this program was built: an access line has many, and each is one copy.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) json: &'static str,
    pub(super) text: &'static str,
}

impl Name for &Key {
    fn push(&self, out: &mut Vec<u8>, style: Style) {
        let whole = match style {
            Style::Json => self.json,
            Style::Text | Style::Coloured => self.text,
        };
        out.extend_from_slice(whole.as_bytes());
    }
}

/// The [`Key`] of a name.
macro_rules! key {
    ($name:literal) => {
        &$crate::telemetry::line::Key {
            json: concat!(",\"", $name, "\":"),
            text: concat!(" ", $name, "="),
        }
    };
}
pub(super) use key;

/// A line being written to the end of a buffer.
#[derive(Debug)]
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    style: Style,
}

impl<'a> Line<'a> {
    /// Begins a line with what every line has.
    pub(super) fn begin(
        out: &'a mut Vec<u8>,
        style: Style,
        level: &str,
        (stamp, time_millis): (&mut Stamp, i64),
        message: &str,
    ) -> Self {
        match style {
            Style::Json => {
                out.extend_from_slice(b"{\"level\":\"");
                out.extend_from_slice(level.as_bytes());
                out.extend_from_slice(b"\",\"service\":\"proxy\",\"time\":\"");
                stamp.push(out, time_millis);
                out.extend_from_slice(b"\",\"message\":\"");
                push_escaped(out, capped(message));
                out.push(b'"');
            }
            Style::Text | Style::Coloured => {
                stamp.push(out, time_millis);
                out.push(b' ');
                let colour = if style == Style::Coloured {
                    colour(level)
                } else {
                    ""
                };
                out.extend_from_slice(colour.as_bytes());
                out.extend_from_slice(level.to_uppercase().as_bytes());
                if !colour.is_empty() {
                    out.extend_from_slice(PLAIN.as_bytes());
                }
                out.push(b' ');
                push_escaped(out, capped(message));
            }
        }
        Self { out, style }
    }

    /// A field with a text that has nothing to escape and no more than a field may have: a word of this program or an
    /// address.
    pub(super) fn token(&mut self, key: impl Name, value: &str) {
        key.push(self.out, self.style);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// A field with a text.
    pub(super) fn text(&mut self, key: impl Name, value: &str) {
        key.push(self.out, self.style);
        self.out.push(b'"');
        push_escaped(self.out, capped(value));
        self.out.push(b'"');
    }

    /// A field with a whole number.
    pub(super) fn integer(&mut self, key: impl Name, value: impl itoa::Integer) {
        key.push(self.out, self.style);
        self.out
            .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A field with anything that is valid JSON already.
    pub(super) fn raw(&mut self, key: impl Name, value: &str) {
        key.push(self.out, self.style);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A duration in milliseconds with three decimals.
    pub(super) fn millis(&mut self, key: impl Name, value: std::time::Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.integer(key, micros / 1000);
        let fraction = (micros % 1000) as u32;
        if fraction > 0 {
            self.out.push(b'.');
            self.out.extend_from_slice(&three_digits(fraction));
        }
    }

    /// Fields that were written by another line's methods in the same style.
    pub(super) fn fields(&mut self, fields: &[u8]) {
        self.out.extend_from_slice(fields);
    }

    /// Ends the line.
    pub(super) fn end(self) {
        if self.style == Style::Json {
            self.out.push(b'}');
        }
        self.out.push(b'\n');
    }

    /// Fields alone, to be kept for [`Line::fields`].
    pub(super) fn fragment(out: &'a mut Vec<u8>, style: Style) -> Self {
        Self { out, style }
    }
}

/// Ends a colour.
const PLAIN: &str = "\u{1b}[0m";

/// Red, yellow, green; what is below stays as it is.
fn colour(level: &str) -> &'static str {
    match level {
        "error" => "\u{1b}[31m",
        "warn" => "\u{1b}[33m",
        "info" => "\u{1b}[32m",
        _ => "",
    }
}

/// The longest part of `text` that may stand in a field.
fn capped(text: &str) -> &str {
    text.get(..text.floor_char_boundary(FIELD)).unwrap_or(text)
}

/// Whether all of it is ASCII that needs no escape, as nearly every value is: such a one goes in one copy. Sixteen bytes are
/// one step of the processor's, so the last sixteen are looked at together too, and a short text is filled up.
fn is_plain(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<16>();
    let mut end = [b' '; 16];
    match bytes.last_chunk::<16>() {
        Some(last) => end = *last,
        None => end.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte),
    }
    for block in blocks {
        if has_odd(block) {
            return false;
        }
    }
    !has_odd(&end)
}

#[inline]
fn has_odd(block: &[u8; 16]) -> bool {
    let mut odd = 0;
    // No early end, so that it is one step.
    for &byte in block {
        let is_odd = (byte.wrapping_sub(0x20) > 0x5e) | (byte == b'"') | (byte == b'\\');
        odd |= u8::from(is_odd);
    }
    odd != 0
}

/// Escapes as JSON does, and DEL and the C1 controls too, which terminals obey.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if c.is_control() => {
                let code = u32::from(c);
                out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    let digit = char::from_digit((code >> shift) & 0xf, 16).unwrap_or('0');
                    out.push(digit as u8);
                }
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Writes times, and keeps the text of the last second: most lines of an access log share theirs with the line before.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: i64,
    text: Vec<u8>,
}

impl Stamp {
    /// RFC 3339 in UTC with milliseconds.
    fn push(&mut self, out: &mut Vec<u8>, millis: i64) {
        let (second, fraction) = (millis.div_euclid(1000), millis.rem_euclid(1000));
        if self.second != second || self.text.is_empty() {
            self.second = second;
            self.text.clear();
            push_second(&mut self.text, second);
        }
        out.extend_from_slice(&self.text);
        out.extend_from_slice(&three_digits(u32::try_from(fraction).unwrap_or(0)));
        out.push(b'Z');
    }
}

/// Date and time of day, up to the dot before the milliseconds. A clock beyond the year 9999 counts as 1970.
fn push_second(out: &mut Vec<u8>, seconds: i64) {
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = at.to_hms();
    for (value, width, after) in [
        (at.year().unsigned_abs(), 4, b'-'),
        (u32::from(u8::from(at.month())), 2, b'-'),
        (u32::from(at.day()), 2, b'T'),
        (u32::from(hour), 2, b':'),
        (u32::from(minute), 2, b':'),
        (u32::from(second), 2, b'.'),
    ] {
        push_digits(out, value, width);
        out.push(after);
    }
}

fn three_digits(value: u32) -> [u8; 3] {
    [value / 100, value / 10, value].map(|value| b'0' + (value % 10) as u8)
}

fn push_digits(out: &mut Vec<u8>, mut value: u32, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out.iter_mut().skip(start).rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(millis: i64) -> String {
        let mut out = Vec::new();
        Stamp::default().push(&mut out, millis);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_rfc_3339_also_on_leap_days_and_before_the_epoch() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(time(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(1_764_021_599_042), "2025-11-24T21:59:59.042Z");
        assert_eq!(time(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_kept_second_is_used_for_that_second_only() {
        let mut stamp = Stamp::default();
        for millis in [999, 1000, 1001, 2000, 1999, -1, 0] {
            let mut out = Vec::new();
            stamp.push(&mut out, millis);
            assert_eq!(String::from_utf8(out).unwrap(), time(millis));
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let text = "ä".repeat(1000);
        assert_eq!(capped(&text).len(), 1024);
        assert_eq!(capped(&format!("a{text}")).len(), 1023);
    }

    #[test]
    fn on_a_terminal_the_level_alone_has_a_colour() {
        let mut out = Vec::new();
        Line::begin(
            &mut out,
            Style::Coloured,
            "warn",
            (&mut Stamp::default(), 0),
            "text",
        )
        .end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1970-01-01T00:00:00.000Z \u{1b}[33mWARN\u{1b}[0m text\n"
        );
    }

    #[test]
    fn text_lines_keep_to_one_line_and_to_no_terminal_codes() {
        let mut out = Vec::new();
        let mut line = Line::begin(
            &mut out,
            Style::Text,
            "warn",
            (&mut Stamp::default(), 0),
            "a\nb",
        );
        line.text("key", "\u{1b}[31m\u{9b}\u{7f}\r\n\"");
        line.integer("n", 3);
        line.end();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1970-01-01T00:00:00.000Z WARN a\\nb key=\"\\u001b[31m\\u009b\\u007f\\r\\n\\\"\" n=3\n"
        );
    }
}
