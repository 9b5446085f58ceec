//! What the operator's filter says of an entry that does not exist yet (RFC 4515, RFC 4511 section 4.5.1.7).

use super::connection::Attributes;

/// A filter that was taken apart, to be held against the attributes of an entry to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Predicate {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Present(String),
    /// Attribute, and the pieces between the asterisks; one piece is plain equality.
    Like(String, Vec<Vec<u8>>),
    /// Ordering and extensible matches, which need the server's schema.
    Unknown,
}

/// What the server makes by itself when an entry is added, or may compute: nothing is known about it before.
const OF_THE_SERVER: [&str; 29] = [
    "createtimestamp",
    "creatorsname",
    "distinguishedname",
    "entrydn",
    "entryuuid",
    "hassubordinates",
    "instancetype",
    "modifiersname",
    "modifytimestamp",
    "name",
    "nsaccountlock",
    "nsuniqueid",
    "numsubordinates",
    "objectcategory",
    "objectguid",
    "objectsid",
    "primarygroupid",
    "pwdchangedtime",
    "pwdpolicysubentry",
    "samaccountname",
    "samaccounttype",
    "structuralobjectclass",
    "subschemasubentry",
    "useraccountcontrol",
    "usnchanged",
    "usncreated",
    "whenchanged",
    "whencreated",
    "objectclass",
];

impl Predicate {
    /// Takes a filter apart; `None` if it is none. It is the library that decides at the start whether it is one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let parsed = Self::filter(&mut rest, 0)?;
        rest.trim().is_empty().then_some(parsed)
    }

    fn filter(rest: &mut &str, depth: u8) -> Option<Self> {
        // No server takes as deep a filter; `None` is for what is none.
        if depth > 64 {
            return None;
        }
        *rest = rest.trim_start().strip_prefix('(')?.trim_start();
        let parsed = match rest.chars().next()? {
            sign @ ('&' | '|') => {
                *rest = rest.get(1..)?;
                let mut parts = Vec::new();
                while rest.trim_start().starts_with('(') {
                    parts.push(Self::filter(rest, depth + 1)?);
                }
                if sign == '&' {
                    Self::And(parts)
                } else {
                    Self::Or(parts)
                }
            }
            '!' => {
                *rest = rest.get(1..)?;
                Self::Not(Box::new(Self::filter(rest, depth + 1)?))
            }
            _ => {
                let (item, after) = rest.split_once(')')?;
                *rest = after;
                return Self::item(item);
            }
        };
        *rest = rest.trim_start().strip_prefix(')')?;
        Some(parsed)
    }

    fn item(item: &str) -> Option<Self> {
        let (attribute, value) = item.split_once('=')?;
        if attribute.ends_with(['<', '>', '~', ':']) || attribute.contains([':', ';']) {
            return Some(Self::Unknown);
        }
        let attribute = attribute.trim().to_ascii_lowercase();
        if value == "*" {
            return Some(Self::Present(attribute));
        }
        let pieces = value.split('*').map(unescaped);
        Some(Self::Like(attribute, pieces.collect::<Option<_>>()?))
    }

    /// Whether the entry would match; `None` if only the server knows.
    pub(super) fn holds(&self, entry: &Attributes) -> Option<bool> {
        match self {
            Self::And(parts) => all(parts.iter().map(|part| part.holds(entry))),
            Self::Or(parts) => {
                let none = all(parts.iter().map(|part| part.holds(entry).map(|held| !held)));
                none.map(|none| !none)
            }
            Self::Not(part) => part.holds(entry).map(|held| !held),
            Self::Present(name) => {
                let is_there = entry
                    .iter()
                    .any(|(known, _)| known.eq_ignore_ascii_case(name));
                (is_there || !is_of_the_server(name)).then_some(is_there)
            }
            Self::Like(name, pieces) => {
                let mut values = entry
                    .iter()
                    .filter(|(known, _)| known.eq_ignore_ascii_case(name))
                    .flat_map(|(_, values)| values);
                let matches = values.any(|value| is_like(value.as_bytes(), pieces));
                (matches || !is_of_the_server(name)).then_some(matches)
            }
            Self::Unknown => None,
        }
    }
}

/// False as soon as one is, else unknown if one is.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut outcome = Some(true);
    for part in parts {
        match part {
            Some(false) => return Some(false),
            Some(true) => {}
            None => outcome = None,
        }
    }
    outcome
}

fn is_of_the_server(name: &str) -> bool {
    OF_THE_SERVER.contains(&name)
}

/// As directories compare most text: without case, with blanks that do not matter.
fn is_like(value: &[u8], pieces: &[Vec<u8>]) -> bool {
    let prepared = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let value = prepared(value);
    let pieces: Vec<String> = pieces.iter().map(|piece| prepared(piece)).collect();
    let (first, last) = match pieces.as_slice() {
        [] => return false,
        [only] => return value == *only,
        [first, .., last] => (first, last),
    };
    let Some(mut rest) = value.strip_prefix(first.as_str()) else {
        return false;
    };
    for piece in pieces.get(1..pieces.len() - 1).unwrap_or_default() {
        match rest.find(piece.as_str()) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// `\\xx` back to bytes (RFC 4515 section 3).
fn unescaped(piece: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(piece.len());
    let mut rest = piece.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn entry() -> Attributes {
        let set = |values: &[&str]| {
            values
                .iter()
                .map(|v| (*v).to_owned())
                .collect::<HashSet<_>>()
        };
        vec![
            (
                "objectClass".to_owned(),
                set(&["top", "inetOrgPerson", "openCloudUser"]),
            ),
            ("uid".to_owned(), set(&["mara"])),
            ("mail".to_owned(), set(&["Mara.K@Corp.test"])),
            ("displayName".to_owned(), set(&["Mara  (Ops) * Lindqvist"])),
        ]
    }

    #[test]
    fn issue_15_17_a_filter_is_held_against_an_entry_to_be() {
        for (filter, expected) in [
            ("(uid=mara)", Some(true)),
            ("(UID=MARA)", Some(true)),
            ("(uid=alan)", Some(false)),
            ("(uid=*)", Some(true)),
            ("(mail=*@corp.test)", Some(true)),
            ("(mail=mara*corp*)", Some(true)),
            ("(mail=*@other.test)", Some(false)),
            ("(displayName=mara \\28ops\\29 \\2a lindqvist)", Some(true)),
            ("(memberOf=cn=cloud,ou=groups)", Some(false)),
            ("(!(memberOf=cn=blocked,ou=groups))", Some(true)),
            ("(!(uid=svc-*))", Some(true)),
            ("(!(uid=m*))", Some(false)),
            ("(&(objectClass=openCloudUser)(uid=mara))", Some(true)),
            // A superclass that nobody names.
            ("(objectClass=somethingAbove)", None),
            ("(&(objectClass=somethingAbove)(uid=alan))", Some(false)),
            ("(|(objectClass=somethingAbove)(uid=mara))", Some(true)),
            ("(!(objectClass=somethingAbove))", None),
            ("(entryUUID=*)", None),
            ("(userAccountControl:1.2.840.113556.1.4.803:=2)", None),
            ("(!(userAccountControl:1.2.840.113556.1.4.803:=2))", None),
            ("(uidNumber>=1000)", None),
            ("(employeeType=cloud)", Some(false)),
            ("(&)", Some(true)),
            ("(|)", Some(false)),
            (" ( & (uid=mara) ( ! (uid=alan) ) ) ", Some(true)),
        ] {
            let predicate = Predicate::parse(filter).unwrap_or_else(|| panic!("{filter}"));
            assert_eq!(predicate.holds(&entry()), expected, "{filter}");
        }
        for none in [
            "",
            "uid=mara",
            "(uid=mara",
            "(uid)",
            "(uid=mara))",
            "(uid=\\zz)",
        ] {
            assert_eq!(Predicate::parse(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_none(text in "\\PC{0,40}|[()&|!*=a-c\\\\0-9]{0,40}") {
            if let Some(predicate) = Predicate::parse(&text) {
                predicate.holds(&entry());
            }
        }

        #[test]
        fn a_value_is_like_itself_and_its_ends(value in "[a-z]{1,12}", cut in 0_usize..12) {
            let (start, end) = value.split_at(cut.min(value.len()));
            let pieces = [start.as_bytes().to_vec(), end.as_bytes().to_vec()];
            prop_assert!(is_like(value.as_bytes(), &pieces));
            prop_assert!(is_like(value.to_uppercase().as_bytes(), &[value.clone().into_bytes()]));
        }
    }
}
