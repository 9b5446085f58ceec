use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use super::Role;

/// A user as the account backend holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// Opaque, never reassigned id (`openCloudUUID`); `user.id.opaque_id` of the reva token.
    pub id: String,
    /// Login name (`uid`).
    pub username: String,
    /// Further login names, where the directory's attribute has several values.
    pub aliases: Vec<String>,
    /// Name shown to people.
    pub display_name: String,
    /// Mail address, absent for users without one.
    pub mail: Option<String>,
    /// Member, guest or lightweight (docs/design/contract.md 7.2).
    pub user_type: UserType,
    /// `false` once an administrator shut the account out.
    pub enabled: bool,
    /// Every group the account is in, claimed or not.
    pub groups: Vec<Group>,
    /// The role kept with the account, if any.
    pub role: Option<StoredRole>,
    /// (issuer, subject) pairs that own this account.
    pub identities: Vec<ExternalIdentity>,
    /// Id of the tenant the account belongs to, where the directory has tenants (docs/design/contract.md 9.5).
    pub tenant: Option<String>,
    /// POSIX ids where the directory has them.
    pub uid_number: Option<i64>,
    /// POSIX group id where the directory has one.
    pub gid_number: Option<i64>,
}

impl Account {
    /// Bytes it takes, those of the struct included.
    pub(crate) fn weight(&self) -> usize {
        let texts = [&self.id, &self.username, &self.display_name].map(String::len);
        let optional = [&self.mail, &self.tenant].map(|text| text.as_ref().map_or(0, String::len));
        let groups = self.groups.iter();
        let groups = groups.map(|group| size_of::<Group>() + group.id.len() + group.name.len());
        let identities = self.identities.iter().map(|identity| {
            size_of::<ExternalIdentity>() + identity.issuer.len() + identity.subject.len()
        });
        let rest = groups.chain(identities).chain(texts).chain(optional);
        size_of::<Self>() + rest.sum::<usize>()
    }
}

/// A group an account is a member of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// Opaque id; what backends know the group by.
    pub id: String,
    /// Name shown to people (`cn`).
    pub name: String,
}

/// Kind of account, docs/design/contract.md 7.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum UserType {
    /// CS3 `PRIMARY` (1).
    #[default]
    Member,
    /// CS3 `GUEST` (5).
    Guest,
    /// CS3 `LIGHTWEIGHT` (7): without storage of their own.
    Lightweight,
}

/// What the role attribute of an account holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoredRole {
    /// One of our role names.
    Known(Role),
    /// Several of them, which a store keeps after two writers at once; this is the most privileged one. It is written once
    /// more, so that one is left.
    Several(Role),
    /// Somebody else's data; never overwritten (docs/design/design.md 2, Roles).
    Foreign(String),
}

/// Who an account belongs to at an issuer. Compared byte for byte: LDAP's own comparison ignores case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExternalIdentity {
    /// The issuer as configured.
    pub issuer: String,
    /// The `sub` claim.
    pub subject: String,
}

/// The form in which two user names are the same person: NFKC, case folding, trimmed
/// (docs/design/design.md 2, User names): ` ａdmin` and `ADMIN` are.
#[must_use]
pub(crate) fn canonical_name(name: &str) -> String {
    let folded: String = name.nfkc().default_case_fold().nfkc().collect();
    folded.trim().to_owned()
}
