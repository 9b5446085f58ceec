//! What an LDAP filter, an attribute name and a distinguished name look like. The filter is read by the library that sends
//! it later, so that nothing passes here that would stop the start or fail at the first login.

/// A search filter with its brackets (RFC 4515); empty holds always.
pub(crate) fn filter(text: &str) -> Result<(), String> {
    let bracketed = text.starts_with('(') && text.ends_with(')');
    if text.is_empty() || bracketed && ldap3::parse_filter(text).is_ok() {
        return Ok(());
    }
    let hint = if bracketed {
        "brackets have to match, and ( ) * \\ in values are written \\28 \\29 \\2a \\5c"
    } else {
        "it needs brackets around it, such as (objectClass=person)"
    };
    Err(format!("is {text:?}, which is no LDAP filter; {hint}"))
}

/// An attribute's name or number, with options (RFC 4512 section 2.5).
pub(crate) fn attribute(text: &str) -> Result<(), String> {
    let mut parts = text.split(';');
    let name = parts.next().unwrap_or_default();
    let is_keyword = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let is_name = is_keyword(name) && name.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_number = !name.is_empty()
        && name
            .split('.')
            .all(|arc| !arc.is_empty() && arc.bytes().all(|digit| digit.is_ascii_digit()));
    if (is_name || is_number) && parts.all(is_keyword) {
        Ok(())
    } else {
        Err(format!(
            "is {text:?}, which is no name of an LDAP attribute; letters, digits and - as in mail or employeeType"
        ))
    }
}

/// A distinguished name (RFC 4514).
pub(crate) fn dn(text: &str) -> Result<(), String> {
    let wrong = || {
        format!(
            "is {text:?}, which is no distinguished name; write it as ou=users,dc=example,dc=org"
        )
    };
    for pair in pairs(text).ok_or_else(wrong)? {
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        attribute(name.trim()).map_err(|_| wrong())?;
        if value.trim().is_empty() {
            return Err(wrong());
        }
    }
    Ok(())
}

/// The `attribute=value` pairs; `None` if an escape is not one.
fn pairs(text: &str) -> Option<Vec<&str>> {
    let (mut pairs, mut start, mut rest) = (Vec::new(), 0, text.char_indices());
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' => {
                let (_, escaped) = rest.next()?;
                if escaped.is_ascii_hexdigit() {
                    rest.next().filter(|(_, digit)| digit.is_ascii_hexdigit())?;
                } else if !" \"#+,;<=>\\".contains(escaped) {
                    return None;
                }
            }
            ',' | ';' | '+' => {
                pairs.push(&text[start..at]);
                start = at + 1;
            }
            '"' | '<' | '>' => return None,
            _ => {}
        }
    }
    pairs.push(&text[start..]);
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filters_have_brackets_that_match() {
        for text in [
            "",
            "(a=b)",
            "(&(objectClass=person)(!(cn=x*)))",
            "(mail=a\\2ab)",
        ] {
            assert_eq!(filter(text), Ok(()), "{text}");
        }
        for text in [
            "a=b", "(a=b", "(a=b))", "((a=b)", "()", "(&)x", "(a)", "(cn=a(b)", " (a=b)",
        ] {
            assert!(filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn attributes_are_names_or_numbers() {
        for text in ["mail", "employeeType", "1.3.6.1.4", "cn;lang-de", "x-a1"] {
            assert_eq!(attribute(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "employee type",
            "1mail",
            "mail=",
            "a_b",
            "é",
            "cn;",
            "1..2",
            "(cn",
        ] {
            assert!(attribute(text).is_err(), "{text}");
        }
    }

    #[test]
    fn distinguished_names_are_pairs() {
        for text in [
            "dc=example",
            "ou=users,o=libregraph-idm",
            "cn=a\\,b + uid=x, dc=y",
            "cn=\\c3\\a9,dc=x",
        ] {
            assert_eq!(dn(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "users",
            "ou=users,",
            "ou=,dc=x",
            "ou=users dc=x,y",
            "cn=a\\xb,dc=x",
            "ou=\"a\"",
            "=x",
            "cn=a\\",
        ] {
            assert!(dn(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in r#"[a-z0-9=,;+\\ "é()&|!*.-]{0,24}"#) {
            let _ = (filter(&text), attribute(&text), dn(&text));
        }
    }
}
