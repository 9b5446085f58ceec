//! Several issuers: what each inherits, and what only one may have.

use std::time::Duration;

use super::{load, mistakes};
use crate::config::accounts::RoleAssignment;
use crate::config::oidc::{ClaimByName, UserLookup};

#[test]
fn further_issuers_inherit_all_but_what_is_one_issuers_own() {
    let yaml = "
oidc:
  issuer: https://one.example
  client_id: gate
  client_secret: s
  leeway: 7s
  audiences: [web]
  issuers:
    - issuer: https://two.example
      user_oidc_claim: email
      user_cs3_claim: mail
      jwks: {refresh_interval: 5}
      role_assignment: {driver: oidc}
      webfinger_domains: [Two.example]
      webfinger: {ios_client_id: ios-at-two}
  webfinger_domains: [one.example]
webfinger: {mode: native}
";
    let config = load(yaml, &[]).unwrap().config;
    let webfinger = config.webfinger.unwrap().issuers;
    assert_eq!(webfinger[0].domains, ["one.example"]);
    assert_eq!(webfinger[1].domains, ["two.example"]);
    let ids = |at: usize| {
        let clients = webfinger[at].clients.iter();
        clients
            .map(|one| one.client_id.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(0)[2..], ["OpenCloudAndroid", "OpenCloudIOS"]);
    assert_eq!(ids(1)[2..], ["OpenCloudAndroid", "ios-at-two"]);
    let issuers = config.issuers;
    assert_eq!(issuers.len(), 2);
    assert!(issuers[0].client.is_some() && issuers[1].client.is_none());
    assert_eq!(issuers[1].leeway, Duration::from_secs(7));
    assert_eq!(issuers[1].audiences, ["web"]);
    assert_eq!(issuers[1].user_claim.as_str(), "email");
    assert_eq!(issuers[1].user_lookup, UserLookup::Mail);
    assert_eq!(issuers[1].jwks.refresh_interval, Duration::from_secs(300));
    assert!(matches!(
        issuers[0].role_assignment,
        RoleAssignment::Default
    ));
    assert!(matches!(
        issuers[1].role_assignment,
        RoleAssignment::Oidc { .. }
    ));
    assert!(
        issuers
            .iter()
            .all(|issuer| issuer.claim_by_name == ClaimByName::Never)
    );
}

#[test]
fn a_list_of_issuers_alone_has_no_flat_one() {
    let yaml = "oidc: {issuers: [{issuer: 'https://a.example'}, {issuer: 'https://b.example', claim_by_name: always}]}";
    let config = load(yaml, &[("PROXY_WEBFINGER", "native")]).unwrap().config;
    assert_eq!(config.issuers.len(), 2);
    assert_eq!(config.issuers[1].claim_by_name, ClaimByName::Always);
    let named = config.webfinger.unwrap().issuers;
    assert_eq!(named[0].issuer, "https://a.example");
}

#[test]
fn at_most_one_issuer_claims_by_name_and_each_domain_leads_to_one() {
    let entry = |name: &str, more: &str| format!("{{issuer: 'https://{name}.example'{more}}}");
    let list = |more: &str| {
        let (one, two) = (entry("a", more), entry("b", more));
        format!("oidc: {{issuers: [{one}, {two}]}}")
    };
    let claiming = mistakes(&list(", claim_by_name: unprivileged"), &[]);
    assert!(
        claiming[0].contains("claim accounts by name"),
        "{claiming:?}"
    );
    let domains = mistakes(&list(", webfinger_domains: [c.example]"), &[]);
    assert!(
        domains[0].contains("webfinger domain c.example"),
        "{domains:?}"
    );
    // The flat setting is issuer 0's; the list does not inherit it.
    let flat = load(&list(""), &[("PROXY_ACCOUNT_CLAIM_BY_NAME", "always")]);
    assert!(flat.is_ok());
}
