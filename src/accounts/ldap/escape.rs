//! The only place where values become part of a search filter or a distinguished name (RFC 4515, RFC 4514).

use std::fmt::{self, Write as _};

use crate::accounts::group_claim::group_key;

/// A search filter. Values are escaped when it is written; there is no other way to get a value into one.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    /// `(attribute=value)`; the value may be binary.
    Equal(String, Vec<u8>),
    /// `(attribute=*)`.
    Present(String),
    /// All must hold.
    And(Vec<Self>),
    /// One must hold.
    Or(Vec<Self>),
    /// Must not hold.
    Not(Box<Self>),
    /// The operator's own filter with its brackets, checked at start; empty holds always.
    Operator(String),
}

impl Filter {
    /// `(attribute=value)`.
    pub(super) fn equal(attribute: &str, value: impl AsRef<[u8]>) -> Self {
        Self::Equal(attribute.to_owned(), value.as_ref().to_vec())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, sign: char, parts: &[Self]| {
            write!(f, "({sign}")?;
            parts.iter().try_for_each(|part| part.fmt(f))?;
            f.write_char(')')
        };
        match self {
            Self::Equal(attribute, value) => {
                write!(f, "({attribute}=")?;
                escape_bytes(f, value)?;
                f.write_char(')')
            }
            Self::Present(attribute) => write!(f, "({attribute}=*)"),
            Self::And(parts) => list(f, '&', parts),
            Self::Or(parts) => list(f, '|', parts),
            Self::Not(part) => write!(f, "(!{part})"),
            Self::Operator(text) => f.write_str(text),
        }
    }
}

/// Everything but plain letters and digits as `\xx`: what need not be escaped may be (RFC 4515 section 3).
fn escape_bytes(f: &mut fmt::Formatter<'_>, value: &[u8]) -> fmt::Result {
    value.iter().try_for_each(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'@' => {
            f.write_char(char::from(*byte))
        }
        byte => write!(f, "\\{byte:02x}"),
    })
}

/// `attribute=value` as a relative distinguished name.
pub(super) fn rdn(attribute: &str, value: &str) -> String {
    let mut text = format!("{attribute}=");
    let last = value.chars().count().saturating_sub(1);
    for (position, c) in value.chars().enumerate() {
        let outer_blank = c == ' ' && (position == 0 || position == last);
        if outer_blank || c.is_ascii_control() || "\"#+,;<=>\\".contains(c) {
            for byte in c.to_string().bytes() {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\{byte:02x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// The name of an entry directly under `base`.
pub(super) fn child(attribute: &str, value: &str, base: &str) -> String {
    format!("{},{base}", rdn(attribute, value))
}

/// The entry above, or nothing for a name of one part.
pub(super) fn parent(dn: &str) -> Option<&str> {
    let mut escaped = false;
    let comma = dn.bytes().position(|byte| {
        let found = !escaped && byte == b',';
        escaped = !escaped && byte == b'\\';
        found
    })?;
    dn.get(comma + 1..)
}

/// A form in which two spellings of one distinguished name are equal: case, escapes and blanks do not matter.
pub(super) fn normalised(dn: &str) -> String {
    split(dn, b",;")
        .into_iter()
        .map(|rdn| {
            let mut pairs: Vec<String> =
                split(rdn, b"+").into_iter().map(normalised_pair).collect();
            pairs.sort();
            pairs.join("\u{1}")
        })
        .collect::<Vec<_>>()
        .join("\u{0}")
}

fn normalised_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((attribute, value)) => format!(
            "{}={}",
            attribute.trim().to_lowercase(),
            group_key(&unescaped(value.trim_start()))
        ),
        None => pair.trim().to_lowercase(),
    }
}

/// Cuts at separators that are not escaped.
fn split<'a>(text: &'a str, separators: &[u8]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (position, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if separators.contains(&byte) {
            parts.push(&text[start..position]);
            start = position + 1;
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Undoes `\,` and `\2c` alike. Bytes that are no UTF-8 become a replacement character; comparing needs no more.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
        } else if let [high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            bytes.push(high << 4 | low);
            rest = after;
        } else if let Some((&byte, after)) = rest.split_first() {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts::ldap::predicate::Predicate;
    use crate::config::ldap_syntax;

    #[test]
    fn row_97_values_never_become_filter_syntax() {
        for (value, written) in [
            ("*)(uid=*", r"(uid=\2a\29\28uid\3d\2a)"),
            ("admin)(|(uid=*", r"(uid=admin\29\28\7c\28uid\3d\2a)"),
            (r"\2a", r"(uid=\5c2a)"),
            ("a*", r"(uid=a\2a)"),
            ("\0", r"(uid=\00)"),
            ("å", r"(uid=\c3\a5)"),
        ] {
            assert_eq!(Filter::equal("uid", value).to_string(), written);
        }
    }

    #[test]
    fn row_98_values_never_become_dn_syntax() {
        for (value, written) in [
            ("x,ou=admins", r"uid=x\2cou\3dadmins"),
            ("a+b", r"uid=a\2bb"),
            ("#1", r"uid=\231"),
            (" a ", r"uid=\20a\20"),
            ("\"", r"uid=\22"),
            ("a;b<c>d", r"uid=a\3bb\3cc\3ed"),
            (r"a\b", r"uid=a\5cb"),
        ] {
            assert_eq!(rdn("uid", value), written);
        }
    }

    /// Filters, and what is nearly one.
    fn filters() -> impl Strategy<Value = String> {
        let value = "[a-z0-9*.@ ]{0,6}|[a-z]{0,3}\\\\[0-9a-f]{2}|[(]|\\\\|\\PC{0,4}";
        let item = (
            "[a-zA-Z][a-zA-Z0-9;.-]{0,8}",
            "=|>=|<=|~=|:=|:dn:=|:1.2.3:=|:dn:2.4.6:=|",
            value,
        )
            .prop_map(|(name, sign, value)| format!("({name}{sign}{value})"));
        item.prop_recursive(5, 24, 4, |inner| {
            let sign = proptest::sample::select(vec!["&", "|", "!", "", "& ", "&&"]);
            (sign, proptest::collection::vec(inner, 0..4))
                .prop_map(|(sign, parts)| format!("({sign}{})", parts.concat()))
        })
    }

    /// Attributes and distinguished names, and what is nearly one.
    fn names() -> impl Strategy<Value = String> {
        let pair = "[a-zA-Z]{1,4}=[a-z]{1,4}|[0-9.]{1,5}=[a-z\\\\,+ ]{0,4}|[a-z;=.-]{0,8}";
        proptest::collection::vec(pair, 1..4).prop_map(|pairs| pairs.join(","))
    }

    #[test]
    fn spellings_of_one_dn_are_equal() {
        let name = normalised("cn=DisabledUsersGroup,ou=groups,o=x");
        assert_eq!(normalised("CN = disabledusersgroup , OU=Groups,O=X"), name);
        assert_eq!(normalised(r"cn=Disabled\55sersGroup,ou=groups,o=x"), name);
        assert_ne!(normalised(r"cn=DisabledUsersGroup\,ou=groups,o=x"), name);
        assert_eq!(normalised("a=1+b=2,o=x"), normalised("b=2+a=1,o=x"));
    }

    #[test]
    fn the_entry_above_is_cut_at_the_first_real_comma() {
        assert_eq!(parent(r"cn=a\,b,ou=groups,o=x"), Some("ou=groups,o=x"));
        assert_eq!(parent(r"cn=a\\,o=x"), Some("o=x"));
        assert_eq!(parent("o=x"), None);
    }

    proptest! {
        #[test]
        fn any_value_gives_one_equality_that_the_parser_takes(value in any::<Vec<u8>>()) {
            let filter = Filter::equal("uid", &value).to_string();
            prop_assert_eq!(ldap_syntax::filter(&filter), Ok(()));
            prop_assert_eq!(filter.matches('(').count(), 1);
            prop_assert!(!filter.contains('*'));
        }

        #[test]
        fn any_value_stays_one_rdn_directly_under_the_base(value in "\\PC*|.*") {
            let dn = child("uid", &value, "ou=users,o=x");
            prop_assert_eq!(parent(&dn), Some("ou=users,o=x"));
            prop_assert_eq!(split(&dn, b",;+").len(), 3);
            prop_assert_eq!(unescaped(rdn("uid", &value).strip_prefix("uid=").unwrap()), value);
        }

        #[test]
        fn issue_15_19_a_filter_that_a_check_accepts_is_one_wherever_it_is_used(text in filters()) {
            if text.is_empty() || ldap_syntax::filter(&text).is_err() {
                return Ok(());
            }
            let class = Filter::equal("objectClass", "person");
            let within = [class, Filter::Operator(text.clone())];
            for whole in [Filter::And(within.to_vec()), Filter::Or(within.to_vec())] {
                prop_assert!(ldap3::parse_filter(whole.to_string()).is_ok(), "{whole}");
            }
            prop_assert!(Predicate::parse(&text).is_some(), "{text}");
        }

        #[test]
        fn issue_15_19_a_name_that_a_check_accepts_is_one_wherever_it_is_used(text in names()) {
            if ldap_syntax::attribute(&text).is_ok() {
                let filter = Filter::equal(&text, "value").to_string();
                prop_assert!(ldap3::parse_filter(&filter).is_ok(), "{filter}");
            }
            if ldap_syntax::dn(&text).is_ok() {
                let below = child("uid", "a", &text);
                prop_assert_eq!(parent(&below), Some(text.as_str()));
                let spelled = text.replace(',', " , ");
                if !text.contains('\\') {
                    prop_assert_eq!(normalised(&spelled), normalised(&text));
                }
            }
        }

        #[test]
        fn normalising_takes_any_text(dn in any::<String>()) {
            normalised(&dn);
            parent(&dn);
        }
    }
}
