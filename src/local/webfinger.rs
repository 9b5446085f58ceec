//! Webfinger (RFC 7033) for clients that look for their issuer and, by platform, their client id and scopes
//! (contract-delta.md A.3).

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use http::{HeaderValue, Response};
use serde_json::{Value, json};

use crate::body::Body;
use crate::config::Webfinger;
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::process::Snapshot;
use crate::routes::RouteError;

/// OpenID Connect Discovery 1.0 section 2.
const ISSUER: &str = "http://openid.net/specs/connect/1.0/issuer";
const INSTANCE: &str = "http://webfinger.opencloud/rel/server-instance";
const CLIENT_ID: &str = "http://opencloud.eu/ns/oidc/client_id";
const SCOPES: &str = "http://opencloud.eu/ns/oidc/scopes";

pub(super) fn answer(
    snapshot: &Snapshot,
    head: &CleanHead,
) -> Result<Response<Body>, GatewayError> {
    let Some(settings) = &snapshot.config.webfinger else {
        return Err(RouteError::NoRoute.into());
    };
    let mut query = Query::default();
    for (name, value) in
        url::form_urlencoded::parse(head.uri().query().unwrap_or_default().as_bytes())
    {
        match &*name {
            "resource" => query.resource = Some(value.into_owned()),
            "rel" => query.relations.push(value.into_owned()),
            "platform" => query.platform = Some(value.into_owned()),
            _ => {}
        }
    }
    let Some(resource) = query
        .resource
        .as_deref()
        .filter(|resource| !resource.is_empty())
    else {
        // RFC 7033 section 4.2.
        return Err(RouteError::BadTarget.into());
    };
    let mut response = super::json(document(settings, resource, &query).to_string());
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/jrd+json"),
    );
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}

#[derive(Default)]
struct Query {
    resource: Option<String>,
    relations: Vec<String>,
    platform: Option<String>,
}

fn document(settings: &Webfinger, resource: &str, query: &Query) -> Value {
    let wanted = |relation: &str| {
        query.relations.is_empty() || query.relations.iter().any(|one| one == relation)
    };
    let mut links = Vec::new();
    if wanted(ISSUER) {
        links.push(json!({"rel": ISSUER, "href": settings.issuer}));
    }
    if wanted(INSTANCE) {
        links.push(json!({"rel": INSTANCE, "href": settings.instance_url}));
    }
    let mut document = json!({"subject": resource, "links": links});
    let client = settings
        .clients
        .iter()
        .find(|client| Some(&client.platform) == query.platform.as_ref());
    if let Some(client) = client.filter(|_| wanted(ISSUER)) {
        document["properties"] = json!({CLIENT_ID: client.client_id, SCOPES: client.scopes});
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WebfingerClient;

    fn settings() -> Webfinger {
        let client = WebfingerClient {
            platform: "desktop".into(),
            client_id: "Desk".into(),
            scopes: vec!["openid".into()],
        };
        Webfinger {
            issuer: "https://idp.example".into(),
            instance_url: "https://cloud.example".into(),
            clients: vec![client],
        }
    }

    #[test]
    fn a_known_platform_gets_its_client_and_scopes() {
        let query = Query {
            platform: Some("desktop".into()),
            ..Query::default()
        };
        let document = document(&settings(), "acct:a@b", &query);
        assert_eq!(
            document["properties"],
            json!({CLIENT_ID: "Desk", SCOPES: ["openid"]})
        );
        assert_eq!(document["links"][0]["href"], "https://idp.example");
    }

    #[test]
    fn an_unknown_platform_or_another_relation_gets_no_properties() {
        let unknown = Query {
            platform: Some("toaster".into()),
            ..Query::default()
        };
        assert!(
            document(&settings(), "x", &unknown)
                .get("properties")
                .is_none()
        );
        let other = Query {
            platform: Some("desktop".into()),
            relations: vec![INSTANCE.into()],
            ..Query::default()
        };
        let document = document(&settings(), "x", &other);
        assert!(document.get("properties").is_none());
        assert_eq!(document["links"].as_array().unwrap().len(), 1);
    }
}
