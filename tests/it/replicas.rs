//! Several gateways of one deployment: a logout at one of them counts at all, by real stores.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::accounts::tls::Certificates;
use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::nats::Nats;
use crate::support::redis::{MASTER, Redis};
use crate::support::until;

/// Two gateways in front of one backend.
struct Pair {
    issuer: FakeIssuer,
    backend: FakeBackend,
    one: TestGateway,
    two: TestGateway,
}

impl Pair {
    async fn sharing(kind: &str, nodes: &str) -> Self {
        Self::with(kind, nodes, &[]).await
    }

    /// With further settings of the store, `PROXY_OIDC_USERINFO_CACHE_<name>`.
    async fn with(kind: &str, nodes: &str, settings: &[(&str, &str)]) -> Self {
        let issuer = FakeIssuer::start().await;
        let backend = FakeBackend::told(Told::Headers).await;
        let gateway = async || {
            let mut gateway = TestGateway::new()
                .issuer(&issuer)
                .backend("/files/", &backend)
                .var("PROXY_OIDC_SKIP_USER_INFO", "true")
                .var("PROXY_OIDC_USERINFO_CACHE_STORE", kind)
                .var("PROXY_OIDC_USERINFO_CACHE_STORE_NODES", nodes);
            for (name, value) in settings {
                gateway = gateway.var(&format!("PROXY_OIDC_USERINFO_CACHE_{name}"), value);
            }
            gateway.spawn().await
        };
        let (one, two) = (gateway().await, gateway().await);
        Self {
            issuer,
            backend,
            one,
            two,
        }
    }

    /// A token of a login of its own.
    fn token(&self, sid: &str) -> String {
        self.issuer.token("mara").claim("sid", sid).sign()
    }

    /// A logout of that login, at the first gateway.
    async fn logout(&self, sid: &str) {
        let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        let token = self
            .issuer
            .token("mara")
            .header("typ", "logout+jwt")
            .claim("events", event)
            .claim("sid", sid)
            .sign();
        let call = self.one.call("POST", "/backchannel_logout");
        let call = call.header("Content-Type", "application/x-www-form-urlencoded");
        let form = format!("logout_token={token}");
        call.body(form).send().await.is(200);
    }

    async fn at_two(&self, token: &str) -> Answer {
        self.two.get("/files/a").bearer(token).send().await
    }

    /// How long the second gateway goes on with a token.
    async fn refused_at_two_after(&self, token: &str) -> Duration {
        let began = Instant::now();
        loop {
            let answer = self.at_two(token).await;
            if answer.status == 401 {
                answer.refused(401, "session_ended");
                return began.elapsed();
            }
            answer.is(200);
            assert!(began.elapsed() < Duration::from_secs(30), "never refused");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Cached and not yet seen tokens of a login that ended at the first gateway, and nobody else's.
    async fn a_logout_counts_within_a_second(&self) {
        // The connections stand: what is measured is the way of one logout.
        let first = self.token("first");
        self.at_two(&first).await.is(200);
        self.logout("first").await;
        self.refused_at_two_after(&first).await;

        let [cached, unseen, others] = ["login-1", "login-1", "login-2"].map(|s| self.token(s));
        self.at_two(&cached).await.is(200);
        self.at_two(&others).await.is(200);
        self.logout("login-1").await;
        let took = self.refused_at_two_after(&cached).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        self.at_two(&unseen).await.refused(401, "session_ended");
        self.at_two(&others).await.is(200);
    }

    async fn stop(self) {
        self.one.stop().await;
        self.two.stop().await;
    }
}

#[tokio::test]
async fn a_logout_at_one_replica_counts_at_the_other_within_a_second_by_nats() {
    let nats = Nats::start().await;
    let pair = Pair::sharing("nats-js-kv", &nats.address()).await;
    pair.a_logout_counts_within_a_second().await;
    pair.stop().await;
}

#[tokio::test]
async fn a_logout_at_one_replica_counts_at_the_other_within_a_second_by_redis() {
    let redis = Redis::start().await;
    let pair = Pair::sharing("redis", &redis.address()).await;
    pair.a_logout_counts_within_a_second().await;
    pair.stop().await;
}

#[tokio::test]
async fn a_logout_at_one_replica_counts_at_the_other_by_sentinel_also_after_a_failover() {
    let mut master = Redis::start().await;
    let _replica = Redis::replica_of(&master).await;
    let sentinel = Redis::sentinel_of(&master).await;
    let nodes = format!("{}/{MASTER}", sentinel.address());
    let pair = Pair::sharing("redis-sentinel", &nodes).await;
    pair.a_logout_counts_within_a_second().await;

    // Before it knows a replica there is nobody to take over.
    sentinel.knows_a_replica().await;
    master.kill();
    let token = pair.token("after");
    pair.at_two(&token).await.is(200);
    pair.logout("after").await;
    // Told once the other server is the master.
    pair.refused_at_two_after(&token).await;
    pair.stop().await;
}

/// The settings of TLS with an authority of one's own, and without verification.
fn tls_settings(certificates: &Certificates) -> [Vec<(&'static str, String)>; 2] {
    let ca = certificates.files.ca.to_str().unwrap().to_owned();
    let on = || ("ENABLE_TLS", "true".to_owned());
    [
        vec![on(), ("TLS_ROOT_CA_CERTIFICATE", ca)],
        vec![on(), ("TLS_INSECURE", "true".to_owned())],
    ]
}

/// A logout at one counts at the other, by a store that speaks nothing but TLS.
async fn a_logout_counts_over_tls(kind: &str, nodes: &str, certificates: &Certificates) {
    for settings in tls_settings(certificates) {
        let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let pair = Pair::with(kind, nodes, &settings).await;
        pair.a_logout_counts_within_a_second().await;
        pair.stop().await;
    }
}

#[tokio::test]
async fn replicas_share_logouts_over_tls_by_redis_and_its_sentinels_and_by_nats() {
    let certificates = Certificates::new("localhost", false);
    let redis = Redis::start_with_tls(&certificates.files).await;
    let address = redis.address().replace("127.0.0.1", "localhost");
    a_logout_counts_over_tls("redis", &address, &certificates).await;

    let sentinel = Redis::sentinel_with_tls(&redis, &certificates.files).await;
    let address = sentinel.address().replace("127.0.0.1", "localhost");
    let nodes = format!("{address}/{MASTER}");
    a_logout_counts_over_tls("redis-sentinel", &nodes, &certificates).await;

    let files = &certificates.files;
    let lines = format!(
        "tls {{ cert_file: {:?}, key_file: {:?} }}",
        files.cert, files.key
    );
    let nats = Nats::start_with(&lines).await;
    let address = nats.address().replace("127.0.0.1", "localhost");
    a_logout_counts_over_tls("nats-js-kv", &address, &certificates).await;
}

#[tokio::test]
async fn a_store_with_a_certificate_of_nobody_known_is_told_and_gets_no_password() {
    let [own, other] = [(), ()].map(|()| Certificates::new("localhost", false));
    let redis = Redis::start_with_tls(&own.files).await;
    let address = redis.address().replace("127.0.0.1", "localhost");
    let ca = other.files.ca.to_str().unwrap();
    let settings = [
        ("ENABLE_TLS", "true"),
        // Void beside a file of authorities.
        ("TLS_INSECURE", "true"),
        ("TLS_ROOT_CA_CERTIFICATE", ca),
        ("AUTH_USERNAME", "default"),
        ("AUTH_PASSWORD", "canary-password-of-the-store"),
    ];
    let pair = Pair::with("redis", &address, &settings).await;
    let token = pair.token("login-1");
    pair.at_two(&token).await.is(200);
    pair.logout("login-1").await;
    until("the outage is told", || {
        !pair.one.log_lines("store_unavailable").is_empty()
    })
    .await;
    pair.at_two(&token).await.is(200);
    pair.stop().await;
}

#[tokio::test]
async fn f30_a_store_that_is_away_costs_nothing_but_time() {
    let mut nats = Nats::start().await;
    nats.kill();
    let pair = Pair::sharing("nats-js-kv", &nats.address()).await;
    let token = pair.token("login-1");
    pair.at_two(&token).await.is(200);
    pair.one.get("/files/a").bearer(&token).send().await.is(200);
    // It counts at once where it came, and elsewhere when the store is back.
    pair.logout("login-1").await;
    let here = pair.one.get("/files/a").bearer(&token).send().await;
    here.refused(401, "session_ended");
    pair.at_two(&token).await.is(200);
    until("the outage is told", || {
        !pair.one.log_lines("store_unavailable").is_empty()
    })
    .await;
    nats.start_again().await;
    pair.refused_at_two_after(&token).await;

    // Slow, and full: nobody waits for it.
    nats.signal("-STOP");
    let began = Instant::now();
    let token = pair.token("login-2");
    pair.at_two(&token).await.is(200);
    pair.logout("login-2").await;
    assert!(began.elapsed() < Duration::from_secs(2));
    nats.signal("-CONT");
    pair.refused_at_two_after(&token).await;
    pair.stop().await;
}

#[tokio::test]
async fn f30_and_row_125_a_store_that_lies_ends_nobodys_session() {
    let nats = Nats::start().await;
    let pair = Pair::sharing("nats-js-kv", &nats.address()).await;
    let [token, ended] = ["login-1", "login-2"].map(|sid| pair.token(sid));
    pair.at_two(&token).await.is(200);
    pair.logout("login-2").await;
    pair.refused_at_two_after(&ended).await;
    // Somebody without the secret writes into the bucket: garbage, and a true record under another name.
    let jetstream = async_nats::jetstream::new(nats.client().await);
    let bucket = jetstream.get_key_value("davgate-logouts").await.unwrap();
    let keys: Vec<String> = {
        use futures_util::TryStreamExt as _;
        bucket.keys().await.unwrap().try_collect().await.unwrap()
    };
    let genuine = bucket.get(&keys[0]).await.unwrap().unwrap();
    for (key, value) in [
        ("AAAA", genuine),
        ("BBBB", "garbage".into()),
        (keys[0].as_str(), vec![0xff; 100_000].into()),
    ] {
        bucket.put(key, value).await.unwrap();
    }
    let last = pair.token("login-3");
    pair.logout("login-3").await;
    pair.refused_at_two_after(&last).await;
    pair.at_two(&token).await.is(200);
    pair.at_two(&ended).await.refused(401, "session_ended");
    pair.stop().await;
}

#[tokio::test]
async fn a_replica_that_starts_later_knows_the_logouts_before() {
    let nats = Nats::start().await;
    let pair = Pair::sharing("nats-js-kv", &nats.address()).await;
    let token = pair.token("login-1");
    pair.logout("login-1").await;
    pair.refused_at_two_after(&token).await;
    let third = TestGateway::new()
        .issuer(&pair.issuer)
        .backend("/files/", &pair.backend)
        .var("PROXY_OIDC_SKIP_USER_INFO", "true")
        .var("PROXY_OIDC_USERINFO_CACHE_STORE", "nats-js-kv")
        .var("PROXY_OIDC_USERINFO_CACHE_STORE_NODES", &nats.address())
        .spawn()
        .await;
    let began = Instant::now();
    while third.get("/files/a").bearer(&token).send().await.status != 401 {
        assert!(began.elapsed() < Duration::from_secs(10), "never refused");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    third.stop().await;
    pair.stop().await;
}
