//! The recorded URLs, what a stock proxy answered to them, and what nobody may get through.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::config::Secret;
use crate::model::UnixTime;

struct Recorded {
    name: String,
    method: Method,
    host: String,
    path: String,
    query: String,
    key: String,
    stock: u64,
}

/// When they were recorded.
const NOW: UnixTime = UnixTime(1_795_951_890);

fn recorded() -> Vec<Recorded> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/opencloud/signed_urls.json"
    );
    let all: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = |one: &Value| {
        let url = text(&one["url"]);
        let (_, rest) = url.split_once("://").unwrap();
        let (authority_and_path, query) = rest.split_once('?').unwrap();
        let at = authority_and_path.find('/').unwrap();
        Recorded {
            name: text(&one["name"]),
            method: text(&one["method"]).parse().unwrap_or(Method::GET),
            host: text(&one["host"]),
            path: authority_and_path[at..].to_owned(),
            query: query.to_owned(),
            key: text(&one["key"]),
            stock: one["stock_proxy_status"].as_u64().unwrap(),
        }
    };
    all.iter().map(read).collect()
}

impl Recorded {
    fn presented(&self) -> Presented<'_> {
        Presented {
            method: &self.method,
            host: &self.host,
            scheme: None,
            path: &self.path,
            query: &self.query,
        }
    }

    async fn outcome(&self) -> Result<(), SignedUrlError> {
        judge(&self.presented(), &self.key).await
    }
}

async fn judge(presented: &Presented<'_>, key: &str) -> Result<(), SignedUrlError> {
    let url = ClientSigned::read(presented, &[Method::GET], NOW)?.unwrap();
    let signatures = Signatures::default();
    let key = SigningKey::new(key);
    let verified = signatures.verify(&url, key.as_ref()).await;
    verified.map_err(|error| match error {
        NotVerified::Refused(error) => error,
        NotVerified::Busy => panic!("nobody else asks"),
    })
}

#[tokio::test]
async fn recorded_urls_fare_as_at_the_stock_proxy_but_where_its_fallback_fails() {
    let all = recorded();
    assert!(all.len() >= 29, "{}", all.len());
    for one in &all {
        let outcome = one.outcome().await;
        // Whose name it is and whether they have a key is not decided here.
        let of_the_account = one.name.contains("credential is")
            || one.name.contains("unknown credential")
            || one.name.contains("without a key");
        if of_the_account {
            continue;
        }
        let wanted = one.stock == 200 || one.name == "signed $ sent %24";
        assert_eq!(outcome.is_ok(), wanted, "{}: {outcome:?}", one.name);
    }
}

#[tokio::test]
async fn row_111_a_url_changed_in_any_place_is_refused() {
    for one in recorded().iter().filter(|one| one.stock == 200).take(7) {
        for change in ["x", "%20", "/"] {
            let mut presented = one.presented();
            let path = format!("{}{change}", one.path);
            presented.path = &path;
            assert!(judge(&presented, &one.key).await.is_err(), "{path}");
        }
        for (what, query) in [
            ("another parameter", format!("{}&x=1", one.query)),
            (
                "another person",
                one.query
                    .replace("OC-Credential=alan", "OC-Credential=mary"),
            ),
            (
                "a longer life",
                one.query.replace("OC-Expires=1200", "OC-Expires=1201"),
            ),
            (
                "another verb",
                one.query.replace("OC-Verb=GET", "OC-Verb=PUT"),
            ),
            ("twice a name", format!("{}&OC-Credential=mary", one.query)),
            (
                "a cut signature",
                one.query[..one.query.len() - 1].to_owned(),
            ),
        ] {
            if query == one.query {
                continue;
            }
            let mut presented = one.presented();
            presented.query = &query;
            assert!(
                judge(&presented, &one.key).await.is_err(),
                "{}: {what}",
                one.name
            );
        }
        let mut presented = one.presented();
        presented.host = "elsewhere.example";
        assert_eq!(
            judge(&presented, &one.key).await,
            Err(SignedUrlError::Signature)
        );
        presented = one.presented();
        presented.scheme = Some("http");
        assert_eq!(
            judge(&presented, &one.key).await,
            Err(SignedUrlError::Signature)
        );
    }
}

#[test]
fn row_109_the_method_is_the_one_that_was_signed_and_may_be_signed_at_all() {
    let all = recorded();
    let read = |method: &Method, verb: &str, allowed: &[Method]| {
        let query = all[0]
            .query
            .replace("OC-Verb=GET", &format!("OC-Verb={verb}"));
        let presented = Presented {
            method,
            query: &query,
            ..all[0].presented()
        };
        ClientSigned::read(&presented, allowed, NOW).map(drop)
    };
    let get = [Method::GET];
    let both = [Method::GET, Method::HEAD];
    for (method, verb, allowed, wanted) in [
        (Method::GET, "GET", &get[..], Ok(())),
        (Method::GET, "get", &get[..], Ok(())),
        (Method::HEAD, "GET", &both[..], Err(SignedUrlError::Verb)),
        (Method::HEAD, "HEAD", &both[..], Ok(())),
        (Method::HEAD, "HEAD", &get[..], Err(SignedUrlError::Method)),
        (Method::PUT, "PUT", &both[..], Err(SignedUrlError::Method)),
        (Method::GET, "PUT", &both[..], Err(SignedUrlError::Verb)),
        (Method::GET, "GETx", &both[..], Err(SignedUrlError::Verb)),
    ] {
        assert_eq!(read(&method, verb, allowed), wanted, "{method} {verb}");
    }
}

#[tokio::test]
async fn an_empty_or_missing_key_lets_nothing_pass() {
    let all = recorded();
    for key in ["", " ", "\n"] {
        assert_eq!(
            judge(&all[0].presented(), key).await,
            Err(SignedUrlError::NoKey)
        );
    }
}

#[test]
fn row_108_a_part_that_is_missing_empty_or_there_twice_is_named() {
    let all = recorded();
    for name in ["OC-Credential", "OC-Date", "OC-Expires", "OC-Verb"] {
        let query = all[0].query.replace(name, "x");
        let mut presented = all[0].presented();
        presented.query = &query;
        let read = ClientSigned::read(&presented, &[Method::GET], NOW);
        assert_eq!(read.unwrap_err(), SignedUrlError::Malformed(name));
    }
    for name in [
        "OC-Credential",
        "OC-Date",
        "OC-Expires",
        "OC-Verb",
        "OC-Signature",
    ] {
        let at = all[0].query.find(&format!("{name}=")).unwrap() + name.len() + 1;
        let (before, from) = all[0].query.split_at(at);
        let rest = &from[from.find('&').unwrap_or(from.len())..];
        for query in [
            format!("{before}{rest}"),
            format!("{}&{name}=other", all[0].query),
        ] {
            let mut presented = all[0].presented();
            presented.query = &query;
            let read = ClientSigned::read(&presented, &[Method::GET], NOW);
            assert_eq!(
                read.unwrap_err(),
                SignedUrlError::Malformed(name),
                "{query}"
            );
        }
    }
    let mut presented = all[0].presented();
    presented.query = "a=b";
    let read = ClientSigned::read(&presented, &[Method::GET], NOW);
    assert!(read.unwrap().is_none());
}

const SECRET: &str = "url-signing-secret-of-the-deployment";

fn signed_by_server(claims: &Value, algorithm: Algorithm, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

fn claims() -> Value {
    json!({"iss": "reva", "iat": NOW.0, "exp": NOW.0 + 60, "sub": "b1f74ec4",
        "target_url": "https://cloud.example/remote.php/dav/spaces/s$p/a%20b.txt?a=1&z=%C3%BC+x"})
}

fn judged(token: &str, secret: &str, method: &Method) -> Result<ServerSigned, SignedUrlError> {
    let query = format!("z=%C3%BC%20x&oc-jwt-sig={token}&a=1");
    let presented = Presented {
        method,
        host: "cloud.example",
        scheme: None,
        path: "/remote.php/dav/spaces/s$p/a%20b.txt",
        query: &query,
    };
    let secret = Secret::new(secret);
    let allowed = [Method::GET];
    let read = ServerSigned::read(&presented, Some(&secret), &allowed, NOW);
    read.map(Option::unwrap)
}

#[test]
fn a_servers_signature_is_good_for_its_address_and_method() {
    let good = signed_by_server(&claims(), Algorithm::HS256, SECRET);
    let url = judged(&good, SECRET, &Method::GET).unwrap();
    assert_eq!(url.account_id(), "b1f74ec4");
    assert_eq!(url.expires_at(), UnixTime(NOW.0 + 60));
    for method in [Method::PUT, Method::DELETE, Method::HEAD] {
        assert_eq!(judged(&good, SECRET, &method), Err(SignedUrlError::Method));
    }
    assert_eq!(
        judged(&good, "other", &Method::GET),
        Err(SignedUrlError::Signature)
    );
    assert_eq!(judged(&good, "", &Method::GET), Err(SignedUrlError::NoKey));
}

#[test]
fn a_servers_signature_needs_an_end_a_person_and_the_one_algorithm() {
    let with = |name: &str, value: Value| {
        let mut changed = claims();
        changed[name] = value;
        signed_by_server(&changed, Algorithm::HS256, SECRET)
    };
    let get = |token: &str| judged(token, SECRET, &Method::GET);
    let malformed = Err(SignedUrlError::Malformed("oc-jwt-sig"));
    assert_eq!(get(&with("exp", Value::Null)), malformed);
    assert_eq!(get(&with("sub", json!(""))), malformed);
    assert_eq!(
        get(&with("exp", json!(NOW.0))),
        Err(SignedUrlError::Expired)
    );
    let elsewhere = with(
        "target_url",
        json!("https://cloud.example/remote.php/dav/spaces/other"),
    );
    assert_eq!(get(&elsewhere), Err(SignedUrlError::Target));
    let other = signed_by_server(&claims(), Algorithm::HS512, SECRET);
    assert_eq!(get(&other), malformed);
    assert_eq!(get("a.b"), malformed);
}
