//! What people granted to clients: authorization codes, good once, and refresh tokens, replaced at each use.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::tokens::{now, random, sha256};
use crate::users::User;

/// Seconds between the login and the redemption of the code (RFC 6749 section 4.1.2 allows ten minutes).
const CODE_LIFETIME: u64 = 60;

/// One login of one person at one client.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// Who logged in.
    pub(crate) user: &'static User,
    /// The scopes granted, separated by blanks.
    pub(crate) scope: String,
    /// The client's `nonce`, repeated in the ID token.
    pub(crate) nonce: Option<String>,
    /// Names the login; all its tokens end together.
    pub(crate) sid: String,
    /// When it was.
    pub(crate) auth_time: u64,
}

/// What the authorization request was bound to, and the token request has to show.
#[derive(Debug)]
pub(crate) struct Binding {
    /// The very string of the authorization request.
    pub(crate) redirect_uri: String,
    /// S256 challenge (RFC 7636).
    pub(crate) code_challenge: String,
}

/// All grants, in memory.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    codes: HashMap<String, Code>,
    refresh_tokens: HashMap<String, RefreshToken>,
}

#[derive(Debug)]
struct Code {
    grant: Grant,
    binding: Binding,
    expires: u64,
}

#[derive(Debug)]
struct RefreshToken {
    grant: Grant,
    used: bool,
}

impl Grants {
    /// A code for this grant.
    pub(crate) fn issue_code(&self, grant: Grant, binding: Binding) -> anyhow::Result<String> {
        let code = random()?;
        let mut inner = self.lock();
        inner.codes.retain(|_, code| code.expires > now());
        let expires = now() + CODE_LIFETIME;
        inner.codes.insert(
            code.clone(),
            Code {
                grant,
                binding,
                expires,
            },
        );
        Ok(code)
    }

    /// The grant of a code, once, to who knows the verifier. A wrong guess spends the code too.
    pub(crate) fn redeem_code(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Option<Grant> {
        let Code {
            grant,
            binding,
            expires,
        } = self.lock().codes.remove(code)?;
        let bound = binding.redirect_uri == redirect_uri
            && binding.code_challenge == sha256(verifier.as_bytes());
        (bound && expires > now()).then_some(grant)
    }

    /// A refresh token for this grant.
    pub(crate) fn issue_refresh_token(&self, grant: &Grant) -> anyhow::Result<String> {
        let token = random()?;
        let entry = RefreshToken {
            grant: grant.clone(),
            used: false,
        };
        self.lock().refresh_tokens.insert(token.clone(), entry);
        Ok(token)
    }

    /// The grant of a refresh token, once. A second use means that somebody copied it: the login ends
    /// (RFC 9700 section 4.14.2).
    pub(crate) fn redeem_refresh_token(&self, token: &str) -> Option<Grant> {
        let mut inner = self.lock();
        let entry = inner.refresh_tokens.get_mut(token)?;
        let grant = entry.grant.clone();
        if std::mem::replace(&mut entry.used, true) {
            inner
                .refresh_tokens
                .retain(|_, other| other.grant.sid != grant.sid);
            return None;
        }
        Some(grant)
    }

    /// Whether the login still stands.
    pub(crate) fn is_live(&self, sid: &str) -> bool {
        self.lock()
            .refresh_tokens
            .values()
            .any(|entry| entry.grant.sid == sid)
    }

    /// Logout: nothing of this login is good any more.
    pub(crate) fn end(&self, sid: &str) {
        self.lock()
            .refresh_tokens
            .retain(|_, entry| entry.grant.sid != sid);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change of the maps is one call, so a panic elsewhere leaves them whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::USERS;

    fn grant(sid: &str) -> Grant {
        Grant {
            user: &USERS[0],
            scope: "openid".into(),
            nonce: None,
            sid: sid.into(),
            auth_time: now(),
        }
    }

    fn binding() -> Binding {
        Binding {
            redirect_uri: "http://127.0.0.1/".into(),
            code_challenge: sha256(b"verifier"),
        }
    }

    #[test]
    fn a_code_is_good_once() {
        let grants = Grants::default();
        let code = grants.issue_code(grant("1"), binding()).unwrap();
        assert!(
            grants
                .redeem_code(&code, "http://127.0.0.1/", "verifier")
                .is_some()
        );
        assert!(
            grants
                .redeem_code(&code, "http://127.0.0.1/", "verifier")
                .is_none()
        );
    }

    #[test]
    fn a_code_is_bound_to_verifier_and_redirect() {
        let grants = Grants::default();
        for (redirect_uri, verifier) in [
            ("http://127.0.0.1/", "guess"),
            ("http://127.0.0.1/other", "verifier"),
        ] {
            let code = grants.issue_code(grant("1"), binding()).unwrap();
            assert!(grants.redeem_code(&code, redirect_uri, verifier).is_none());
            assert!(
                grants
                    .redeem_code(&code, "http://127.0.0.1/", "verifier")
                    .is_none(),
                "spent by the guess"
            );
        }
    }

    #[test]
    fn a_refresh_token_used_twice_ends_the_login() {
        let grants = Grants::default();
        let first = grants.issue_refresh_token(&grant("1")).unwrap();
        let other_login = grants.issue_refresh_token(&grant("2")).unwrap();
        let granted = grants.redeem_refresh_token(&first).unwrap();
        let second = grants.issue_refresh_token(&granted).unwrap();
        assert!(grants.redeem_refresh_token(&first).is_none());
        assert!(
            grants.redeem_refresh_token(&second).is_none(),
            "went with the login"
        );
        assert!(!grants.is_live("1"));
        assert!(grants.redeem_refresh_token(&other_login).is_some());
    }

    #[test]
    fn logout_ends_one_login() {
        let grants = Grants::default();
        let mine = grants.issue_refresh_token(&grant("1")).unwrap();
        grants.issue_refresh_token(&grant("2")).unwrap();
        grants.end("1");
        assert!(grants.redeem_refresh_token(&mine).is_none());
        assert!(!grants.is_live("1") && grants.is_live("2"));
    }
}
