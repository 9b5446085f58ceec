//! Signed URLs from end to end: the keys are in a real NATS, as the service `ocs` writes them, and Python signs.

use std::process::Command;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv;
use davgate::door::stores::record;
use uuid::Uuid;

use crate::support::backend::{FakeBackend, Told};
use crate::support::canary;
use crate::support::client::{Answer, CLOUD};
use crate::support::deployment::{Deployment, User};
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::nats::Nats;

/// The string to sign and the signature, worked out anew by another library (docs/design/contract.md 9.7).
const SIGN: &str = "import hashlib, sys
text, key = sys.argv[1:]
print(hashlib.pbkdf2_hmac('sha512', text.encode(), key.encode(), 10000, 32).hex())";

const TABLE: &str = "signing-keys";

struct Place {
    nats: Nats,
    deployment: Deployment,
    backend: FakeBackend,
    gateway: TestGateway,
    alan: User,
}

impl Place {
    async fn new() -> Self {
        let (nats, issuer) = (Nats::start().await, FakeIssuer::start().await);
        let deployment = Deployment::start().await;
        let backend = FakeBackend::told(Told::Reva).await;
        let alan = deployment.add(User::new("alan"));
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .var("PROXY_USER_OIDC_CLAIM", "preferred_username")
            .var("PROXY_USER_CS3_CLAIM", "username")
            .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "default")
            .var(
                "PROXY_PRESIGNEDURL_SIGNING_KEYS_STORE_NODES",
                &nats.address(),
            )
            .backend("/dav/", &backend);
        let gateway = deployment.configure(gateway).spawn().await;
        Self {
            nats,
            deployment,
            backend,
            gateway,
            alan,
        }
    }

    /// The bucket, as the service makes it at its first key.
    async fn bucket(&self) -> kv::Store {
        let age = Duration::from_secs(12 * 3_600);
        self.nats.bucket("proxy", age).await
    }

    async fn put(&self, bucket: &kv::Store, key: &str) {
        let plain = format!("{TABLE}_{}", self.alan.id);
        let value = record::envelope(&plain, key.as_bytes());
        let stored = record::stored_key(TABLE, &self.alan.id);
        bucket.put(stored, value.into()).await.unwrap();
    }

    async fn get(&self, target: &str) -> Answer {
        self.gateway.get(target).send().await
    }

    /// How long a URL goes on that is no longer good.
    async fn refused_after(&self, target: &str) -> Duration {
        let began = Instant::now();
        loop {
            let answer = self.get(target).await;
            if answer.status == 401 {
                return began.elapsed();
            }
            answer.is(200);
            assert!(began.elapsed() < Duration::from_secs(30), "never refused");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A key as the service makes them.
fn key() -> String {
    let part = || Uuid::new_v4().simple().to_string();
    let key = [part(), part(), part(), part()].concat();
    canary::secret(&key);
    key
}

/// `path` with what makes it a signed URL.
fn signed(path: &str, name: &str, key: &str) -> String {
    let date = "2026-01-01T00%3A00%3A00Z";
    let query = format!("OC-Credential={name}&OC-Date={date}&OC-Expires=999999999&OC-Verb=GET");
    let text = format!("https://{CLOUD}{path}?{query}");
    let output = Command::new("python3")
        .args(["-c", SIGN, &text, key])
        .output();
    let output = output.expect("python3: run `make tools`");
    assert!(output.status.success(), "{output:?}");
    let signature = String::from_utf8(output.stdout).unwrap();
    canary::secret(signature.trim());
    format!("{path}?{query}&OC-Signature={}", signature.trim())
}

/// Without what is another one in each answer.
fn without_id(answer: &Answer) -> String {
    let id = answer.header("x-request-id").unwrap();
    answer.text().replace(id, "")
}

#[tokio::test]
async fn a_url_signed_with_a_key_of_the_store_is_its_persons_and_row_113_ends_within_a_second() {
    let place = Place::new().await;
    let (first, second) = (key(), key());
    let url = signed("/dav/a%20b", "alan", &first);
    // The service has not made its bucket yet.
    place.get(&url).await.is(401);
    let bucket = place.bucket().await;
    place
        .get(&signed("/dav/none", "alan", &first))
        .await
        .is(401);
    place.backend.saw_nothing();

    place.put(&bucket, &first).await;
    let url = signed("/dav/a", "alan", &first);
    place.get(&url).await.is(200);
    let seen = place.backend.the_request();
    assert!(seen.header("x-access-token").is_some());

    // The key is another one now. Half a second more is for a machine under load.
    place.put(&bucket, &second).await;
    let took = place.refused_after(&url).await;
    assert!(took < Duration::from_millis(1_500), "{took:?}");

    // And its person is shut out.
    let url = signed("/dav/b", "alan", &second);
    place.get(&url).await.is(200);
    place.deployment.world.lock().users[0].enabled = false;
    let took = place.refused_after(&url).await;
    assert!(took < Duration::from_millis(1_500), "{took:?}");
    place.deployment.world.lock().users.clear();
    place.get(&signed("/dav/c", "alan", &second)).await.is(401);
    place.gateway.stop().await;
}

#[tokio::test]
async fn row_112_nobodys_name_and_a_wrong_signature_are_one_answer_and_no_signature_is_logged() {
    let place = Place::new().await;
    let bucket = place.bucket().await;
    let key = key();
    place.put(&bucket, &key).await;
    let wrong = place.get(&signed("/dav/a", "alan", "another")).await;
    let nobody = place.get(&signed("/dav/a", "nobody", &key)).await;
    wrong.is(401);
    nobody.is(401);
    assert_eq!(without_id(&wrong), without_id(&nobody));
    place.backend.saw_nothing();
    // A store that is away is no wrong signature, whoever the name is.
    let Place {
        mut nats, gateway, ..
    } = place;
    nats.kill();
    for name in ["alan", "nobody"] {
        let call = gateway.get(&signed("/dav/later", name, &key));
        call.send().await.is(503);
    }
    gateway.stop().await;
}
