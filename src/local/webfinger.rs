//! Webfinger (RFC 7033) for clients that look for their issuer and, by platform, their client id and scopes
//! (docs/design/contract.md A.3).

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use http::{HeaderValue, Response};
use serde_json::{Value, json};
use url::Url;

use crate::body::Body;
use crate::config::{Flavor, Webfinger, WebfingerClient, WebfingerIssuer};
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::process::Snapshot;
use crate::routes::RouteError;

/// OpenID Connect Discovery 1.0 section 2.
const ISSUER: &str = "http://openid.net/specs/connect/1.0/issuer";
/// What each product's clients ask for.
const INSTANCES: [(Flavor, &str); 2] = [
    (
        Flavor::OpenCloud,
        "http://webfinger.opencloud/rel/server-instance",
    ),
    (
        Flavor::Ocis,
        "http://webfinger.owncloud/rel/server-instance",
    ),
];
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
    let mut response =
        super::json(document(settings, snapshot.config.flavor, resource, &query).to_string());
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

fn document(settings: &Webfinger, flavor: Flavor, resource: &str, query: &Query) -> Value {
    let wanted = |relation: &str| {
        query.relations.is_empty() || query.relations.iter().any(|one| one == relation)
    };
    let issuer = issuer_of(&settings.issuers, resource).filter(|_| wanted(ISSUER));
    let mut links = Vec::new();
    if let Some(issuer) = issuer {
        links.push(json!({"rel": ISSUER, "href": issuer.issuer}));
    }
    // Who names no relation gets the flavour's own; who names one gets that, whichever product's it is.
    let instances = INSTANCES.iter().filter(|(product, relation)| {
        wanted(relation) && (*product == flavor || !query.relations.is_empty())
    });
    for (_, relation) in instances {
        links.push(json!({"rel": relation, "href": settings.instance_url}));
    }
    let mut document = json!({"subject": resource, "links": links});
    let client = issuer.and_then(|issuer| {
        let of_platform =
            |client: &&WebfingerClient| Some(&client.platform) == query.platform.as_ref();
        issuer.clients.iter().find(of_platform)
    });
    if let Some(client) = client {
        document["properties"] = json!({CLIENT_ID: client.client_id, SCOPES: client.scopes});
    }
    document
}

/// Where the resource logs in: at the issuer of its domain, then at the one that has its host, else at the first. Only
/// one is named, because clients take any issuer they are told as the one.
fn issuer_of<'s>(issuers: &'s [WebfingerIssuer], resource: &str) -> Option<&'s WebfingerIssuer> {
    let domain = domain_of(resource);
    let by_domain = |issuer: &&WebfingerIssuer| issuer.domains.contains(&domain);
    let by_host = |issuer: &&WebfingerIssuer| {
        Url::parse(&issuer.issuer).is_ok_and(|url| url.host_str() == Some(&domain))
    };
    issuers
        .iter()
        .find(by_domain)
        .or_else(|| issuers.iter().find(by_host))
        .or_else(|| issuers.first())
}

/// The domain of `acct:user@domain`, `mailto:user@domain` or `user@domain`, the host of a URL (OpenID Connect Discovery
/// 1.0 section 2.1). Empty if there is none.
fn domain_of(resource: &str) -> String {
    let host = || Url::parse(resource).ok()?.host_str().map(str::to_owned);
    let account = || {
        let (_, domain) = resource.rsplit_once('@')?;
        Some(domain.to_lowercase())
    };
    host().or_else(account).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings() -> Webfinger {
        let issuer = |name: &str, domains: &[&str], client: &str| WebfingerIssuer {
            issuer: name.into(),
            domains: domains.iter().map(|one| (*one).to_owned()).collect(),
            clients: vec![WebfingerClient {
                platform: "desktop".into(),
                client_id: client.into(),
                scopes: vec!["openid".into()],
            }],
        };
        Webfinger {
            instance_url: "https://cloud.example".into(),
            issuers: vec![
                issuer("https://idp.example", &[], "Desk"),
                issuer(
                    "https://idp.partner.example/realm",
                    &["partner.example"],
                    "Other",
                ),
            ],
        }
    }

    #[test]
    fn a_known_platform_gets_its_client_and_scopes() {
        let query = Query {
            platform: Some("desktop".into()),
            ..Query::default()
        };
        let document = document(&settings(), Flavor::OpenCloud, "acct:a@b", &query);
        assert_eq!(
            document["properties"],
            json!({CLIENT_ID: "Desk", SCOPES: ["openid"]})
        );
        assert_eq!(document["links"][0]["href"], "https://idp.example");
    }

    #[test]
    fn an_account_of_another_issuers_domain_is_led_there_with_that_issuers_client() {
        let query = Query {
            platform: Some("desktop".into()),
            ..Query::default()
        };
        for (resource, client) in [
            ("acct:mara@partner.example", "Other"),
            ("acct:mara%40x@PARTNER.example", "Other"),
            ("mara@partner.example", "Other"),
            ("mailto:mara@partner.example", "Other"),
            ("https://partner.example/mara", "Other"),
            ("https://idp.partner.example", "Other"),
            ("acct:mara@sub.partner.example", "Desk"),
            ("acct:partner.example@home.example", "Desk"),
            ("https://cloud.example", "Desk"),
            ("acct:mara", "Desk"),
            ("@", "Desk"),
        ] {
            let document = document(&settings(), Flavor::OpenCloud, resource, &query);
            assert_eq!(document["properties"][CLIENT_ID], client, "{resource}");
            assert_eq!(document["links"].as_array().unwrap().len(), 2);
        }
    }

    #[test]
    fn an_unknown_platform_or_another_relation_gets_no_properties() {
        let unknown = Query {
            platform: Some("toaster".into()),
            ..Query::default()
        };
        assert!(
            document(&settings(), Flavor::OpenCloud, "x", &unknown)
                .get("properties")
                .is_none()
        );
        let other = Query {
            platform: Some("desktop".into()),
            relations: vec![INSTANCES[0].1.into()],
            ..Query::default()
        };
        let document = document(&settings(), Flavor::OpenCloud, "x", &other);
        assert!(document.get("properties").is_none());
        assert_eq!(document["links"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn each_products_client_gets_the_relation_it_asks_for() {
        for (flavor, own) in INSTANCES {
            let relations = |asked: &[&str]| {
                let query = Query {
                    relations: asked.iter().map(|one| (*one).to_owned()).collect(),
                    ..Query::default()
                };
                let document = document(&settings(), flavor, "acct:a@b", &query);
                let links = document["links"].as_array().unwrap().iter();
                links
                    .map(|link| link["rel"].as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            };
            assert_eq!(relations(&[]), [ISSUER, own]);
            for (_, asked) in INSTANCES {
                assert_eq!(relations(&[asked]), [asked]);
            }
            assert_eq!(relations(&[ISSUER]), [ISSUER]);
            assert_eq!(relations(&["x"]), [""; 0]);
        }
    }

    proptest! {
        #[test]
        fn any_resource_leads_to_exactly_one_issuer(resource in "\\PC{0,60}") {
            let document = document(&settings(), Flavor::OpenCloud, &resource, &Query::default());
            let links = document["links"].as_array().unwrap();
            let issuers = links.iter().filter(|link| link["rel"] == ISSUER);
            prop_assert_eq!(issuers.count(), 1);
        }
    }
}
