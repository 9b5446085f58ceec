//! The mistakes people make most, each made for real with the log at its default level: what is said has to name the setting
//! and the way out.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Told, reply};
use crate::support::client::Call;
use crate::support::issuer::FakeIssuer;
use crate::support::process::GatewayProcess;
use crate::support::until;

/// One mistake that shows in what `config check` says.
struct OfSettings {
    what: &'static str,
    yaml: &'static str,
    vars: &'static [(&'static str, &'static str)],
    said: &'static [&'static str],
}

const OF_SETTINGS: &[OfSettings] = &[
    OfSettings {
        what: "a typing error in a variable",
        yaml: "",
        vars: &[("PROXY_OIDC_ISUER", "https://idp.example")],
        said: &["PROXY_OIDC_ISUER", "did you mean PROXY_OIDC_ISSUER?"],
    },
    OfSettings {
        what: "a typing error in a variable of the whole deployment",
        yaml: "",
        vars: &[("OC_ULR", "https://cloud.example")],
        said: &["OC_ULR", "did you mean OC_URL?"],
    },
    OfSettings {
        what: "a typing error in a key",
        yaml: "oidc: {isuer: x}",
        vars: &[],
        said: &["proxy.yaml:1: oidc.isuer", "did you mean oidc.issuer?"],
    },
    OfSettings {
        what: "the section of opencloud.yaml in proxy.yaml",
        yaml: "proxy: {http: {}}",
        vars: &[],
        said: &["proxy.yaml:1: proxy", "move them to the left"],
    },
    OfSettings {
        what: "no secret of the backends",
        yaml: "",
        vars: &[("OC_JWT_SECRET", "")],
        said: &[
            "OC_JWT_SECRET",
            "the secret the backends verify tokens with",
        ],
    },
    OfSettings {
        what: "a role that is none",
        yaml: "",
        vars: &[
            ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
            ("PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING", "owner=boss"),
        ],
        said: &[
            "PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING",
            "\"owner\"; roles are admin, spaceadmin, user, user-light",
        ],
    },
    OfSettings {
        what: "an issuer without TLS",
        yaml: "",
        vars: &[("PROXY_OIDC_ISSUER", "http://idp.example")],
        said: &[
            "PROXY_OIDC_ISSUER",
            "use https, or allow it with PROXY_OIDC_INSECURE=true",
        ],
    },
    OfSettings {
        what: "a directory without TLS",
        yaml: "",
        vars: &[
            ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
            ("OC_LDAP_URI", "ldap://ldap.example"),
            ("OC_LDAP_BIND_PASSWORD", "p"),
        ],
        said: &["OC_LDAP_URI", "use ldaps://", "OC_LDAP_INSECURE=true"],
    },
    OfSettings {
        what: "an LDAP filter without its brackets",
        yaml: "",
        vars: &[
            ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
            ("OC_LDAP_URI", "ldaps://ldap.example"),
            ("OC_LDAP_BIND_PASSWORD", "p"),
            ("OC_LDAP_USER_FILTER", "objectClass=person"),
        ],
        said: &["OC_LDAP_USER_FILTER", "such as (objectClass=person)"],
    },
    OfSettings {
        what: "a base that is no distinguished name",
        yaml: "",
        vars: &[
            ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
            ("OC_LDAP_URI", "ldaps://ldap.example"),
            ("OC_LDAP_BIND_PASSWORD", "p"),
            ("OC_LDAP_USER_BASE_DN", "users"),
        ],
        said: &[
            "OC_LDAP_USER_BASE_DN",
            "write it as ou=users,dc=example,dc=org",
        ],
    },
    OfSettings {
        what: "the user name of Active Directory beside names that it does not have",
        yaml: "",
        vars: &[
            ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
            ("OC_LDAP_URI", "ldaps://ad.example"),
            ("OC_LDAP_BIND_PASSWORD", "p"),
            ("OC_LDAP_USER_SCHEMA_USERNAME", "sAMAccountName"),
        ],
        said: &["OC_LDAP_USER_SCHEMA_ID", "there it is objectGUID"],
    },
    OfSettings {
        what: "a filter that hides people who are new",
        yaml: "",
        vars: &[
            ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
            ("PROXY_AUTOPROVISION_ACCOUNTS", "true"),
            ("OC_LDAP_URI", "ldaps://ldap.example"),
            ("OC_LDAP_BIND_PASSWORD", "p"),
            ("OC_LDAP_USER_FILTER", "(openCloudUserEnabled=TRUE)"),
        ],
        said: &[
            "OC_LDAP_USER_FILTER",
            "write (!(openCloudUserEnabled=FALSE))",
        ],
    },
    OfSettings {
        what: "a time without its unit",
        yaml: "",
        vars: &[("PROXY_OIDC_LEEWAY", "5")],
        said: &["PROXY_OIDC_LEEWAY", "write 5s for seconds"],
    },
    OfSettings {
        what: "trust in everybody",
        yaml: "",
        vars: &[("PROXY_TRUSTED_PROXIES", "0.0.0.0/0")],
        said: &["PROXY_TRUSTED_PROXIES", "name the proxy's own network"],
    },
    OfSettings {
        what: "variables of both products",
        yaml: "",
        vars: &[("OCIS_URL", "https://ocis.example")],
        said: &["OCIS_URL", "set PROXY_FLAVOR to opencloud or ocis"],
    },
    OfSettings {
        what: "half of a certificate",
        yaml: "",
        vars: &[("PROXY_TRANSPORT_TLS_CERT", "/etc/ssl/cloud.pem")],
        said: &["PROXY_TRANSPORT_TLS_KEY", "is missing", "set both"],
    },
    OfSettings {
        what: "a route to nowhere",
        yaml: "policies: [{name: default, routes: [{endpoint: /}]}]",
        vars: &[],
        said: &["proxy.yaml:1: policies[0].routes[0]", "backend"],
    },
    OfSettings {
        what: "proxy.yaml in another folder",
        yaml: "",
        vars: &[],
        said: &["proxy.yaml", "not there", "OC_CONFIG_DIR"],
    },
    OfSettings {
        what: "clients that the issuer does not know",
        yaml: "",
        vars: &[
            ("OC_URL", "https://cloud.example"),
            ("PROXY_OIDC_ISSUER", "https://idp.example"),
        ],
        said: &[
            "clients that the issuer has to know",
            "https://cloud.example/",
            "redirect",
            "scope",
        ],
    },
    OfSettings {
        what: "audiences of opaque tokens without introspection",
        yaml: "",
        vars: &[
            ("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none"),
            ("PROXY_OIDC_AUDIENCES", "web"),
        ],
        said: &[
            "PROXY_OIDC_AUDIENCES",
            "oidc.access_token_verify_method none; use jwt, auto or introspection",
        ],
    },
    OfSettings {
        what: "an expression that is none",
        yaml: "policies: [{name: default, routes: [{type: regex, endpoint: '/(', backend: 'http://127.0.0.1:1'}]}]",
        vars: &[],
        said: &["proxy.yaml:1: policies[0].routes[0].endpoint"],
    },
];

pub(crate) fn davgate(folder: &std::path::Path, args: &[&str], vars: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_davgate"))
        .args(args)
        .env_clear()
        .env("OC_CONFIG_DIR", folder)
        .env("OC_BASE_DATA_PATH", folder)
        .env("OC_JWT_SECRET", "0123456789abcdef0123456789abcdef")
        .env("PROXY_ACCOUNT_BACKEND_TYPE", "embedded")
        .envs(vars.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap()
}

pub(crate) fn folder() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("davgate-it-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    folder
}

fn has_all(what: &str, text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{what}: {wanted}\n{text}");
    }
}

#[test]
fn mistakes_of_settings_are_named_with_the_way_out() {
    for mistake in OF_SETTINGS {
        let folder = folder();
        if !mistake.yaml.is_empty() {
            std::fs::write(folder.join("proxy.yaml"), mistake.yaml).unwrap();
        }
        let said = davgate(&folder, &["config", "check"], mistake.vars);
        std::fs::remove_dir_all(&folder).unwrap();
        has_all(mistake.what, &said, mistake.said);
    }
}

/// Whoever has fifty routes looks for the path and the line, and counts none.
#[test]
fn issue_15_28_a_route_that_is_wrong_is_named_with_its_line_and_endpoint() {
    for (route, endpoint, said) in [
        (
            "{endpoint: /nowhere/}",
            "/nowhere/",
            "neither service nor backend",
        ),
        (
            "{endpoint: '/a(', type: regex, backend: 'http://127.0.0.1:1'}",
            "/a(",
            "unclosed group",
        ),
        (
            "{endpoint: /twice/, service: ocdav, backend: 'http://127.0.0.1:1'}",
            "/twice/",
            "both service and backend",
        ),
    ] {
        let folder = folder();
        let good = "{endpoint: /good/, backend: 'http://127.0.0.1:1'}";
        let yaml = format!(
            "policies:\n  - name: default\n    routes:\n      - {good}\n      # next\n      - {route}\n"
        );
        std::fs::write(folder.join("proxy.yaml"), yaml).unwrap();
        let text = davgate(&folder, &["config", "check"], &[]);
        std::fs::remove_dir_all(&folder).unwrap();
        let place = "proxy.yaml:6: policies[0].routes[1]";
        has_all(route, &text, &[place, said, &format!("{endpoint:?}")]);
    }
}

#[test]
fn files_that_do_not_belong_together_are_found_before_the_start() {
    let folder = folder();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let made = |_: &str| rcgen::generate_simple_self_signed(vec!["cloud.example".into()]).unwrap();
    let (one, two) = (made("one"), made("two"));
    let certificate = write("cert.pem", one.cert.pem());
    let key = write("key.pem", two.signing_key.serialize_pem());
    let nothing = write("ca.pem", "no certificate\n".to_owned());
    let csp = write("csp.yaml", "directives: {default-src: [self]}\n".to_owned());
    for (what, vars, wanted) in [
        (
            "a key of another certificate",
            vec![
                ("PROXY_TRANSPORT_TLS_CERT", certificate.as_str()),
                ("PROXY_TRANSPORT_TLS_KEY", &key),
            ],
            vec![
                "PROXY_TRANSPORT_TLS_KEY",
                &key,
                "the key is of another certificate",
                "name the two files that were made together",
                "KeyMismatch",
            ],
        ),
        (
            "a CA file without a certificate",
            vec![("PROXY_HTTPS_CACERT", nothing.as_str())],
            vec!["PROXY_HTTPS_CACERT", nothing.as_str()],
        ),
        (
            "a keyword without its quotes",
            vec![("PROXY_CSP_CONFIG_FILE_LOCATION", csp.as_str())],
            vec!["csp.yaml:1: directives.default-src", "\"'self'\""],
        ),
    ] {
        has_all(
            what,
            &davgate(&folder, &["config", "check"], &vars),
            &wanted,
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// One mistake that shows when somebody comes.
struct OfUse<'a> {
    what: &'static str,
    vars: Vec<(&'static str, String)>,
    /// Path and headers of the request.
    request: (&'static str, Vec<(&'static str, String)>),
    /// What stands in one line of the log.
    said: Vec<&'a str>,
}

#[tokio::test]
async fn mistakes_in_use_leave_a_line_with_the_setting_at_the_default_level() {
    let issuer = FakeIssuer::start().await;
    let backend = FakeBackend::told(Told::Headers).await;
    let strict = FakeBackend::told(Told::Headers).await;
    strict.answers(|_| {
        let mut answer = reply("who are you?");
        *answer.status_mut() = http::StatusCode::UNAUTHORIZED;
        answer
    });
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let token = || issuer.token("mara");
    let bearer = |token: String| vec![("authorization", format!("Bearer {token}"))];
    let dead = format!("http://{unused}");
    let authority = unused.to_string();
    let slash = format!("{}/", issuer.url());
    let mistakes = vec![
        OfUse {
            what: "an opaque token in jwt mode",
            vars: vec![],
            request: ("/files/a", bearer("opaque".to_owned())),
            said: vec!["opaque_token", "PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD"],
        },
        OfUse {
            what: "an audience that is not the token's",
            vars: vec![("PROXY_OIDC_AUDIENCES", "other".to_owned())],
            request: ("/files/a", bearer(token().claim("aud", "web").sign())),
            said: vec!["wrong_audience", "PROXY_OIDC_AUDIENCES"],
        },
        OfUse {
            what: "an issuer that is away",
            vars: vec![("PROXY_OIDC_ISSUER", dead.clone())],
            request: (
                "/files/a",
                bearer(token().claim("iss", dead.as_str()).sign()),
            ),
            said: vec![
                "issuer_unavailable",
                "PROXY_OIDC_ISSUER",
                "PROXY_OIDC_BACKCHANNEL_URL",
            ],
        },
        OfUse {
            what: "a slash too many in the issuer",
            vars: vec![("PROXY_OIDC_ISSUER", slash)],
            request: ("/files/a", vec![]),
            said: vec![
                "issuer_mismatch",
                "PROXY_OIDC_ISSUER",
                "the slash at the end included",
            ],
        },
        OfUse {
            what: "a claim that names nobody",
            vars: vec![("PROXY_USER_OIDC_CLAIM", "nickname".to_owned())],
            request: ("/files/a", bearer(token().sign())),
            said: vec!["user_claim_missing", "PROXY_USER_OIDC_CLAIM"],
        },
        OfUse {
            what: "nobody is provisioned",
            vars: vec![("PROXY_AUTOPROVISION_ACCOUNTS", "false".to_owned())],
            request: ("/files/a", bearer(token().sign())),
            said: vec![
                "account_unknown",
                "PROXY_AUTOPROVISION_ACCOUNTS=true",
                "OC_LDAP_USER_SCHEMA_USERNAME",
            ],
        },
        OfUse {
            what: "roles in a nested claim",
            vars: vec![("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc".to_owned())],
            request: (
                "/files/a",
                bearer(
                    token()
                        .claim("realm_access", json!({"roles": ["opencloudUser"]}))
                        .sign(),
                ),
            ),
            said: vec![
                "no_role",
                "such a value is in realm_access.roles",
                "PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM=realm_access.roles",
            ],
        },
        OfUse {
            what: "a password where none is taken",
            vars: vec![],
            request: (
                "/files/a",
                vec![("authorization", "Basic bWFyYTpwdw==".to_owned())],
            ),
            said: vec!["refused", "PROXY_ENABLE_BASIC_AUTH=true"],
        },
        OfUse {
            what: "another public URL than the one clients use",
            vars: vec![("OC_URL", "https://cloud.example".to_owned())],
            request: ("/files/a", vec![("host", "files.example".to_owned())]),
            said: vec!["files.example", "cloud.example", "set OC_URL"],
        },
        OfUse {
            what: "a public URL that was left out",
            vars: vec![("OC_URL", String::new())],
            request: ("/files/a", vec![("host", "files.example".to_owned())]),
            said: vec!["files.example", "localhost:9200", "set OC_URL"],
        },
        OfUse {
            what: "a proxy in front that nobody told of",
            vars: vec![],
            request: (
                "/files/a",
                vec![("x-forwarded-for", "192.0.2.7".to_owned())],
            ),
            said: vec!["127.0.0.1", "PROXY_TRUSTED_PROXIES"],
        },
        OfUse {
            what: "role claims that nobody asked for",
            vars: vec![],
            request: (
                "/files/a",
                bearer(token().claim("roles", json!(["opencloudAdmin"])).sign()),
            ),
            said: vec!["the claim roles", "PROXY_ROLE_ASSIGNMENT_DRIVER=oidc"],
        },
        OfUse {
            what: "another secret than the backend's",
            vars: vec![],
            request: ("/strict/a", bearer(token().sign())),
            said: vec!["identity_refused_by_backend", "/strict/", "OC_JWT_SECRET"],
        },
        OfUse {
            what: "a backend at another port",
            vars: vec![],
            request: ("/away/a", vec![]),
            said: vec![
                "backend_unreachable",
                "services",
                "/away/a",
                "proxy.yaml:1: policies[0].routes[2]",
                &authority,
            ],
        },
        OfUse {
            what: "a route that is missing",
            vars: vec![],
            request: ("/nowhere", vec![]),
            said: vec!["no_route", "policies", "/nowhere"],
        },
    ];
    let yaml = json!({"policies": [{"name": "default", "routes": [
        {"endpoint": "/files/", "backend": backend.url(), "identity": "headers"},
        {"endpoint": "/strict/", "backend": strict.url(), "identity": "headers"},
        {"endpoint": "/away/", "backend": dead, "unprotected": true},
    ]}]});
    // At once: each is a process that mostly waits.
    let made = mistakes
        .into_iter()
        .map(|mistake| make(mistake, issuer.url(), &yaml));
    futures_util::future::join_all(made).await;
}

async fn make(mistake: OfUse<'_>, issuer: &str, yaml: &Value) {
    let mut vars: Vec<(&str, &str)> = vec![
        ("PROXY_OIDC_ISSUER", issuer),
        // As if nobody had set one.
        ("PROXY_LOG_LEVEL", ""),
    ];
    vars.extend(
        mistake
            .vars
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    );
    let gateway = GatewayProcess::start(yaml, &vars).await;
    let (path, headers) = mistake.request;
    let mut call = Call::new(gateway.addr, "GET", path);
    for (name, value) in &headers {
        call = call.header(name, value);
    }
    let _ = call.send().await;
    let found = || {
        gateway.log().lines().any(|line| {
            let parsed: Value = serde_json::from_str(line).unwrap_or_default();
            parsed["level"] != "info" && mistake.said.iter().all(|said| line.contains(said))
        })
    };
    let what = format!("{}: a line with {:?}", mistake.what, mistake.said);
    until(&what, found).await;
}

/// A line above `info` with all of this.
async fn line_with(what: &str, gateway: &GatewayProcess, said: &[&str]) {
    let what = format!("{what}: a line with {said:?}");
    until(&what, || {
        gateway.log().lines().any(|line| {
            let parsed: Value = serde_json::from_str(line).unwrap_or_default();
            parsed["level"] != "info" && said.iter().all(|said| line.contains(said))
        })
    })
    .await;
}

#[tokio::test]
async fn plain_http_on_the_tls_port_and_a_certificate_for_another_name_are_told() {
    let folder = folder();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let made = rcgen::generate_simple_self_signed(vec!["other.example".into()]).unwrap();
    let certificate = write("cert.pem", made.cert.pem());
    let key = write("key.pem", made.signing_key.serialize_pem());
    let gateway = GatewayProcess::start(
        &json!({}),
        &[
            ("PROXY_OIDC_ISSUER", "http://127.0.0.1:1"),
            ("PROXY_LOG_LEVEL", ""),
            ("PROXY_TLS", "true"),
            ("PROXY_TRANSPORT_TLS_CERT", &certificate),
            ("PROXY_TRANSPORT_TLS_KEY", &key),
            ("OC_URL", "https://cloud.example"),
        ],
    )
    .await;
    line_with(
        "another name",
        &gateway,
        &["cloud.example", "PROXY_TRANSPORT_TLS_CERT", "OC_URL"],
    )
    .await;
    let _ = crate::support::client::raw(gateway.addr, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    line_with(
        "plain HTTP",
        &gateway,
        &["127.0.0.1", "https://", "PROXY_TLS=false"],
    )
    .await;
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_page_of_another_origin_that_the_backend_knows_nothing_of_is_told() {
    let issuer = FakeIssuer::start().await;
    let backend = FakeBackend::told(Told::Headers).await;
    let yaml = json!({"policies": [{"name": "default", "routes": [
        {"endpoint": "/files/", "backend": backend.url(), "identity": "headers"},
    ]}]});
    let vars = [
        ("PROXY_OIDC_ISSUER", issuer.url()),
        ("PROXY_LOG_LEVEL", ""),
        // Each worker says it once a minute.
        ("PROXY_WORKERS", "1"),
        // Each worker tells of it once.
        ("PROXY_WORKERS", "1"),
    ];
    let gateway = GatewayProcess::start(&yaml, &vars).await;
    let question = |method: &str| {
        Call::new(gateway.addr, "OPTIONS", "/files/a")
            .header("origin", "https://app.example")
            .header("access-control-request-method", method)
    };
    question("GET").send().await.is(200);
    line_with(
        "CORS",
        &gateway,
        &["https://app.example", "/files/", "OC_CORS_ALLOW_ORIGINS"],
    )
    .await;
    for _ in 0..5 {
        question("PUT").send().await.is(200);
    }
    let log = gateway.log();
    assert_eq!(log.matches("OC_CORS_ALLOW_ORIGINS").count(), 1, "{log}");
}

/// A server that speaks plain text on the port that somebody thinks is https.
async fn plain_text(said: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let _ = socket.read(&mut [0; 1024]).await;
                let _ = socket.write_all(said).await;
                let _ = socket.read(&mut [0; 1024]).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn issue_14_10_an_issuer_that_is_not_reached_is_told_with_what_leads_there() {
    let http = plain_text(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    let other = plain_text(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    let no_tls: &[&str] = &["no TLS is spoken on that port", "http://"];
    let nowhere: &[&str] = &[
        "https://idp.invalid",
        "PROXY_OIDC_ISSUER",
        "PROXY_OIDC_BACKCHANNEL_URL",
    ];
    for (url, said) in [
        (http.as_str(), no_tls),
        (&other, no_tls),
        ("https://idp.invalid", nowhere),
        ("https://idp.invalid:8443/realms/a", nowhere),
    ] {
        // At once, by whoever checks.
        let folder = folder();
        let (place, issuer) = (folder.clone(), url.to_owned());
        let checked = tokio::task::spawn_blocking(move || {
            let vars = [("PROXY_OIDC_ISSUER", issuer.as_str())];
            davgate(&place, &["config", "check", "--online"], &vars)
        });
        let checked = checked.await.unwrap();
        let about = checked.lines().filter(|line| line.contains("FAULT"));
        let about: String = about.filter(|line| line.contains("issuer")).collect();
        has_all(url, &about, said);
        assert!(!about.contains("PROXY_HTTPS_CACERT"), "{about}");
        std::fs::remove_dir_all(&folder).unwrap();
        // And in the log, when somebody comes.
        let vars = [("PROXY_OIDC_ISSUER", url), ("PROXY_LOG_LEVEL", "")];
        let backend = FakeBackend::start().await;
        let yaml = json!({"policies": [{"name": "default", "routes": [
            {"endpoint": "/files/", "backend": backend.url(), "identity": "headers"},
        ]}]});
        let gateway = GatewayProcess::start(&yaml, &vars).await;
        let signer = FakeIssuer::start().await;
        let token = signer.token("mara").claim("iss", url).sign();
        let call = Call::new(gateway.addr, "GET", "/files/a").bearer(&token);
        call.send().await.refused(503, "issuer_unavailable");
        let said = [&["issuer_unavailable"], said].concat();
        line_with(url, &gateway, &said).await;
        let log = gateway.log();
        assert!(!log.contains("PROXY_HTTPS_CACERT"), "{log}");
    }
}

/// Hairpin: from inside, the public name leads to a router that takes the connection and says nothing.
#[tokio::test]
async fn an_issuer_whose_public_name_leads_nowhere_from_inside_is_told_with_the_way_around() {
    let router = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", router.local_addr().unwrap());
    let backend = FakeBackend::start().await;
    let yaml = json!({"policies": [{"name": "default", "routes": [
        {"endpoint": "/files/", "backend": backend.url(), "identity": "headers"},
    ]}]});
    let vars = [("PROXY_OIDC_ISSUER", url.as_str()), ("PROXY_LOG_LEVEL", "")];
    let gateway = GatewayProcess::start(&yaml, &vars).await;
    let signer = FakeIssuer::start().await;
    let token = signer.token("mara").claim("iss", url.as_str()).sign();
    let call = Call::new(gateway.addr, "GET", "/files/a").bearer(&token);
    call.send().await.is(503);
    let said = [
        "issuer_unavailable",
        &format!("{url}/.well-known/openid-configuration"),
        "PROXY_OIDC_ISSUER",
        "PROXY_OIDC_BACKCHANNEL_URL",
    ];
    line_with("hairpin", &gateway, &said).await;
}

/// Whoever follows an advice to the letter must not change the product by it.
#[test]
fn issue_14_10_in_front_of_ocis_no_variable_of_opencloud_is_advised() {
    let ocis = |vars: &[(&str, &str)], online: bool| {
        let folder = folder();
        let mut command = Command::new(env!("CARGO_BIN_EXE_davgate"));
        command.args(["config", "check"]).env_clear();
        if online {
            command.arg("--online");
        }
        let output = command
            .env("OCIS_CONFIG_DIR", &folder)
            .env("OCIS_BASE_DATA_PATH", &folder)
            .env("OCIS_JWT_SECRET", "0123456789abcdef0123456789abcdef")
            .env("PROXY_ACCOUNT_BACKEND_TYPE", "ldap")
            .envs(vars.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let reached = [
        ("OCIS_LDAP_URI", "ldap://127.0.0.1:1"),
        ("OCIS_LDAP_BIND_PASSWORD", "p"),
        ("PROXY_OIDC_ISSUER", "https://127.0.0.1:1"),
    ];
    let plain = [
        ("OCIS_LDAP_URI", "ldap://ldap.example"),
        ("OCIS_LDAP_BIND_PASSWORD", "p"),
    ];
    for (vars, online, said) in [
        (&reached[..], true, "OCIS_LDAP_URI"),
        (&plain, false, "OCIS_LDAP_INSECURE"),
        (&[], false, "OCIS_LDAP_BIND_PASSWORD"),
        (&[("OCIS_JWT_SECRET", "")], false, "OCIS_JWT_SECRET"),
    ] {
        let text = ocis(vars, online);
        assert!(text.contains(said), "{said}: {text}");
        assert!(!text.contains("OC_"), "{text}");
    }
    // Of a mix both are told, and which of them counts.
    let mixed = ocis(&[("OC_LDAP_URI", "ldaps://ldap.example")], false);
    has_all(
        "a mix",
        &mixed,
        &[
            "OC_LDAP_URI",
            "OCIS_",
            "those of opencloud apply",
            "PROXY_FLAVOR",
        ],
    );
}

#[tokio::test]
async fn another_issuer_over_the_accounts_of_a_former_one_is_told_with_both() {
    let (former, issuer) = (FakeIssuer::start().await, FakeIssuer::start().await);
    let backend = FakeBackend::told(Told::Headers).await;
    let yaml = json!({"policies": [{"name": "default", "routes": [
        {"endpoint": "/files/", "backend": backend.url(), "identity": "headers"},
    ]}]});
    let folder = folder();
    let database = folder.join("accounts.db").display().to_string();
    for (one, status) in [(&former, 200), (&issuer, 403)] {
        let vars = [
            ("PROXY_OIDC_ISSUER", one.url()),
            ("PROXY_EMBEDDED_DATABASE", &database),
            ("PROXY_LOG_LEVEL", ""),
        ];
        let gateway = GatewayProcess::start(&yaml, &vars).await;
        let call = Call::new(gateway.addr, "GET", "/files/a");
        let token = one.token("mara").sign();
        call.bearer(&token).send().await.is(status);
        if status == 403 {
            let said = [
                "identity_conflict",
                former.url(),
                issuer.url(),
                "PROXY_ACCOUNT_FORMER_ISSUERS",
            ];
            line_with("another issuer", &gateway, &said).await;
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
