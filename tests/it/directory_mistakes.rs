//! Mistakes with a real directory, each with the log at its default level: what is said has to name the reason, the setting and
//! the way out.

use serde_json::{Value, json};

use crate::accounts::tls::Certificates;
use crate::support::backend::{FakeBackend, Told};
use crate::support::client::{Call, raw, status};
use crate::support::issuer::FakeIssuer;
use crate::support::process::GatewayProcess;
use crate::support::slapd::{BIND_DN, GROUPS, PASSWORD, Slapd, USERS};
use crate::support::until;

/// One mistake.
struct Mistake<'a> {
    what: &'a str,
    vars: Vec<(&'a str, &'a str)>,
    /// Whether it shows before anybody comes, and keeps the gateway from being ready.
    at_start: bool,
    said: &'a [&'a str],
}

#[tokio::test]
async fn each_mistake_with_the_directory_has_a_reason_a_setting_and_the_way_out() {
    let certificates = Certificates::new("localhost", false);
    let server = Slapd::start_with(Some(&certificates.files)).await;
    let (uri, tls_uri) = (server.uri(), server.tls_uri());
    // Made by an administrator as in Active Directory: nothing of OpenCloud's schema.
    server
        .add(
            &format!("uid=alan,{USERS}"),
            &[
                ("objectClass", &["inetOrgPerson"]),
                ("uid", &["alan"]),
                ("cn", &["alan"]),
                ("sn", &["alan"]),
            ],
        )
        .await;
    // Somebody who may read and no more.
    let reader = format!("uid=reader,{GROUPS}");
    server
        .add(
            &reader,
            &[
                ("objectClass", &["inetOrgPerson"]),
                ("uid", &["reader"]),
                ("cn", &["reader"]),
                ("sn", &["reader"]),
                ("userPassword", &["canary-reader"]),
            ],
        )
        .await;
    let mistakes = [
        Mistake {
            what: "a wrong password",
            vars: vec![("OC_LDAP_BIND_PASSWORD", "canary-wrong")],
            at_start: true,
            said: &[
                "directory_credentials",
                "OC_LDAP_BIND_DN",
                "OC_LDAP_BIND_PASSWORD",
            ],
        },
        Mistake {
            what: "a base of users that is not there",
            vars: vec![("OC_LDAP_USER_BASE_DN", "ou=people,o=libregraph-idm")],
            at_start: true,
            said: &[
                "directory_base",
                "ou=people,o=libregraph-idm",
                "correct OC_LDAP_USER_BASE_DN",
            ],
        },
        Mistake {
            what: "a base of groups that is not there",
            vars: vec![("OC_LDAP_GROUP_BASE_DN", "ou=teams,o=libregraph-idm")],
            at_start: true,
            said: &[
                "directory_base",
                "ou=teams,o=libregraph-idm",
                "correct OC_LDAP_GROUP_BASE_DN",
            ],
        },
        Mistake {
            what: "a private CA",
            vars: vec![("OC_LDAP_URI", &tls_uri)],
            at_start: true,
            said: &[
                "directory_certificate",
                "Name the certificate authority in",
                "OC_LDAP_CACERT",
                "OC_LDAP_URI",
            ],
        },
        Mistake {
            what: "a server that is not there",
            vars: vec![("OC_LDAP_URI", "ldap://127.0.0.1:1")],
            at_start: true,
            said: &["directory_unavailable", "127.0.0.1:1", "OC_LDAP_URI"],
        },
        Mistake {
            what: "a schema that is not loaded",
            vars: vec![("OC_LDAP_USER_OBJECTCLASS", "noSuchPerson")],
            at_start: false,
            said: &[
                "directory_schema",
                "OC_LDAP_USER_OBJECTCLASS",
                "oad the schema",
            ],
        },
        Mistake {
            what: "no right to write",
            vars: vec![
                ("OC_LDAP_BIND_DN", &reader),
                ("OC_LDAP_BIND_PASSWORD", "canary-reader"),
            ],
            at_start: false,
            said: &[
                "directory_rights",
                "OC_LDAP_BIND_DN",
                "OC_LDAP_SERVER_WRITE_ENABLED=false",
            ],
        },
        Mistake {
            what: "names of attributes that are another directory's",
            vars: vec![("PROXY_AUTOPROVISION_ACCOUNTS", "false")],
            at_start: false,
            said: &[
                "directory_schema",
                "uid=alan",
                "OC_LDAP_USER_SCHEMA_ID",
                "objectGUID",
                "OC_LDAP_USER_SCHEMA_ID_IS_OCTETSTRING=true",
            ],
        },
    ];
    let issuer = FakeIssuer::start().await;
    let backend = FakeBackend::told(Told::Headers).await;
    let yaml = json!({"policies": [{"name": "default", "routes": [
        {"endpoint": "/files/", "backend": backend.url(), "identity": "headers"},
    ]}]});
    let base = [
        ("PROXY_OIDC_ISSUER", issuer.url()),
        ("PROXY_LOG_LEVEL", ""),
        ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
        ("OC_LDAP_URI", uri.as_str()),
        ("OC_LDAP_BIND_DN", BIND_DN),
        ("OC_LDAP_BIND_PASSWORD", PASSWORD),
    ];
    let made = mistakes
        .iter()
        .map(|mistake| make(mistake, &base, &yaml, &issuer));
    futures_util::future::join_all(made).await;
}

async fn make(mistake: &Mistake<'_>, base: &[(&str, &str)], yaml: &Value, issuer: &FakeIssuer) {
    let vars: Vec<(&str, &str)> = base
        .iter()
        .copied()
        .chain(mistake.vars.iter().copied())
        .collect();
    let gateway = GatewayProcess::start(yaml, &vars).await;
    if !mistake.at_start {
        let name = if mistake.what.contains("attributes") {
            "alan"
        } else {
            "mara"
        };
        let token = issuer.token(name).sign();
        let call = Call::new(gateway.addr, "GET", "/files/a").bearer(&token);
        assert_eq!(call.send().await.status, 503, "{}", mistake.what);
    }
    let what = format!("{}: a line with {:?}", mistake.what, mistake.said);
    until(&what, || {
        gateway.log().lines().any(|line| {
            let parsed: Value = serde_json::from_str(line).unwrap_or_default();
            parsed["level"] != "info" && mistake.said.iter().all(|said| line.contains(said))
        })
    })
    .await;
    if mistake.at_start {
        let question = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = raw(gateway.debug_addr, question).await;
        assert_eq!(status(&answer), 503, "{}: {answer}", mistake.what);
    }
}
