//! Ory Hydra as an issuer: everything in memory, and the test in the place of the application that asks people for their
//! password and their consent.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};

use super::child::{Server, folder};
use super::code_flow::{Client, Tokens};
use super::installed::installed;
use super::user_agent::{UserAgent, parameter, send};
use super::{canary, free_address};

const REDIRECT: &str = "http://localhost/oidc-callback.html";
const SECRET: &str = "canary-hydra-secret-of-the-system";

/// Opaque access tokens.
pub(crate) const OPAQUE: Client = public("web", REDIRECT);
/// JWTs, with the audience that the client asks for.
pub(crate) const SIGNED: Client = public("signed", REDIRECT);
/// Two clients of different hosts, which each know people by other subjects.
pub(crate) const PAIRWISE: [Client; 2] = [
    public("pairwise-1", "http://one.localhost/"),
    public("pairwise-2", "http://two.localhost/"),
];

const fn public<'a>(id: &'a str, redirect: &'a str) -> Client<'a> {
    Client {
        id,
        secret: None,
        redirect,
    }
}

/// The issuer.
pub(crate) struct Hydra {
    public: SocketAddr,
    admin: SocketAddr,
    pub(crate) server: Server,
}

impl Hydra {
    pub(crate) async fn start() -> Self {
        canary::secret(SECRET);
        let (public, admin) = (free_address(), free_address());
        let folder = folder("hydra");
        let configuration = json!({
            "serve": {
                "public": {"host": "127.0.0.1", "port": public.port()},
                "admin": {"host": "127.0.0.1", "port": admin.port()},
            },
            "dsn": "memory",
            "urls": {
                "self": {"issuer": format!("http://{public}")},
                // Nobody is there: the test reads the challenge out of the redirect.
                "login": "http://login.invalid/", "consent": "http://consent.invalid/",
            },
            "secrets": {"system": [SECRET]},
            "oidc": {"subject_identifiers": {"supported_types": ["public", "pairwise"], "pairwise": {"salt": SECRET}}},
            "oauth2": {"allowed_top_level_claims": ["preferred_username", "name", "email", "roles", "groups"],
                "mirror_top_level_claims": false},
            "sqa": {"opt_out": true},
        });
        let file = folder.join("hydra.json");
        fs::write(&file, configuration.to_string()).unwrap();
        let mut command = Command::new(installed("hydra"));
        command
            .args(["serve", "all", "--dev", "--config"])
            .arg(file);
        let mut server = Server::start(command, folder);
        server
            .is_up(admin, "/health/ready", Duration::from_secs(30))
            .await;
        let hydra = Self {
            public,
            admin,
            server,
        };
        hydra.client(&OPAQUE, json!({})).await;
        let signed = json!({"access_token_strategy": "jwt", "audience": ["opencloud"]});
        hydra.client(&SIGNED, signed).await;
        for client in &PAIRWISE {
            hydra
                .client(client, json!({"subject_type": "pairwise"}))
                .await;
        }
        hydra
    }

    /// Its name, without a slash.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.public)
    }

    /// Introspection, which is no public endpoint.
    pub(crate) fn introspection(&self) -> String {
        format!("http://{}/admin/oauth2/introspect", self.admin)
    }

    async fn client(&self, client: &Client<'_>, more: Value) {
        let mut all = json!({"client_id": client.id, "redirect_uris": [client.redirect], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "scope": "openid offline_access profile email"});
        let members = all.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        self.api("POST", "/admin/clients", &all).await;
    }

    /// `mara` logs in.
    pub(crate) async fn login(&self, client: &Client<'_>) -> Tokens {
        let mut browser = UserAgent::default();
        let endpoint = format!("{}/oauth2/auth", self.url());
        let mut next = client.authorization(&endpoint, "openid offline_access profile email");
        if client.id == SIGNED.id {
            next.query_pairs_mut().append_pair("audience", "opencloud");
        }
        loop {
            if let Some(code) = parameter(&next, "code") {
                return client.redeem(&self.token_endpoint(), &code).await;
            }
            let to = if let Some(challenge) = parameter(&next, "login_challenge") {
                self.accept("login", &challenge, json!({"subject": "u-mara"}))
                    .await
            } else if let Some(challenge) = parameter(&next, "consent_challenge") {
                self.consent(&challenge).await
            } else {
                browser.get(&next).await.location().into()
            };
            next = to.parse().unwrap();
            assert!(parameter(&next, "error").is_none(), "{next}");
        }
    }

    /// She says yes, and this is what the application knows of her.
    async fn consent(&self, challenge: &str) -> String {
        let request = format!("/admin/oauth2/auth/requests/consent?consent_challenge={challenge}");
        let asked = self.api("GET", &request, &Value::Null).await;
        let mara = json!({"preferred_username": "mara", "name": "Mara Lindqvist", "email": "mara@example.org",
            "roles": ["opencloudSpaceAdmin"], "groups": ["crew"]});
        let granted = json!({"grant_scope": asked["requested_scope"],
            "grant_access_token_audience": asked["requested_access_token_audience"],
            "session": {"id_token": mara, "access_token": mara}});
        self.accept("consent", challenge, granted).await
    }

    async fn accept(&self, what: &str, challenge: &str, answer: Value) -> String {
        let path =
            format!("/admin/oauth2/auth/requests/{what}/accept?{what}_challenge={challenge}");
        let accepted = self.api("PUT", &path, &answer).await;
        accepted["redirect_to"].as_str().unwrap().to_owned()
    }

    async fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        send(self.admin, request, body).await.ok().json()
    }

    pub(crate) async fn refresh(&self, client: &Client<'_>, old: &Tokens) -> Tokens {
        let tokens = client.refresh(&self.token_endpoint(), old).await;
        tokens.unwrap()
    }

    fn token_endpoint(&self) -> String {
        format!("{}/oauth2/token", self.url())
    }
}
