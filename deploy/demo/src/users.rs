//! The people of the demo. Their passwords are no secret: the login page and `make demo` print them.

use serde_json::{Value, json};

/// One demo user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// `preferred_username`.
    pub(crate) username: &'static str,
    /// What the login form takes.
    pub(crate) password: &'static str,
    /// `sub`: never the user name, so that a gateway which confuses the two is noticed.
    pub(crate) subject: &'static str,
    name: &'static str,
    email: &'static str,
    roles: &'static [&'static str],
    groups: &'static [&'static str],
}

/// Everybody. The role values are those of OpenCloud's default role mapping.
pub(crate) const USERS: &[User] = &[
    User {
        username: "alan",
        password: "enigma",
        subject: "5d6d2a3e-alan",
        name: "Alan Turing",
        email: "alan@example.org",
        roles: &["opencloudAdmin"],
        groups: &["mathematicians", "runners"],
    },
    User {
        username: "mary",
        password: "basic",
        subject: "91c04f7b-mary",
        name: "Mary Kenneth Keller",
        email: "mary@example.org",
        roles: &["opencloudUser"],
        groups: &["mathematicians"],
    },
];

impl User {
    /// The user with this name and password.
    pub(crate) fn log_in(username: &str, password: &str) -> Option<&'static Self> {
        USERS
            .iter()
            .find(|user| user.username == username && user.password == password)
    }

    /// The user with this `sub`.
    pub(crate) fn by_subject(subject: &str) -> Option<&'static Self> {
        USERS.iter().find(|user| user.subject == subject)
    }

    /// What userinfo tells, and what access and ID tokens carry besides their own claims.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "sub": self.subject,
            "preferred_username": self.username,
            "name": self.name,
            "email": self.email,
            "email_verified": true,
            "roles": self.roles,
            "groups": self.groups,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_opens_its_own_account_only() {
        assert_eq!(
            User::log_in("alan", "enigma").map(|user| user.username),
            Some("alan")
        );
        assert_eq!(User::log_in("alan", "basic"), None);
        assert_eq!(User::log_in("nobody", ""), None);
    }

    #[test]
    fn every_user_is_found_by_subject_and_has_a_role() {
        for user in USERS {
            assert_eq!(User::by_subject(user.subject), Some(user));
            assert!(
                user.claims()["roles"]
                    .as_array()
                    .is_some_and(|roles| !roles.is_empty())
            );
        }
    }
}
