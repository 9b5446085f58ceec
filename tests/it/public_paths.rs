//! Where nobody has to be known, a refused credential is no refusal (docs/design/design.md 2).

use http::StatusCode;

use crate::support::backend::{FakeBackend, Told, reply};
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;

/// The paths of docs/design/contract.md 9.3 whose backend reads credentials itself, and the others.
const SHARED: [&str; 4] = [
    "/dav/public-files/link/a",
    "/remote.php/dav/public-files/link/a",
    "/dav/ocm/x",
    "/remote.php/dav/ocm/x",
];
const ANONYMOUS: [&str; 4] = [
    "/ocm/shares",
    "/ocs/v1.php/apps/files_sharing/api/v1/tokeninfo/unprotected/x",
    "/ocs/v2.php/apps/files_sharing/api/v1/tokeninfo/unprotected",
    "/ocs/v1.php/cloud/capabilities",
];

struct World {
    issuer: FakeIssuer,
    backend: FakeBackend,
    gateway: TestGateway,
}

impl World {
    async fn new() -> Self {
        let issuer = FakeIssuer::start().await;
        let backend = FakeBackend::told(Told::RevaAndWhatTheClientSent).await;
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .backend("/dav/", &backend)
            .backend("/remote.php/", &backend)
            .backend("/ocm/", &backend)
            .backend("/ocs/", &backend)
            .spawn()
            .await;
        Self {
            issuer,
            backend,
            gateway,
        }
    }

    /// Everything that is no login here.
    async fn refused_credentials(&self) -> Vec<String> {
        let denied = self.issuer.token("mara").sign();
        let call = self.gateway.get("/dav/spaces/a").bearer(&denied);
        call.send().await.is(200);
        self.backend.take_seen();
        self.gateway.set_enabled("mara", false);
        self.gateway.clock.advance(120);
        let denied = self.issuer.token("mara").claim("jti", "another").sign();
        let call = self.gateway.get("/dav/spaces/a").bearer(&denied);
        call.send().await.is(403);
        let expired = self.issuer.token("alan").expires_in(-600).sign();
        [
            "Bearer null".to_owned(),
            "Bearer".to_owned(),
            "Bearer a b".to_owned(),
            format!("Bearer {expired}"),
            format!("Bearer {denied}"),
            format!("DPoP {expired}"),
            "Basic cHVibGljOnNlY3JldA==".to_owned(),
            "Unheard of".to_owned(),
        ]
        .into()
    }
}

#[tokio::test]
async fn row_116_without_a_credential_an_open_path_is_told_nobody() {
    let world = World::new().await;
    for path in SHARED.into_iter().chain(ANONYMOUS) {
        let call = world.gateway.get(path);
        let call = call.header("X-Access-Token", "forged");
        call.send().await.is(200);
        let seen = world.backend.the_request();
        for name in ["authorization", "x-access-token"] {
            assert_eq!(seen.header(name), None, "{path}");
        }
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_refused_credential_goes_on_without_identity() {
    let world = World::new().await;
    for credential in world.refused_credentials().await {
        for path in SHARED.into_iter().chain(ANONYMOUS) {
            for h2 in [false, true] {
                let call = world.gateway.get(path).header("Authorization", &credential);
                let call = if h2 { call.h2() } else { call };
                call.send().await.is(200);
                let seen = world.backend.the_request();
                assert_eq!(seen.header("x-access-token"), None, "{path}");
                let kept = SHARED.contains(&path).then_some(credential.as_str());
                assert_eq!(seen.header("authorization"), kept, "{path}");
            }
        }
        for protected in [
            "/dav/spaces/a",
            "/dav/public-files-2/a",
            "/ocs/v1.php/cloud/user",
        ] {
            let call = world.gateway.get(protected);
            let answer = call.header("Authorization", &credential).send().await;
            assert!([401, 403].contains(&answer.status.as_u16()), "{protected}");
            world.backend.saw_nothing();
        }
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn the_backends_own_401_reaches_the_client_untouched() {
    let world = World::new().await;
    let text = "<d:error><s:errorcode>ERR_MISSING_BASIC_AUTH</s:errorcode></d:error>";
    world.backend.answers(move |_| {
        let mut answer = reply(text);
        *answer.status_mut() = StatusCode::UNAUTHORIZED;
        let challenge = "Basic realm=\"the link\"".parse().unwrap();
        answer.headers_mut().insert("www-authenticate", challenge);
        answer
    });
    for path in SHARED {
        for credential in [None, Some("Bearer null"), Some("Basic cHVibGljOndyb25n")] {
            let call = world.gateway.call("PROPFIND", path);
            let call = match credential {
                Some(credential) => call.header("Authorization", credential),
                None => call,
            };
            let answer = call.send().await;
            answer.is(401);
            assert_eq!(answer.text(), text);
            let challenges = answer.headers.get_all("www-authenticate");
            let challenges: Vec<_> = challenges.iter().collect();
            assert_eq!(challenges, ["Basic realm=\"the link\""]);
        }
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn what_cannot_be_decided_now_is_503_there_too_and_what_is_ambiguous_400() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    world.issuer.go_down().await;
    for path in SHARED.into_iter().chain(ANONYMOUS) {
        let answer = world.gateway.get(path).bearer(&token).send().await;
        answer.refused(503, "issuer_unavailable");
        assert!(answer.header("retry-after").is_some());
        let twice = world.gateway.get(path).bearer("null");
        let answer = twice.header("Authorization", "Basic x").send().await;
        answer.refused(400, "dup_auth");
    }
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_good_login_is_told_there_and_a_signature_passes() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    let target = "/dav/public-files/link/a?signature=abc&expiration=2026-01-01T00%3A00%3A00Z";
    for path in [target, ANONYMOUS[3]] {
        let call = world.gateway.get(path).bearer(&token);
        call.header("public-token", "link").send().await.is(200);
        let seen = world.backend.the_request();
        assert!(seen.header("x-access-token").is_some());
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.header("public-token"), Some("link"));
        assert_eq!(seen.target, path);
    }
    world.gateway.stop().await;
}
