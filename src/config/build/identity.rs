//! The minted identity, MFA, webfinger.

use super::Build;
use crate::config::{
    Compat, DataGateway, Flavor, Identity, Mfa, Secret, Webfinger, WebfingerClient, WebfingerIssuer,
};

impl Build<'_> {
    /// `minted`: the token that backends are told is made here.
    pub(super) fn identity(&mut self, minted: bool) -> Identity {
        let jwt_secret = self.values.secret("jwt_secret").unwrap_or_else(|| {
            if !minted {
                // What is dropped without it is told by the routes that would need it.
                return Secret::default();
            }
            let text = if self.values.is_set("jwt_secret") {
                "is empty; it has to be the secret the backends verify tokens with".to_owned()
            } else {
                format!(
                    "is missing; it has to be the secret the backends verify tokens with ({} of the deployment)",
                    self.own("OC_JWT_SECRET")
                )
            };
            self.wrong("jwt_secret", text);
            Secret::default()
        });
        if (1..32).contains(&jwt_secret.reveal().len()) {
            let place = self.values.place("jwt_secret");
            self.notes.warn(format!(
                "{place}: the secret has fewer than 32 bytes, a guess can find it"
            ));
        }
        let token_lifetime = self.values.duration("reva_token_lifetime");
        if token_lifetime.as_secs() < 60 {
            self.wrong(
                "reva_token_lifetime",
                "has to be at least 1m, because it is renewed at half",
            );
        }
        let idp = self.values.text("idp_url");
        if idp.is_empty() {
            self.wrong(
                "idp_url",
                "is empty; it has to be the URL accounts were made under",
            );
        }
        Identity {
            jwt_secret,
            token_lifetime,
            idp,
        }
    }

    /// From the release on whose storage tells addresses of its own; before, the frontend stood between.
    pub(super) fn data_gateway(&mut self) -> Option<DataGateway> {
        let servers = self.values.list("data_gateway.servers");
        let is_server = |server: &String| {
            let port = server.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            matches!(port, Some(Ok(1..)))
        };
        if let Some(odd) = servers.iter().find(|server| !is_server(server)) {
            self.wrong(
                "data_gateway.servers",
                format!("has {odd:?}; each item has to be host:port"),
            );
        }
        let is_ours = self.boot.compat == Compat::OpenCloud8;
        Some(DataGateway {
            secret: self.values.secret("transfer_secret").filter(|_| is_ours)?,
            servers,
        })
    }

    pub(super) fn mfa(&self) -> Mfa {
        Mfa {
            header: self.boot.flavor == Flavor::Ocis,
            enabled: self.values.flag("mfa.enabled"),
            auth_level_names: self.values.list("mfa.auth_level_names"),
        }
    }

    /// `issuers`: one entry each, of [`Self::webfinger_issuer`].
    pub(super) fn webfinger(&self, mut issuers: Vec<WebfingerIssuer>) -> Option<Webfinger> {
        if self.values.text("webfinger.mode") != "native" {
            return None;
        }
        let first = issuers.first_mut()?;
        if let Some(issuer) = self.values.some_text("webfinger.oidc_issuer") {
            first.issuer = issuer;
        }
        Some(Webfinger {
            instance_url: self
                .values
                .some_text("webfinger.server_instance_url")
                .unwrap_or_else(|| self.values.text("public_url")),
            issuers,
        })
    }

    /// What webfinger says of the issuer whose view of the values this is.
    pub(super) fn webfinger_issuer(&self) -> WebfingerIssuer {
        let clients = ["web", "desktop", "android", "ios"]
            .into_iter()
            .filter_map(|platform| {
                Some(WebfingerClient {
                    platform: platform.to_owned(),
                    client_id: self
                        .values
                        .some_text(&format!("webfinger.{platform}_client_id"))?,
                    scopes: self
                        .values
                        .list(&format!("webfinger.{platform}_client_scopes")),
                })
            })
            .collect();
        let domains = self.values.list("oidc.webfinger_domains");
        WebfingerIssuer {
            issuer: self.values.text("oidc.issuer"),
            domains: domains.iter().map(|one| one.to_lowercase()).collect(),
            clients,
        }
    }
}
