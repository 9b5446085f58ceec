//! A user name and a password (RFC 7617 section 2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::CredentialError;

/// What stands in `Authorization: Basic`. The password is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    user: String,
    secret: Zeroizing<String>,
}

impl Password {
    /// A user name and a password.
    #[must_use]
    pub fn new(user: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            secret: Zeroizing::new(secret.into()),
        }
    }

    /// Reads what follows the scheme. The first colon ends the user name; UTF-8 is what our challenge asks for.
    ///
    /// # Errors
    /// [`CredentialError::Malformed`]
    pub fn read(encoded: &[u8]) -> Result<Self, CredentialError> {
        let malformed = CredentialError::Malformed("not user and password in base64 and UTF-8");
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| malformed)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed)?;
        if text.chars().any(char::is_control) {
            return Err(malformed);
        }
        let (user, secret) = text.split_once(':').ok_or(malformed)?;
        Ok(Self::new(user, secret))
    }

    /// The user name as it was typed.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password, for who checks it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_118_the_first_colon_ends_the_user_name() {
        let read = |text: &str| Password::read(STANDARD.encode(text).as_bytes());
        let password = read("mara:a:b ü").unwrap();
        assert_eq!((password.user(), password.reveal()), ("mara", "a:b ü"));
        assert_eq!(read(":").unwrap(), Password::new("", ""));
        for bad in ["mara", "", "mara:a\nb", "ma\0ra:b"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        assert!(Password::read(b"%%%").is_err());
        assert!(Password::read(STANDARD.encode(b"a:\xff").as_bytes()).is_err());
        assert_eq!(format!("{password:?}"), "Password(***)");
    }
}
