//! The minted identity, MFA, webfinger.

use super::Build;
use crate::config::table::{accounts, listener, oidc, routes, stores};
use crate::config::words::WebfingerMode;
use crate::config::{
    Compat, DataGateway, Flavor, Identity, Mfa, Secret, Webfinger, WebfingerClient, WebfingerIssuer,
};

impl Build<'_> {
    /// `minted`: the token that backends are told is made here.
    pub(super) fn identity(&mut self, minted: bool) -> Identity {
        let jwt_secret = self.values.get(accounts::JWT_SECRET).unwrap_or_else(|| {
            if !minted {
                // What is dropped without it is told by the routes that would need it.
                return Secret::default();
            }
            let text = if self.values.is_set(accounts::JWT_SECRET) {
                "is empty; it has to be the secret the backends verify tokens with".to_owned()
            } else {
                format!(
                    "is missing; it has to be the secret the backends verify tokens with ({} of the deployment)",
                    self.own("OC_JWT_SECRET")
                )
            };
            self.wrong(accounts::JWT_SECRET, text);
            Secret::default()
        });
        if (1..32).contains(&jwt_secret.reveal().len()) {
            let place = self.values.place(accounts::JWT_SECRET);
            self.notes.warn(format!(
                "{place}: the secret has fewer than 32 bytes, a guess can find it"
            ));
        }
        let token_lifetime = self.values.get(accounts::REVA_TOKEN_LIFETIME);
        if token_lifetime.as_secs() < 60 {
            self.wrong(
                accounts::REVA_TOKEN_LIFETIME,
                "has to be at least 1m, because it is renewed at half",
            );
        }
        let idp = self.values.get(accounts::IDP_URL);
        if idp.is_empty() {
            self.wrong(
                accounts::IDP_URL,
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
        let servers = self.values.get(stores::DATA_GATEWAY_SERVERS);
        let is_server = |server: &String| {
            let port = server.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            matches!(port, Some(Ok(1..)))
        };
        if let Some(odd) = servers.iter().find(|server| !is_server(server)) {
            self.wrong(
                stores::DATA_GATEWAY_SERVERS,
                format!("has {odd:?}; each item has to be host:port"),
            );
        }
        let is_ours = self.boot.compat == Compat::OpenCloud8;
        Some(DataGateway {
            secret: self
                .values
                .get(stores::TRANSFER_SECRET)
                .filter(|_| is_ours)?,
            servers,
        })
    }

    pub(super) fn mfa(&self) -> Mfa {
        Mfa {
            header: self.boot.flavor == Flavor::Ocis,
            enabled: self.values.get(routes::MFA_ENABLED),
            auth_level_names: self.values.get(routes::MFA_AUTH_LEVEL_NAMES),
        }
    }

    /// `issuers`: one entry each, of [`Self::webfinger_issuer`].
    pub(super) fn webfinger(&self, mut issuers: Vec<WebfingerIssuer>) -> Option<Webfinger> {
        if self.values.get(oidc::WEBFINGER_MODE) != Some(WebfingerMode::Native) {
            return None;
        }
        let first = issuers.first_mut()?;
        if let Some(issuer) = self.values.some_text(oidc::WEBFINGER_OIDC_ISSUER) {
            first.issuer = issuer;
        }
        Some(Webfinger {
            instance_url: self
                .values
                .some_text(oidc::WEBFINGER_SERVER_INSTANCE_URL)
                .unwrap_or_else(|| self.values.text(listener::PUBLIC_URL)),
            issuers,
        })
    }

    /// What webfinger says of the issuer whose view of the values this is.
    pub(super) fn webfinger_issuer(&self) -> WebfingerIssuer {
        let platforms = [
            (
                "web",
                oidc::WEBFINGER_WEB_CLIENT_ID,
                oidc::WEBFINGER_WEB_CLIENT_SCOPES,
            ),
            (
                "desktop",
                oidc::WEBFINGER_DESKTOP_CLIENT_ID,
                oidc::WEBFINGER_DESKTOP_CLIENT_SCOPES,
            ),
            (
                "android",
                oidc::WEBFINGER_ANDROID_CLIENT_ID,
                oidc::WEBFINGER_ANDROID_CLIENT_SCOPES,
            ),
            (
                "ios",
                oidc::WEBFINGER_IOS_CLIENT_ID,
                oidc::WEBFINGER_IOS_CLIENT_SCOPES,
            ),
        ];
        let clients = platforms
            .into_iter()
            .filter_map(|(platform, client_id, scopes)| {
                Some(WebfingerClient {
                    platform: platform.to_owned(),
                    client_id: self.values.some_text(client_id)?,
                    scopes: self.values.get(scopes),
                })
            })
            .collect();
        let domains = self.values.get(oidc::WEBFINGER_DOMAINS);
        WebfingerIssuer {
            issuer: self.values.text(oidc::ISSUER),
            domains: domains.iter().map(|one| one.to_lowercase()).collect(),
            clients,
        }
    }
}
