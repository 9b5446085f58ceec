//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 section 2.4 and 2.6).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::claims::has_audience;
use super::jwk::shown;
use super::jws::Jws;
use super::jwt::Times;
use super::keys::Keys;
use super::provider::Provider;
use super::{AuthError, subject};
use crate::model::{Reason, UnixTime};

/// The member of `events` that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Older logout tokens are refused, docs/design/design.md 2.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// Which sessions end. Replicas tell each other of it as it is, but for the position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logout {
    /// Position of the issuer in the configuration.
    #[serde(skip)]
    pub issuer: usize,
    /// If there is no `sid`, the tokens of this subject.
    pub subject: Option<String>,
    /// The tokens of this session.
    pub sid: Option<String>,
    /// When the logout happened, by the issuer's clock.
    pub issued_at: UnixTime,
    /// Refresh tokens with `offline_access` end too (Keycloak's word): nothing comes after the session any more.
    pub ends_offline_access: bool,
}

/// Verifies a logout token of one issuer.
///
/// # Errors
/// [`AuthError::Token`] is 400 at the logout endpoint; [`AuthError::Unavailable`] asks the issuer to repeat.
pub(super) async fn verify(
    token: &str,
    issuer: usize,
    provider: &Provider,
    keys: &Keys,
) -> Result<Logout, AuthError> {
    let jws = Jws::parse(token)?;
    let mut claims = jws.claims()?;
    let settings = &provider.settings;
    match claims.get("iss") {
        Some(Value::String(iss)) if *iss == settings.issuer => {}
        other => {
            return Err(AuthError::token(
                Reason::WrongIssuer,
                format!(
                    "logout token: iss {}, expected {:?}",
                    shown(&other.map(Value::to_string).unwrap_or_default()),
                    settings.issuer
                ),
            ));
        }
    }
    check_kind(jws.header.typ.as_deref(), &claims)?;
    let times = Times::read(&claims)?;
    let issued_at = times
        .issued_at
        .ok_or_else(|| AuthError::token(Reason::TokenTimes, "logout token: iat is missing"))?;
    let now = provider.clock.now();
    if now.since(issued_at) > MAX_AGE + settings.leeway {
        return Err(AuthError::token(
            Reason::TokenExpired,
            "logout token: issued more than an hour ago",
        ));
    }
    times.check(settings.leeway, now)?;
    if !settings.logout_audiences.is_empty()
        && !settings
            .logout_audiences
            .iter()
            .any(|wanted| has_audience(&claims, wanted))
    {
        return Err(AuthError::token(
            Reason::WrongAudience,
            "logout token: aud is not in PROXY_OIDC_LOGOUT_AUDIENCES",
        ));
    }
    keys.verify(&jws).await?;
    subject::read(&mut claims).map_err(|error| wrong(&error.to_string()))?;
    let text = |name: &str| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then(|| text.clone())),
        Some(_) => Err(wrong(&format!("{name} is no string"))),
    };
    let (subject, sid) = (text("sub")?, text("sid")?);
    if subject.is_none() && sid.is_none() {
        return Err(wrong("neither sub nor sid"));
    }
    Ok(Logout {
        issuer,
        subject,
        sid,
        issued_at,
        ends_offline_access: ends_offline_access(&claims),
    })
}

/// `revoke_offline_access`, beside the event or in it.
fn ends_offline_access(claims: &Map<String, Value>) -> bool {
    let events = claims.get("events").and_then(Value::as_object);
    let event = events.and_then(|events| events.get(EVENT)?.as_object());
    [events, event].into_iter().flatten().any(|place| {
        let flag = place.get("revoke_offline_access");
        flag.is_some_and(|flag| *flag == true || *flag == "true")
    })
}

/// What makes it a logout token and nothing else.
fn check_kind(typ: Option<&str>, claims: &Map<String, Value>) -> Result<(), AuthError> {
    if let Some(typ) = typ
        && typ.ends_with("+jwt")
        && typ != "logout+jwt"
    {
        return Err(wrong(&format!("header typ {}", shown(typ))));
    }
    if claims.contains_key("nonce") {
        return Err(wrong("nonce is not allowed"));
    }
    match claims.get("events") {
        Some(Value::Object(events)) if events.get(EVENT).is_some_and(Value::is_object) => Ok(()),
        _ => Err(wrong("no logout event")),
    }
}

fn wrong(detail: &str) -> AuthError {
    AuthError::token(Reason::WrongTokenType, format!("logout token: {detail}"))
}
