use std::fmt;

/// The one role an account has, most privileged first. Ids are those every OpenCloud and oCIS knows
/// (docs/design/contract.md 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// May do everything.
    Admin,
    /// May manage project spaces.
    SpaceAdmin,
    /// A regular user.
    User,
    /// A guest, called `guest` in some documentation.
    UserLight,
}

impl Role {
    /// All roles, most privileged first.
    pub const ALL: [Self; 4] = [Self::Admin, Self::SpaceAdmin, Self::User, Self::UserLight];

    /// The role's name as in a role mapping.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::SpaceAdmin => "spaceadmin",
            Self::User => "user",
            Self::UserLight => "user-light",
        }
    }

    /// The role's id as backends know it.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Admin => "71881883-1768-46bd-a24d-a356a2afdf7f",
            Self::SpaceAdmin => "2aadd357-682c-406b-8874-293091995fdd",
            Self::User => "d7beeea8-8ff4-406b-8fb6-ab2dd81e6b11",
            Self::UserLight => "38071a68-456a-4553-846a-fa67bf5596cc",
        }
    }

    /// The role of exactly that name; `guest` is not one (the configuration reads it as `user-light`).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether an account with this role may not be claimed by name alone (docs/design/design.md 2, Account identity).
    #[must_use]
    pub const fn is_privileged(self) -> bool {
        matches!(self, Self::Admin | Self::SpaceAdmin)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
