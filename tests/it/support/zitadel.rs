//! The example server of Zitadel's library as an issuer (tests/issuers/zitadel): a name that ends in a slash, access tokens
//! that are encrypted JWTs, and a client whose access tokens are signed instead.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use url::Url;

use super::child::{Server, folder};
use super::code_flow::{Client, Tokens};
use super::installed::installed;
use super::user_agent::{UserAgent, parameter};
use super::{canary, free_address};

const REDIRECT: &str = "http://localhost/oidc-callback.html";
const PASSWORD: &str = "canary-zitadel-password";
const GATE_SECRET: &str = "canary-zitadel-secret";
const SCOPE: &str = "openid profile email offline_access custom_scope";

/// Encrypted access tokens.
pub(crate) const OPAQUE: Client = public("opaque");
/// Signed ones.
pub(crate) const SIGNED: Client = public("signed");
/// The gateway's own, which may introspect what was made for it.
pub(crate) const GATE: Client = Client {
    secret: Some(GATE_SECRET),
    ..public("gate")
};

const fn public(id: &str) -> Client<'_> {
    Client {
        id,
        secret: None,
        redirect: REDIRECT,
    }
}

/// The issuer, with `mara`. It knows no roles; everybody has the claim `custom_claim` with `other: stuff` in it.
pub(crate) struct Zitadel {
    url: String,
    pub(crate) server: Server,
}

impl Zitadel {
    pub(crate) async fn start() -> Self {
        canary::secret(PASSWORD);
        canary::secret(GATE_SECRET);
        let (addr, folder) = (free_address(), folder("zitadel"));
        let mara = json!({"ID": "u-mara", "Username": "mara", "Password": PASSWORD, "FirstName": "Mara",
            "LastName": "Lindqvist", "Email": "mara@example.org", "EmailVerified": true});
        let people = folder.join("people");
        fs::write(&people, json!({"u-mara": mara}).to_string()).unwrap();
        let mut command = Command::new(installed("zitadel"));
        command
            .arg(addr.port().to_string())
            .arg(people)
            .env("GATE_SECRET", GATE_SECRET);
        let mut server = Server::start(command, folder);
        server
            .is_up(addr, "/healthz", Duration::from_secs(30))
            .await;
        Self {
            url: format!("http://{addr}/"),
            server,
        }
    }

    /// Its name, with the slash.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `mara` logs in by its own form.
    pub(crate) async fn login(&self, client: &Client<'_>) -> Tokens {
        let mut browser = UserAgent::default();
        let start = client.authorization(&format!("{}auth", self.url), SCOPE);
        let form = browser.get(&start).await.headers["location"].clone();
        let form = Url::parse(&self.url)
            .unwrap()
            .join(form.to_str().unwrap())
            .unwrap();
        browser.get(&form).await.ok();
        let request = parameter(&form, "authRequestID").unwrap();
        let values = [
            ("username", "mara"),
            ("password", PASSWORD),
            ("id", &request),
        ];
        let mut action = form.clone();
        action.set_query(None);
        let back = browser.submit(&action, &values).await.headers["location"].clone();
        let back = form.join(back.to_str().unwrap()).unwrap();
        let answer = browser.get(&back).await.location();
        let code = parameter(&answer, "code").unwrap_or_else(|| panic!("no code in {answer}"));
        client.redeem(&self.token_endpoint(), &code).await
    }

    pub(crate) async fn refresh(&self, client: &Client<'_>, old: &Tokens) -> Tokens {
        let tokens = client.refresh(&self.token_endpoint(), old).await;
        tokens.unwrap()
    }

    fn token_endpoint(&self) -> String {
        format!("{}oauth/token", self.url)
    }
}
