//! Logins and logouts at a realm, as browsers and clients do them.

use http::{Request, StatusCode};
use url::Url;

use super::{Browser, PASSWORD, Realm, Tokens};
use crate::support::code_flow::{self, Client};
use crate::support::user_agent::{FORM, form, parameter};

impl Realm<'_> {
    /// The code flow with PKCE by the login form, as a browser and a client do it.
    pub(crate) async fn login(
        &self,
        client: &str,
        redirect: &str,
        person: &str,
        scope: &str,
    ) -> (Browser, Tokens) {
        let mut browser = Browser::default();
        let client = public(client, redirect);
        let code = self
            .authorize(&client, Some(person), scope, &mut browser)
            .await;
        (browser, client.redeem(&self.token_endpoint(), &code).await)
    }

    /// The same in a browser that is logged in already: no form.
    pub(crate) async fn login_again(
        &self,
        browser: &Browser,
        client: &str,
        redirect: &str,
        scope: &str,
    ) -> Tokens {
        let client = public(client, redirect);
        let code = self
            .authorize(&client, None, scope, &mut browser.clone())
            .await;
        client.redeem(&self.token_endpoint(), &code).await
    }

    /// A login whose client shows this proof of its key (RFC 9449 section 5).
    pub(crate) async fn login_with_proof(
        &self,
        client: &str,
        redirect: &str,
        person: &str,
        scope: &str,
        proof: impl Fn(&str) -> String,
    ) -> Tokens {
        let client = public(client, redirect);
        let mut browser = Browser::default();
        let code = self
            .authorize(&client, Some(person), scope, &mut browser)
            .await;
        let values = [
            ("grant_type", "authorization_code"),
            ("client_id", client.id),
            ("code", &code),
            ("redirect_uri", redirect),
            ("code_verifier", &code_flow::verifier()),
        ];
        let request = Request::post(self.path("token"))
            .header("content-type", FORM)
            .header("dpop", proof(&self.token_endpoint()));
        let reply = self.keycloak.send(request, form(&values)).await.ok();
        Tokens::new(reply.json())
    }

    async fn authorize(
        &self,
        client: &Client<'_>,
        person: Option<&str>,
        scope: &str,
        browser: &mut Browser,
    ) -> String {
        let start = client.authorization(&self.endpoint("auth"), scope);
        let mut reply = browser.get(&start).await;
        if let Some(person) = person {
            let page = reply.ok().text();
            let action = after(&page, "action=\"", '"').replace("&amp;", "&");
            let action = Url::parse(&action).unwrap();
            let values = [
                ("username", person),
                ("password", PASSWORD),
                ("credentialId", ""),
            ];
            reply = browser.submit(&action, &values).await;
        }
        let answer = reply.location();
        parameter(&answer, "code").unwrap_or_else(|| panic!("no code in {answer}"))
    }

    /// New tokens, or the status of the refusal.
    pub(crate) async fn refresh(&self, client: &str, old: &Tokens) -> Result<Tokens, StatusCode> {
        let client = public(client, "");
        client.refresh(&self.token_endpoint(), old).await
    }

    /// A client's own token.
    pub(crate) async fn client_credentials(
        &self,
        client: &str,
        secret: &str,
        scope: &str,
    ) -> Tokens {
        let client = Client {
            id: client,
            secret: Some(secret),
            redirect: "",
        };
        let mut values = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            values.push(("scope", scope));
        }
        let tokens = client.tokens(&self.token_endpoint(), &values).await;
        tokens.unwrap()
    }

    /// The password given to the client, asked by another name of this host where one is named.
    pub(crate) async fn by_password(
        &self,
        client: &str,
        person: &str,
        scope: &str,
        host: Option<&str>,
    ) -> Tokens {
        let values = [
            ("grant_type", "password"),
            ("client_id", client),
            ("username", person),
            ("password", PASSWORD),
            ("scope", scope),
        ];
        let mut request = Request::post(self.path("token")).header("content-type", FORM);
        if let Some(host) = host {
            let port = self.keycloak.addr.port();
            request = request.header("host", format!("{host}:{port}"));
        }
        let reply = self.keycloak.send(request, form(&values)).await.ok();
        Tokens::new(reply.json())
    }

    /// The client's own logout, in the browser of the person.
    pub(crate) async fn log_out(&self, browser: &Browser, tokens: &Tokens, client: &str, to: &str) {
        let mut target = Url::parse(&self.endpoint("logout")).unwrap();
        target.query_pairs_mut().extend_pairs([
            ("id_token_hint", tokens.id()),
            ("client_id", client),
            ("post_logout_redirect_uri", to),
        ]);
        let reply = browser.clone().get(&target).await;
        assert_eq!(reply.status, 302, "{}", reply.text());
    }

    fn endpoint(&self, what: &str) -> String {
        format!("http://{}{}", self.keycloak.addr, self.path(what))
    }

    fn token_endpoint(&self) -> String {
        self.endpoint("token")
    }
}

fn public<'a>(id: &'a str, redirect: &'a str) -> Client<'a> {
    Client {
        id,
        secret: None,
        redirect,
    }
}

fn after<'a>(text: &'a str, mark: &str, end: char) -> &'a str {
    let start = text
        .find(mark)
        .unwrap_or_else(|| panic!("no {mark} in {text}"))
        + mark.len();
    text[start..].split(end).next().unwrap()
}
