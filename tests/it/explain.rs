//! `davgate explain` as a person runs it: the real program, an issuer, accounts in a file.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::issuer::{Endpoint, FakeIssuer, Fault};
use crate::support::slapd::{BIND_DN, GROUPS, PASSWORD, Slapd, USERS};

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
        self.explain_with(&[], token).await
    }

    /// The same with arguments.
    async fn explain_with(&self, args: &[&str], token: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_davgate"));
        command
            .arg("explain")
            .args(args)
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

    /// `proxy.yaml`.
    fn yaml(self, text: &str) -> Self {
        fs::write(self.folder.join("proxy.yaml"), text).unwrap();
        self
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
    fn json(&self, code: i32) -> Value {
        assert_eq!(self.code, code, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}\n{}", self.text))
    }

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

const ROUTES: &str = "\
policies:
- name: default
  routes:
  - endpoint: /
    backend: http://127.0.0.1:9100
    unprotected: true
  - endpoint: /dav/
    backend: http://127.0.0.1:9115/base?a=1
  - endpoint: /vault/
    backend: http://127.0.0.1:9116
    identity: headers
    required_claims: [department=law]
  - type: regex
    method: POST
    endpoint: /hook/[0-9]+
    backend: http://127.0.0.1:9117
    unprotected: true
";

#[tokio::test]
async fn a_path_is_explained_to_its_route_with_file_and_line_without_a_token() {
    let issuer = FakeIssuer::start().await;
    let place = Place::new(&issuer).yaml(ROUTES);
    let said = place.explain_with(&["/dav/%61%20b?x=1"], "").await;
    said.has(
        0,
        &[
            "request   GET \"/dav/%61%20b\"",
            "routes see \"/dav/a b\"",
            "policy    \"default\", for everybody",
            "route     prefix \"/dav/\"",
            "proxy.yaml:7: policies[0].routes[1]",
            "backend   127.0.0.1:9115 at 127.0.0.1:9115",
            "is asked for \"/base/dav/%61%20b?a=1&x=1\"",
            "login     required: the route is protected",
            "the backend is told the person by x-access-token",
            "outcome   needs a login",
        ],
    );
    let refused = [
        ("GET", "/a/../b", "refused with 400: dot_segment"),
        ("TRACE", "/a", "refused with 405: method_not_allowed"),
    ];
    for (method, path, outcome) in refused {
        let said = place.explain_with(&["--method", method, path], "").await;
        said.has(1, &[outcome, "to do"]);
    }
    let open = place.explain_with(&["https://cloud.example/x"], "").await;
    open.has(0, &["route     prefix \"/\"", "login     none needed"]);
    let shared = place.explain_with(&["/dav/public-files/abc"], "").await;
    shared.has(0, &["login     optional", "forwarded in nobody's name"]);
    let post = place
        .explain_with(&["--method", "POST", "/hook/7"], "")
        .await;
    post.has(0, &["route     regex \"/hook/[0-9]+\", for POST only"]);
    let ours = place.explain_with(&["/backchannel_logout"], "").await;
    ours.has(0, &["answered by the gateway itself: BackchannelLogout"]);
    for no_target in ["dav/x", "/a b"] {
        assert_eq!(place.explain_with(&[no_target], "").await.code, 2);
    }
    assert!(!place.database().exists(), "an account file was made");
}

#[tokio::test]
async fn a_default_route_names_its_service_and_where_it_answers() {
    let issuer = FakeIssuer::start().await;
    let place = Place::new(&issuer).var("MICRO_REGISTRY", "memory");
    let said = place.explain_with(&["/graph/v1.0/me"], "").await;
    said.has(0, &["it is there by default", "graph at 127.0.0.1:9120"]);
}

#[tokio::test]
async fn a_token_and_a_path_together_say_whether_the_route_lets_the_person_in() {
    let issuer = FakeIssuer::start().await;
    issuer.knows("mara", "roles", json!(["fleet-user"]));
    let place = Place::new(&issuer).yaml(ROUTES);
    let token = issuer.token("mara").sign();
    let asked = |path: &'static str| ["--json", "--token-file", "-", path];
    let let_in = place.explain_with(&asked("/dav/"), &token).await.json(0);
    assert_eq!(
        let_in["login"],
        json!({"verdict": "let_in", "role": "user"})
    );
    assert_eq!(let_in["request"]["verdict"], "forwarded");
    assert_eq!(let_in["request"]["policy"], "default");
    let route = &let_in["request"]["route"];
    let place_told = route["place"].as_str().unwrap();
    assert!(
        place_told.ends_with("proxy.yaml:7: policies[0].routes[1]"),
        "{place_told}"
    );
    let mut route = route.clone();
    route.as_object_mut().unwrap().remove("place");
    assert_eq!(
        route,
        json!({
            "kind": "prefix", "endpoint": "/dav/", "method": null, "login": "required", "identity": "reva",
            "required_claims": [], "max_age_seconds": null, "backend": "127.0.0.1:9115",
            "addresses": ["127.0.0.1:9115"], "target": "/base/dav/?a=1",
        })
    );
    let steps = let_in["steps"].as_array().unwrap();
    let names: Vec<&str> = steps
        .iter()
        .map(|one| one["step"].as_str().unwrap())
        .collect();
    assert_eq!((names[0], names[names.len() - 1]), ("token", "outcome"));

    let unmet = place.explain_with(&asked("/vault/x"), &token).await.json(1);
    assert_eq!(unmet["login"]["verdict"], "let_in");
    assert_eq!(unmet["request"]["verdict"], "refused");
    assert_eq!(unmet["request"]["status"], 403);
    assert_eq!(
        unmet["request"]["detail"],
        "the route requires department=law"
    );
    issuer.knows("mara", "department", json!("law"));
    let met = issuer.token("mara").sign();
    let met = place.explain_with(&asked("/vault/x"), &met).await.json(0);
    assert_eq!(met["request"]["route"]["identity"], "headers");
    assert_eq!(
        met["request"]["route"]["required_claims"],
        json!(["department=law"])
    );

    let expired = issuer.token("mara").expires_in(-60).sign();
    let refused = place.explain_with(&asked("/dav/"), &expired).await.json(1);
    assert_eq!(refused["login"]["reason"], "token_expired");
    assert_eq!(refused["request"]["reason"], "token_expired");
    let alone = place.explain_with(&["--json"], &expired).await.json(1);
    assert_eq!(
        (&alone["login"]["status"], &alone["request"]),
        (&json!(401), &Value::Null)
    );
}

/// docs/explain.md is what others read the JSON by.
#[tokio::test]
async fn the_page_names_every_key_of_the_json() {
    let issuer = FakeIssuer::start().await;
    let place = Place::new(&issuer).yaml(ROUTES);
    let said = place
        .explain_with(&["--json", "--token-file", "-", "/dav/"], "opaque")
        .await;
    let page = include_str!("../../docs/explain.md");
    let mut open = vec![said.json(1)];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    assert!(
                        page.contains(&format!("`{key}`")),
                        "{key} is not on the page"
                    );
                    open.push(value);
                }
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_policy_of_the_person_or_of_nobody_is_told() {
    let issuer = FakeIssuer::start().await;
    issuer.knows("mara", "roles", json!(["fleet-user"]));
    issuer.knows("mara", "ocis.routing.policy", json!("new"));
    let place = Place::new(&issuer).yaml(
        "\
policies:
- {name: old, routes: [{endpoint: /, backend: 'http://127.0.0.1:9100'}]}
- {name: new, routes: [{endpoint: /, backend: 'http://127.0.0.1:9101'}]}
policy_selector:
  claims: {default_policy: old, unauthenticated_policy: old, selector_cookie_name: c}
",
    );
    let nobody = place.explain_with(&["/x"], "").await;
    nobody.has(
        0,
        &[
            "policy    \"old\", of requests without a login",
            "127.0.0.1:9100",
        ],
    );
    let token = issuer.token("mara").sign();
    let mara = place
        .explain_with(&["/x", "--token-file", "-"], &token)
        .await;
    mara.has(
        0,
        &["policy    \"new\", the person's own", "127.0.0.1:9101"],
    );
}

/// A person with a name of old, in a group that claims may change; a group that they may not.
async fn with_mara(directory: &Slapd, issuer: &FakeIssuer) {
    let mara = format!("uid=mara,{USERS}");
    let classes: &[&str] = &["inetOrgPerson", "openCloudUser"];
    let id: &[&str] = &["b1f74ec4-dd7e-11ef-a543-03775734d0f7"];
    let entry: [(&str, &[&str]); 6] = [
        ("objectClass", classes),
        ("uid", &["mara"]),
        ("cn", &["mara"]),
        ("sn", &["mara"]),
        ("displayName", &["Of Old"]),
        ("openCloudUUID", id),
    ];
    directory.add(&mara, &entry).await;
    for (name, uuid, marks) in [
        (
            "crew",
            "b1f74ec4-dd7e-11ef-a543-03775734d0f8",
            Some(issuer.url()),
        ),
        ("closed", "b1f74ec4-dd7e-11ef-a543-03775734d0f9", None),
    ] {
        let member = if marks.is_some() { mara.as_str() } else { "" };
        let mut entry: Vec<(&str, &[&str])> =
            vec![("objectClass", &["groupOfNames", "openCloudObject"])];
        let (name_of, member, uuid) = ([name], [member], [uuid]);
        entry.push(("cn", &name_of));
        entry.push(("member", &member));
        entry.push(("openCloudUUID", &uuid));
        let marks: Vec<&str> = marks.into_iter().collect();
        if !marks.is_empty() {
            entry.push(("businessCategory", &marks));
        }
        directory.add(&format!("cn={name},{GROUPS}"), &entry).await;
    }
}

#[tokio::test]
async fn what_would_change_of_an_account_and_its_groups_is_told_and_nothing_is_changed() {
    let issuer = FakeIssuer::start().await;
    issuer.knows("mara", "roles", json!(["fleet-user"]));
    issuer.knows("mara", "name", json!("Of Now"));
    issuer.knows("mara", "groups", json!(["dock", "closed"]));
    let directory = Slapd::start().await;
    with_mara(&directory, &issuer).await;
    let everything = async || {
        let all = [
            directory.entries(USERS).await,
            directory.entries(GROUPS).await,
        ];
        let all = all.into_iter().flatten();
        let mut all: Vec<_> = all
            .map(|entry| {
                (
                    entry.dn,
                    entry
                        .attrs
                        .into_iter()
                        .collect::<std::collections::BTreeMap<_, _>>(),
                )
            })
            .collect();
        all.sort();
        all
    };
    let before = everything().await;
    let over_ldap = || {
        Place::new(&issuer)
            .var("PROXY_ACCOUNT_BACKEND_TYPE", "ldap")
            .var("OC_LDAP_URI", &directory.uri())
            .var("OC_LDAP_BIND_DN", BIND_DN)
            .var("OC_LDAP_BIND_PASSWORD", PASSWORD)
    };
    let token = issuer.token("mara").sign();
    let said = over_ldap().explain(&token).await;
    said.has(
        0,
        &[
            "found: \"mara\"",
            "displayName",
            "openCloudExternalIdentity of the account `mara`",
            "new group \"dock\"",
            "member of \"dock\"",
            "member no more of \"crew\"",
            "not member of \"closed\": claims may not change it",
            "employeeType of the account `mara`",
            "verdict   let in as user",
        ],
    );
    // Whoever may read and not write is told so.
    let reader = "cn=reader,o=libregraph-idm";
    let entry: [(&str, &[&str]); 4] = [
        ("objectClass", &["person"]),
        ("cn", &["reader"]),
        ("sn", &["reader"]),
        ("userPassword", &["canary-reader"]),
    ];
    directory.add(reader, &entry).await;
    let as_reader = over_ldap()
        .var("OC_LDAP_BIND_DN", reader)
        .var("OC_LDAP_BIND_PASSWORD", "canary-reader");
    let said = as_reader.explain(&token).await;
    said.has(1, &["undecided with 503: directory_rights"]);
    assert_eq!(everything().await, before);
}

#[tokio::test]
async fn what_would_change_of_an_account_in_a_file_is_told() {
    let issuer = FakeIssuer::start().await;
    issuer.knows("mara", "roles", json!(["fleet-user"]));
    issuer.knows("mara", "groups", json!(["crew", "dock"]));
    let place = Place::new(&issuer);
    let said = place.explain(&issuer.token("mara").sign()).await;
    said.has(
        0,
        &[
            "to write  account `mara`",
            "new group \"crew\", \"dock\"",
            "member of \"crew\", \"dock\"",
        ],
    );
}

#[tokio::test]
async fn issue_14_10_without_userinfo_what_is_to_be_done_is_about_userinfo() {
    let issuer = FakeIssuer::start().await;
    let skips = || Place::new(&issuer).var("PROXY_OIDC_SKIP_USER_INFO", "true");
    let skip = "PROXY_OIDC_SKIP_USER_INFO";
    for (place, token, reason) in [
        (
            skips(),
            issuer.token("mara").without("preferred_username"),
            "user_claim_missing",
        ),
        (
            skips(),
            issuer.token("mara").claim("preferred_username", "mara"),
            "no_role",
        ),
        (skips(), issuer.token("mara").without("sub"), "403"),
    ] {
        let said = place.explain(&token.sign()).await;
        said.has(1, &[reason]);
        let (_, advice) = said.text.split_once("to do").unwrap();
        assert!(advice.contains(skip), "{}", said.text);
    }
    // Asked, and a token that userinfo does not take: doing without it is no general advice.
    issuer.fault(Endpoint::Userinfo, Fault::Status(403));
    let token = issuer.token("mara").claim("scope", "profile email").sign();
    let said = Place::new(&issuer).explain(&token).await;
    said.has(1, &["token_rejected", "without the scope openid"]);
    assert!(!said.text.contains(skip), "{}", said.text);
}

#[tokio::test]
async fn issue_14_10_what_is_to_be_done_names_the_variables_of_ocis_in_front_of_ocis() {
    let issuer = FakeIssuer::start().await;
    let place = Place::new(&issuer)
        .var("PROXY_FLAVOR", "ocis")
        .var("PROXY_ACCOUNT_BACKEND_TYPE", "ldap")
        .var("OCIS_LDAP_URI", "ldap://127.0.0.1:1")
        .var("OCIS_LDAP_BIND_PASSWORD", "p");
    let said = place.explain(&issuer.token("mara").sign()).await;
    said.has(
        1,
        &[
            "directory_unavailable",
            "OCIS_LDAP_URI",
            "OCIS_LDAP_BIND_DN",
        ],
    );
    assert!(!said.text.contains("OC_"), "{}", said.text);
}
