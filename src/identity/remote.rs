//! Plain `Remote-*` headers, for web applications that know no tokens.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::IdentityError;
use super::source::header;
use crate::headers::RemoteHeaders;
use crate::model::Account;

/// Longest `Remote-Groups`; a person with more is refused where a route wants them (docs/design/design.md 2, Headers).
pub(crate) const MAX_REMOTE_GROUPS: usize = 8 * 1024;

/// Everything outside printable ASCII, and what the encoding itself needs.
const REMOTE: &AsciiSet = &CONTROLS.add(b',').add(b'%').add(0x7f);

/// What `Remote-*` say of an account.
///
/// # Errors
/// [`IdentityError::Ours`] if a value is none for a header in spite of its encoding.
pub(crate) fn remote_headers(account: &Account) -> Result<RemoteHeaders, IdentityError> {
    let groups: Vec<_> = account
        .groups
        .iter()
        .map(|group| encode(&group.name))
        .collect();
    Ok(RemoteHeaders {
        account_id: header(&encode(&account.id))?,
        user: header(&encode(&account.username))?,
        name: header(&encode(&account.display_name))?,
        email: account
            .mail
            .as_deref()
            .map(|mail| header(&encode(mail)))
            .transpose()?,
        groups: header(&groups.join(","))?,
    })
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, REMOTE).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Group, UserType};

    fn with_groups(groups: Vec<Group>) -> Account {
        Account {
            id: "b1f74ec4-dd7e-11ef-a543-03775734d0f7".into(),
            username: "alan".into(),
            aliases: Vec::new(),
            display_name: "Alan Türing, 100%".into(),
            mail: Some("alan@example.org".into()),
            user_type: UserType::Member,
            enabled: true,
            groups,
            role: None,
            identities: Vec::new(),
            tenant: None,
            uid_number: None,
            gid_number: None,
        }
    }

    fn group(name: String) -> Group {
        Group {
            id: name.clone(),
            name,
        }
    }

    #[test]
    fn remote_headers_encode_what_is_not_printable_ascii() {
        let remote = remote_headers(&with_groups(vec![group("a,b".into())])).unwrap();
        assert_eq!(remote.name, "Alan T%C3%BCring%2C 100%25");
        assert_eq!(remote.groups, "a%2Cb");
    }

    #[test]
    fn more_than_8_kib_of_groups_can_be_told() {
        let many = (0..500).map(|n| group(format!("group-with-a-long-name-{n}")));
        let remote = remote_headers(&with_groups(many.collect())).unwrap();
        assert!(remote.groups.len() > MAX_REMOTE_GROUPS);
    }
}
