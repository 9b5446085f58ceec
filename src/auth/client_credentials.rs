//! Whether a token was given to the client itself and not to a person who uses it (RFC 6749 section 4.4).

use serde_json::{Map, Value};

use crate::config::oidc::Issuer;
use crate::model::{ClaimPath, Claims};

/// The client of `PROXY_SERVICE_CLIENTS` whose own token this is. `claims` are what a signature or introspection vouches
/// for, without userinfo: it speaks of persons, and may say what the person chose.
pub(super) fn service_client(claims: &Map<String, Value>, settings: &Issuer) -> Option<String> {
    let claims = Claims(claims.clone());
    let client_id = client_id(&claims)?;
    let is_listed = settings.service_clients.iter().any(|one| one == client_id);
    (is_listed && is_clients_own(&claims, client_id, &settings.user_claim))
        .then(|| client_id.to_owned())
}

/// `azp`, else `client_id`, else `appid`.
pub(super) fn client_id(claims: &Claims) -> Option<&str> {
    ["azp", "client_id", "appid"]
        .iter()
        .find_map(|name| claims.text(name))
}

/// The client id alone does not tell: a person's token has it too, and so may a name that the person chose. Each issuer
/// says it in its own way.
fn is_clients_own(claims: &Claims, client_id: &str, user_claim: &ClaimPath) -> bool {
    let says = |name: &str, value: &str| claims.text(name) == Some(value);
    let subject = claims.text("sub");
    let names_nobody = claims.at(user_claim).is_none_or(Value::is_null);
    // Hydra, Authelia, Kanidm and most others.
    subject == Some(client_id)
        // Keycloak, which adds the client's id for its service account only.
        || (says("preferred_username", &format!("service-account-{client_id}"))
            && (says("client_id", client_id) || says("clientId", client_id)))
        // Pocket ID. Somebody may have such a name elsewhere, but then the token names them.
        || (names_nobody && subject.is_some_and(|sub| sub.strip_prefix("client-") == Some(client_id)))
        // Auth0 and Entra.
        || says("gty", "client-credentials")
        || says("idtyp", "app")
        || (names_nobody && subject.is_none())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::fake_issuer::settings;

    #[test]
    fn issue_14_6_a_clients_own_token_by_each_issuers_mark_and_never_a_persons() {
        let mut settings = settings("https://a.test", "http://127.0.0.1");
        settings.service_clients = vec!["sync".to_owned()];
        for (claims, is_clients) in [
            (json!({"azp": "sync", "sub": "sync"}), true),
            (json!({"client_id": "sync", "sub": "client-sync"}), true),
            (
                json!({"appid": "sync", "idtyp": "app", "sub": "uuid"}),
                true,
            ),
            (
                json!({"azp": "sync", "gty": "client-credentials", "sub": "sync@clients"}),
                true,
            ),
            (json!({"azp": "sync"}), true),
            (
                json!({"azp": "sync", "client_id": "sync", "sub": "uuid", "preferred_username": "service-account-sync"}),
                true,
            ),
            (
                json!({"azp": "sync", "sub": "uuid", "preferred_username": "service-account-sync"}),
                false,
            ),
            (
                json!({"azp": "sync", "sub": "uuid", "preferred_username": "mara"}),
                false,
            ),
            (
                json!({"azp": "sync", "sub": "client-sync", "preferred_username": "client-sync"}),
                false,
            ),
            (json!({"azp": "sync", "sub": "uuid"}), false),
            (json!({"azp": "sync", "preferred_username": "mara"}), false),
            (
                json!({"azp": "other", "client_id": "sync", "sub": "other"}),
                false,
            ),
            (json!({"sub": "sync"}), false),
        ] {
            let found = service_client(claims.as_object().unwrap(), &settings);
            assert_eq!(found.is_some(), is_clients, "{claims}");
        }
    }
}
