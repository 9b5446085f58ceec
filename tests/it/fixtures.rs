//! What real identity providers emit, one file each (there in `docs/identity-providers.md` with the settings): tokens,
//! documents and answers in their form, signed by keys made here, through the whole gateway at a fixed time.
//!
//! `i1` ... `i11` are the fixtures, `t1` ... `t15` the traps that several providers share, `l1` ... `l5` logout tokens.

mod authentik;
mod keycloak;
mod lico;
mod logout_tokens;
mod microsoft;
mod nextcloud;
mod pocket_id;
mod traps_of_answers;
mod traps_of_claims;
mod traps_of_tokens;

use davgate::door::model::{Account, Role, StoredRole};
use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Seen, Told};
use crate::support::client::Answer;
use crate::support::gateway::{Builder, TestGateway};
use crate::support::keys::Key;
use crate::support::scripted_issuer::{NOW, ScriptedIssuer};
use crate::support::until;

const METHOD: &str = "PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD";
const SKIP: (&str, &str) = ("PROXY_OIDC_SKIP_USER_INFO", "true");
const ROLE_CLAIM: &str = "PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM";
const ROLES: &str = "PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING";
const USER_CLAIM: &str = "PROXY_USER_OIDC_CLAIM";
const NAME_CLAIM: &str = "PROXY_AUTOPROVISION_CLAIM_USERNAME";
const ANY_NAME: (&str, &str) = ("GRAPH_USERNAME_MATCH", "none");

/// The name of a provider without peculiarities.
const NAME: &str = "https://idp.test";

/// Which has one RSA key, and userinfo that a test has to script.
async fn plain() -> ScriptedIssuer {
    ScriptedIssuer::start(NAME, &[Key::shared().jwk()]).await
}

/// Somebody there.
fn mara() -> Value {
    json!({
        "sub": "sub-mara", "preferred_username": "mara", "name": "Mara Kay", "email": "mara@idp.test",
        "roles": ["opencloudUser"],
    })
}

/// A provider and a gateway that trusts it; `/files/` leads to a backend that is told `Remote-*`.
struct Fixture {
    issuer: ScriptedIssuer,
    backend: FakeBackend,
    gateway: TestGateway,
}

impl Fixture {
    /// With the role mapping on and these variables; the clock stands at [`NOW`].
    async fn new(issuer: ScriptedIssuer, variables: &[(&str, &str)]) -> Self {
        Self::at(NOW, issuer, variables).await
    }

    async fn at(time: i64, issuer: ScriptedIssuer, variables: &[(&str, &str)]) -> Self {
        let backend = FakeBackend::told(Told::Headers).await;
        let gateway = TestGateway::new()
            .at(time)
            .var("PROXY_OIDC_ISSUER", issuer.name())
            .var("PROXY_OIDC_BACKCHANNEL_URL", issuer.origin())
            .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
            .backend("/files/", &backend);
        let set = |gateway: Builder, (name, value): &(&str, &str)| gateway.var(name, value);
        let gateway = variables.iter().fold(gateway, set).spawn().await;
        Self {
            issuer,
            backend,
            gateway,
        }
    }

    async fn request(&self, token: &str) -> Answer {
        self.gateway.get("/files/a").bearer(token).send().await
    }

    /// ok(role): the request is forwarded as this user, whose account then has the role.
    async fn lets_in(&self, token: &str, user: &str, role: Role) -> Seen {
        self.request(token).await.is(200);
        let seen = self.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some(user));
        assert_eq!(self.account().role, Some(StoredRole::Known(role)));
        seen
    }

    /// The only account there is.
    fn account(&self) -> Account {
        let mut accounts = self.gateway.accounts();
        assert_eq!(accounts.len(), 1, "{accounts:#?}");
        accounts.remove(0)
    }

    /// Refused so, before any backend hears of it.
    async fn refuses(&self, token: &str, status: u16, reason: &str) -> Answer {
        let answer = self.request(token).await;
        answer.refused(status, reason);
        self.backend.saw_nothing();
        answer
    }

    /// One line of the log about this very request has all these texts.
    async fn told_in_the_log(&self, answer: &Answer, texts: &[&str]) {
        let id = answer.header("x-request-id").unwrap();
        let found = || {
            let has = |line: &Value| texts.iter().all(|text| line.to_string().contains(text));
            self.gateway.log_lines(id).iter().any(has)
        };
        until(&format!("a line with {texts:?}"), found).await;
    }

    async fn stop(self) {
        self.gateway.stop().await;
    }
}
