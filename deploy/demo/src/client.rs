//! `davgate-demo token`: the authorization code flow with PKCE, as a command that prints an access token.
//!
//! With `--user` and `--password` it fills in the login form itself; without, a person does that in a browser. What it
//! got is kept in a file, so that rclone, which runs the command whenever a token was refused, gets a fresh one by the
//! refresh token.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::issuer::CLIENT_ID;
use crate::tokens::{now, random, sha256};

mod browser;
mod request;

use request::{Reply, get, post};

/// A token that ends sooner than this, in seconds, is renewed first.
const SPARE: u64 = 30;
const SCOPE: &str = "openid profile email roles groups offline_access";

/// How to log in, and where to keep what came of it.
#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// The issuer.
    #[arg(long, default_value = "http://127.0.0.1:9310")]
    issuer: Url,
    /// Who logs in; without it, a browser is needed.
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// The password for the login form.
    #[arg(long, requires = "user")]
    password: Option<String>,
    /// File for the tokens; nothing is kept without it.
    #[arg(long)]
    cache: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: String,
    expires: u64,
}

struct Endpoints {
    authorization: Url,
    token: Url,
    key_ids: Vec<String>,
}

/// An access token that is good for a while.
pub(crate) async fn token(arguments: &TokenArguments) -> anyhow::Result<String> {
    let endpoints = discover(&arguments.issuer).await?;
    let mut cache = arguments.cache.as_ref().map(Cache::open).transpose()?;
    let kept = match &mut cache {
        Some(cache) => cache.read()?,
        None => None,
    };
    let tokens = match kept {
        Some(kept) if endpoints.knows(&kept.access_token) && kept.expires > now() + SPARE => {
            return Ok(kept.access_token);
        }
        // A refresh token that is refused (the issuer was started anew, the login was ended) leads to a new login.
        Some(kept) => match endpoints.refresh(&kept).await {
            Ok(tokens) => tokens,
            Err(_) => log_in(&endpoints, arguments).await?,
        },
        None => log_in(&endpoints, arguments).await?,
    };
    if let Some(cache) = &mut cache {
        cache.write(&tokens)?;
    }
    Ok(tokens.access_token)
}

async fn discover(issuer: &Url) -> anyhow::Result<Endpoints> {
    let address = issuer.as_str().trim_end_matches('/');
    let document = get(&Url::parse(&format!(
        "{address}/.well-known/openid-configuration"
    ))?)
    .await?
    .json()?;
    ensure!(
        document["issuer"] == address,
        "{address} calls itself {}",
        document["issuer"]
    );
    let endpoint = |name: &str| -> anyhow::Result<Url> {
        let text = document[name]
            .as_str()
            .with_context(|| format!("the issuer has no {name}"))?;
        Ok(Url::parse(text)?)
    };
    let keys = get(&endpoint("jwks_uri")?).await?.json()?;
    let kids = keys["keys"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    Ok(Endpoints {
        authorization: endpoint("authorization_endpoint")?,
        token: endpoint("token_endpoint")?,
        key_ids: kids
            .iter()
            .filter_map(|key| Some(key["kid"].as_str()?.to_owned()))
            .collect(),
    })
}

async fn log_in(endpoints: &Endpoints, arguments: &TokenArguments) -> anyhow::Result<Tokens> {
    let verifier = random()?;
    let state = random()?;
    let challenge = sha256(verifier.as_bytes());
    let request = |redirect_uri: &str| -> Vec<(&'static str, String)> {
        vec![
            ("client_id", CLIENT_ID.to_owned()),
            ("redirect_uri", redirect_uri.to_owned()),
            ("response_type", "code".to_owned()),
            ("scope", SCOPE.to_owned()),
            ("state", state.clone()),
            ("code_challenge", challenge.clone()),
            ("code_challenge_method", "S256".to_owned()),
        ]
    };
    let (redirect_uri, answer) = match (&arguments.user, &arguments.password) {
        (Some(user), Some(password)) => {
            // Nobody listens there: the redirect is read, not followed.
            let redirect_uri = "http://127.0.0.1/callback".to_owned();
            let mut form = request(&redirect_uri);
            form.push(("username", user.clone()));
            form.push(("password", password.clone()));
            let reply = post(&endpoints.authorization, &form).await?;
            ensure!(reply.status != 401, "wrong user name or password");
            let location = reply
                .location
                .with_context(|| format!("the login ended with status {}", reply.status))?;
            (redirect_uri, Url::parse(&location)?)
        }
        _ => browser::log_in(&endpoints.authorization, request).await?,
    };
    let returned = |name: &str| {
        answer
            .query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    if let Some(error) = returned("error") {
        bail!(
            "the issuer refused: {error} {}",
            returned("error_description").unwrap_or_default()
        );
    }
    ensure!(
        returned("state") == Some(state),
        "the answer is not for this login"
    );
    let code = returned("code").context("the answer has no code")?;
    endpoints
        .redeem(&[
            ("grant_type", "authorization_code".to_owned()),
            ("client_id", CLIENT_ID.to_owned()),
            ("redirect_uri", redirect_uri),
            ("code", code),
            ("code_verifier", verifier),
        ])
        .await
}

impl Endpoints {
    /// Whether the issuer still has the key that signed this token.
    fn knows(&self, token: &str) -> bool {
        let kid = || -> Option<String> {
            let header = BASE64URL.decode(token.split('.').next()?).ok()?;
            let header: Value = serde_json::from_slice(&header).ok()?;
            Some(header["kid"].as_str()?.to_owned())
        };
        kid().is_some_and(|kid| self.key_ids.contains(&kid))
    }

    async fn refresh(&self, tokens: &Tokens) -> anyhow::Result<Tokens> {
        self.redeem(&[
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", CLIENT_ID.to_owned()),
            ("refresh_token", tokens.refresh_token.clone()),
        ])
        .await
    }

    async fn redeem(&self, form: &[(&str, String)]) -> anyhow::Result<Tokens> {
        let reply: Reply = post(&self.token, form).await?;
        let status = reply.status;
        let body = reply.json()?;
        ensure!(
            status == 200,
            "the token endpoint says {status} {}",
            body["error"]
        );
        let text = |name: &str| {
            body[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no {name}"))
        };
        Ok(Tokens {
            access_token: text("access_token")?,
            refresh_token: text("refresh_token")?,
            expires: now() + body["expires_in"].as_u64().unwrap_or(0),
        })
    }
}

/// The file of tokens, readable by its owner only. It is locked while it is open: two commands that use the same
/// refresh token at once would end the login.
struct Cache(File);

impl Cache {
    fn open(path: &PathBuf) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("opening {}", path.display()))?;
        file.lock().context("locking the token file")?;
        Ok(Self(file))
    }

    /// What is kept; nothing if the file is new or is not one of ours.
    fn read(&mut self) -> anyhow::Result<Option<Tokens>> {
        let mut text = String::new();
        self.0.read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text).ok())
    }

    fn write(&mut self, tokens: &Tokens) -> anyhow::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        self.0.write_all(&serde_json::to_vec(tokens)?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
