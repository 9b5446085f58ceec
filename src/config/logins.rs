//! Which credentials are taken besides access tokens.

/// Those that the CS3 gateway checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Logins {
    /// User name and password.
    pub passwords: bool,
    /// User name and a password made for one application.
    pub app_passwords: bool,
}
