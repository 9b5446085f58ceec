//! What a verified access token has to say (RFC 9068, RFC 7519 section 4.1, docs/design/hardening.md rows 74-82).

use std::time::Duration;

use serde_json::{Map, Value};

use super::claims::has_audience;
use super::discovery::Discovery;
use super::jwk::Publication;
use super::jwk::shown;
use super::jws::Jws;
use super::keys::Keys;
use super::provider::Provider;
use super::{AuthError, hints, subject, token_kind};
use crate::config::oidc::Issuer;
use crate::credentials::BearerToken;
use crate::model::{Reason, UnixTime};

/// The time claims of a token, RFC 7519 section 2 (NumericDate), whole seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) expires_at: Option<UnixTime>,
    pub(super) not_before: Option<UnixTime>,
    pub(super) issued_at: Option<UnixTime>,
}

/// Verifies an access token that is a JWT; with its claims comes the key it was signed with. Claims are checked before the
/// signature where that saves a call.
pub(super) async fn verify(
    token: &BearerToken,
    provider: &Provider,
    keys: &Keys,
) -> Result<(Map<String, Value>, Publication), AuthError> {
    let jws = Jws::parse(token.reveal())?;
    let mut claims = jws.claims()?;
    let discovery = provider.discovery().await?;
    check_issuer(&claims, &provider.settings, &discovery)?;
    let times = Times::read(&claims)?;
    let key = keys.verify(&jws).await?;
    check(&jws, &claims, times, provider)?;
    check_binding(&claims, token, &provider.settings)?;
    subject::read(&mut claims)?;
    Ok((claims, key))
}

/// `iss`, byte for byte; AD FS names itself otherwise in access tokens than in its document.
fn check_issuer(
    claims: &Map<String, Value>,
    settings: &Issuer,
    discovery: &Discovery,
) -> Result<(), AuthError> {
    let expected = discovery
        .access_token_issuer
        .as_deref()
        .unwrap_or(&settings.issuer);
    match claims.get("iss") {
        Some(Value::String(found)) if found == expected => Ok(()),
        Some(Value::String(found)) => {
            let hint = hints::issuer(found, expected);
            Err(AuthError::token(
                Reason::WrongIssuer,
                format!("iss {:?}, expected {expected:?}{hint}", shown(found)),
            ))
        }
        _ => Err(AuthError::token(
            Reason::WrongIssuer,
            "iss is missing or no string",
        )),
    }
}

fn check(
    jws: &Jws<'_>,
    claims: &Map<String, Value>,
    times: Times,
    provider: &Provider,
) -> Result<(), AuthError> {
    let settings = &provider.settings;
    token_kind::check(jws.header.typ.as_deref(), claims, settings)?;
    times.check(settings.leeway, provider.clock.now())?;
    if times.expires_at.is_none() && settings.require_exp {
        return Err(AuthError::token(
            Reason::TokenTimes,
            "exp is missing; PROXY_OIDC_REQUIRE_EXP=false accepts that",
        ));
    }
    check_audience(claims, settings)
}

/// A token that is bound to a key is none for whoever has only its text (docs/design/hardening.md row 82), and one that is bound to
/// none, or to another key, is not proven by this one (RFC 9449 section 7.1). Looked at before anything is cached or written.
pub(super) fn check_binding(
    claims: &Map<String, Value>,
    token: &BearerToken,
    settings: &Issuer,
) -> Result<(), AuthError> {
    let is_bound = claims.get("cnf").is_some_and(|cnf| !cnf.is_null());
    if token.has_proof() {
        return match key_thumbprint(claims) {
            Some(key) if token.possession().is_of(key) => Ok(()),
            Some(_) => Err(AuthError::token(
                Reason::DpopProof,
                "the proof is by another key than the one the token is bound to (cnf.jkt)",
            )),
            None => Err(AuthError::token(
                Reason::DpopProof,
                "the token came with the scheme DPoP but is not bound to a key (cnf.jkt)",
            )),
        };
    }
    if is_bound && !settings.accept_bound_tokens {
        return Err(AuthError::token(
            Reason::BoundToken,
            "the token is bound to a key (cnf) and came as a plain bearer; PROXY_OIDC_ACCEPT_BOUND_TOKENS=true accepts that",
        ));
    }
    Ok(())
}

/// `cnf.jkt`.
pub(super) fn key_thumbprint(claims: &Map<String, Value>) -> Option<&str> {
    claims.get("cnf")?.get("jkt")?.as_str()
}

/// `PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD` and `PROXY_OIDC_AUDIENCES`.
pub(super) fn check_audience(
    claims: &Map<String, Value>,
    settings: &Issuer,
) -> Result<(), AuthError> {
    let in_aud = |wanted: &String| has_audience(claims, wanted);
    let is_azp = |wanted: &String| claims.get("azp").and_then(Value::as_str) == Some(wanted);
    let refused = |setting: &str| {
        let aud = claims
            .get("aud")
            .map_or_else(|| "none".into(), Value::to_string);
        Err(AuthError::token(
            Reason::WrongAudience,
            format!(
                "aud {} is not in {setting}{}",
                shown(&aud),
                hints::audience(claims, settings)
            ),
        ))
    };
    if !settings.verify_aud.is_empty()
        && !settings
            .verify_aud
            .iter()
            .any(|wanted| in_aud(wanted) || is_azp(wanted))
    {
        return refused("PROXY_OIDC_ACCESS_TOKEN_VERIFY_AUD");
    }
    if !settings.audiences.is_empty() && !settings.audiences.iter().any(in_aud) {
        return refused("PROXY_OIDC_AUDIENCES");
    }
    Ok(())
}

impl Times {
    /// Reads `exp`, `nbf` and `iat`.
    ///
    /// # Errors
    /// [`AuthError::Token`] with `token_times` if one is there and is no time.
    pub(super) fn read(claims: &Map<String, Value>) -> Result<Self, AuthError> {
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => numeric_date(value).map(Some).ok_or_else(|| {
                AuthError::token(
                    Reason::TokenTimes,
                    format!("{name} is {}", shown(&value.to_string())),
                )
            }),
        };
        Ok(Self {
            expires_at: time("exp")?,
            not_before: time("nbf")?,
            issued_at: time("iat")?,
        })
    }

    /// Whether now is between `nbf` and `exp`, give or take the leeway. A future `iat` alone never refuses.
    ///
    /// # Errors
    /// [`AuthError::Token`] saying which.
    pub(super) fn check(self, leeway: Duration, now: UnixTime) -> Result<(), AuthError> {
        if let Some(exp) = self.expires_at
            && exp.plus(leeway) <= now
        {
            return Err(AuthError::token(
                Reason::TokenExpired,
                format!("exp {} is {} s ago", exp.0, now.since(exp).as_secs()),
            ));
        }
        match self.not_before {
            Some(nbf) if nbf > now.plus(leeway) => Err(AuthError::token(
                Reason::TokenNotYetValid,
                format!("nbf {} is {} s ahead", nbf.0, nbf.since(now).as_secs()),
            )),
            _ => Ok(()),
        }
    }
}

/// A NumericDate: a non-negative number, possibly with a fraction, which is cut off.
pub(super) fn numeric_date(value: &Value) -> Option<UnixTime> {
    let number = value.as_number()?;
    if let Some(whole) = number.as_i64() {
        return (whole >= 0).then_some(UnixTime(whole));
    }
    // 2^53: beyond it a double has no whole seconds any more.
    let float = number.as_f64()?;
    (!number.is_u64() && (0.0..=9_007_199_254_740_992.0).contains(&float))
        .then_some(UnixTime(float as i64))
}
