//! `davgate explain` as a person runs it: the real program, an issuer, accounts in a file.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::issuer::{Endpoint, FakeIssuer, Fault};
use crate::support::slapd::{BIND_DN, PASSWORD, Slapd, USERS};

/// What the program said, and its exit code.
pub(crate) struct Said {
    code: i32,
    pub(crate) text: String,
}

/// A folder with the configuration and the accounts.
pub(crate) struct Place {
    folder: PathBuf,
    variables: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new(issuer: &FakeIssuer) -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-it-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let path = folder.to_str().unwrap();
        let variables = [
            ("OC_CONFIG_DIR", path),
            ("OC_BASE_DATA_PATH", path),
            ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
            ("PROXY_AUTOPROVISION_ACCOUNTS", "true"),
            ("PROXY_AUTOPROVISION_CLAIM_GROUPS", "groups"),
            ("PROXY_USER_OIDC_CLAIM", "preferred_username"),
            ("PROXY_USER_CS3_CLAIM", "username"),
            ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("PROXY_OIDC_ISSUER", issuer.url()),
            ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
            (
                "PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING",
                "admin=fleet-admin;user=fleet-user;user-light=fleet-guest",
            ),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            folder,
            variables: variables.to_vec(),
        }
    }

    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `davgate explain` with the token on standard input. The token must not be in what it says.
    pub(crate) async fn explain(&self, token: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_davgate"));
        command
            .arg("explain")
            .env_clear()
            .envs(self.variables.clone())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = token.to_owned();
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            // With mistakes in its configuration it ends without having read.
            let _ = stdin.write_all(input.as_bytes());
            drop(stdin);
            child.wait_with_output().unwrap()
        });
        let output = output.await.unwrap();
        let text =
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!text.contains(part), "the token is shown:\n{text}");
        }
        Said {
            code: output.status.code().unwrap(),
            text,
        }
    }

    fn database(&self) -> PathBuf {
        Path::new(&self.folder).join("proxy/accounts.db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Said {
    #[track_caller]
    pub(crate) fn has(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{}", self.text);
        for part in parts {
            assert!(
                self.text.contains(part),
                "{part:?} is not in\n{}",
                self.text
            );
        }
    }
}

#[tokio::test]
async fn a_good_token_is_explained_to_the_role_and_nothing_is_written() {
    let issuer = FakeIssuer::start().await;
    issuer.knows(
        "mara",
        "roles",
        json!(["staff", "fleet-user", "fleet-guest"]),
    );
    issuer.knows("mara", "groups", json!(["crew", "dock", 7]));
    issuer.knows("mara", "phone_number", "+49 30 1234567");
    let place = Place::new(&issuer);
    let said = place.explain(&issuer.token("mara").sign()).await;
    said.has(
        0,
        &[
            "a signed JWT",
            issuer.url(),
            "algorithm \"RS256\"",
            "aud",
            "azp \"desktop\"",
            "not checked; PROXY_OIDC_AUDIENCES does",
            "verified  by the issuer's keys",
            "claim `preferred_username` is \"mara\"; compared with the user name",
            "none; \"mara\" would be created",
            "member of [\"crew\", \"dock\"]; 1 values are no names",
            "admin for \"fleet-admin\": is not among the claim's values",
            "user for \"fleet-user\": matches and decides",
            "user-light for \"fleet-guest\": matches too, but an earlier one decides",
            "verdict   let in as user",
        ],
    );
    assert!(said.text.contains("phone_number"), "the name of a claim");
    assert!(!said.text.contains("1234567"), "but not its value");
    assert!(!place.database().exists(), "an account file was made");
}

#[tokio::test]
async fn a_refused_token_names_the_reason_and_what_to_do() {
    let issuer = FakeIssuer::start().await;
    issuer.knows("mara", "roles", json!(["fleet-user"]));
    let place = Place::new(&issuer);
    let token = || issuer.token("mara");
    let other = "https://other.example";
    let cases = [
        (token().claim("iss", other).sign(), "wrong_issuer", other),
        (token().expires_in(-60).sign(), "token_expired", "s ago"),
        (
            issuer.opaque("mara", json!({})),
            "opaque_token",
            "PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD",
        ),
        (
            token().without("exp").sign(),
            "token_times",
            "PROXY_OIDC_REQUIRE_EXP",
        ),
        (
            token().claim("typ", "ID").sign(),
            "wrong_token_type",
            "access token",
        ),
    ];
    for (token, reason, part) in cases {
        let said = place.explain(&token).await;
        said.has(1, &["refused with 401", reason, part, "to do"]);
    }
    let audience = Place::new(&issuer).var("PROXY_OIDC_AUDIENCES", "files");
    let said = audience.explain(&token().sign()).await;
    said.has(
        1,
        &[
            "refused with 401: wrong_audience",
            "\"davgate\"",
            "PROXY_OIDC_AUDIENCES wants one of [\"files\"]",
        ],
    );
}

#[tokio::test]
async fn a_missing_role_claim_points_at_the_scope() {
    let issuer = FakeIssuer::start().await;
    let place = Place::new(&issuer);
    let said = place.explain(&issuer.token("mara").sign()).await;
    said.has(
        1,
        &[
            "refused with 403: no_role",
            "claim `roles` is absent",
            "scope",
        ],
    );
}

#[tokio::test]
async fn what_cannot_be_decided_is_no_yes() {
    let issuer = FakeIssuer::start().await;
    issuer.fault(Endpoint::Userinfo, Fault::Status(500));
    let place = Place::new(&issuer);
    let said = place.explain(&issuer.token("mara").sign()).await;
    said.has(1, &["undecided with 503: issuer_unavailable", "userinfo"]);
    let mistaken = Place::new(&issuer).var("PROXY_TLS", "perhaps");
    assert_eq!(mistaken.explain("x").await.code, 2);
}

#[tokio::test]
async fn what_the_directory_would_refuse_is_no_yes_and_nothing_is_written() {
    let issuer = FakeIssuer::start().await;
    issuer.knows("mara", "roles", json!(["fleet-user"]));
    let directory = Slapd::start().await;
    let over_ldap = || {
        Place::new(&issuer)
            .var("PROXY_ACCOUNT_BACKEND_TYPE", "ldap")
            .var("OC_LDAP_URI", &directory.uri())
            .var("OC_LDAP_BIND_DN", BIND_DN)
            .var("OC_LDAP_BIND_PASSWORD", PASSWORD)
    };
    let token = issuer.token("mara").sign();
    let said = over_ldap().explain(&token).await;
    said.has(0, &["to write  account `mara`", "verdict   let in as user"]);
    // The gateway would answer 503: the directory takes no such entry.
    let odd = over_ldap().var("PROXY_LDAP_ROLE_ATTRIBUTE", "noSuchAttribute");
    odd.explain(&token).await.has(1, &["undecided with 503"]);
    assert_eq!(directory.entries(USERS).await.len(), 0);
}
