//! Our messages of CS3 beside those of PyPI's `cs3apis`, which are generated from the published definitions: what we send is
//! read by it whole and would be written the same, byte for byte; what it writes is read here field by field.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};

use data_encoding::HEXLOWER;
use davgate::door::config::deployment::GrpcTls;
use davgate::door::config::{Flavor, Secret};
use davgate::door::model::{Address, Endpoint, Protocol, ServiceName};
use davgate::door::rpc::Channels;
use davgate::door::rpc::cs3::{
    Authentication, Claim, Credentials, Cs3, Home, Reference, ResourceId,
};
use davgate::door::services::Directory;
use serde_json::{Value, json};

use crate::support::deployment::grpc::Server;
use crate::support::deployment::proto::Message;
use crate::support::tools::python;

/// The bindings, as a process of Python.
struct Bindings {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Bindings {
    fn start() -> Self {
        let mut command = python("python_cs3.py");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("python: {error}; run `make tools`");
        });
        Self {
            questions: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(
            !line.is_empty(),
            "Python ended at {question}; run `make tools`"
        );
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["error"], Value::Null);
        answer
    }

    /// The fields of a message that somebody else wrote.
    fn read(&mut self, message: &str, bytes: &[u8]) -> Value {
        let hex = HEXLOWER.encode(bytes);
        self.ask(&json!({"message": message, "hex": hex}))["fields"].take()
    }

    fn write(&mut self, message: &str, fields: &Value) -> Vec<u8> {
        let answer = self.ask(&json!({"message": message, "fields": fields}));
        let hex = answer["hex"].as_str().unwrap();
        HEXLOWER.decode(hex.as_bytes()).unwrap()
    }
}

impl Drop for Bindings {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Request and answer of the gateway's methods.
fn package_of(method: &str) -> &'static str {
    match method {
        "Authenticate" => "cs3.gateway.v1beta1",
        "GetUserByClaim" => "cs3.identity.user.v1beta1",
        "GetTenantByClaim" => "cs3.identity.tenant.v1beta1",
        "CreateHome" | "Stat" => "cs3.storage.provider.v1beta1",
        _ => panic!("{method} is new: say where it is"),
    }
}

/// A gateway that reads and writes with the bindings: every answer is the same, every request is kept.
struct Gateway {
    cs3: Cs3,
    asked: Arc<Mutex<Vec<Value>>>,
    _server: Server,
}

impl Gateway {
    async fn answering(fields: Value) -> Self {
        let asked = Arc::<Mutex<Vec<Value>>>::default();
        let kept = Arc::clone(&asked);
        let bindings = Mutex::new(Bindings::start());
        let server = Server::start(0, move |call| {
            let method = call.method();
            let named = |kind: &str| format!("{}.{method}{kind}", package_of(method));
            let mut bindings = bindings.lock().unwrap();
            let request = bindings.read(&named("Request"), &call.bytes);
            kept.lock().unwrap().push(request);
            let answer = Message(bindings.write(&named("Response"), &fields));
            async move { Ok(answer) }
        })
        .await;
        let directory = Directory::new(Flavor::OpenCloud);
        let name = "eu.opencloud.api.gateway";
        let host = server.addr.ip().to_string();
        let at = Endpoint::tcp(Protocol::Grpc, &host, server.addr.port());
        directory.name_fixed([(ServiceName::new(name), at)]);
        let channels = Channels::new(directory, &GrpcTls::Off).unwrap();
        Self {
            cs3: Cs3::new(channels, Address::parse(name).unwrap()),
            asked,
            _server: server,
        }
    }

    /// The requests since the last time, as the bindings read them.
    fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn alan() -> Value {
    json!({
        "id": {"idp": "https://cloud.example", "opaque_id": "b1f74ec4", "type": "USER_TYPE_GUEST", "tenant_id": "t-7"},
        "username": "alan", "mail": "alan@example.org", "mail_verified": true, "display_name": "Alan Türing",
        "groups": ["509a9dcd", "262982c1"], "uid_number": "99", "gid_number": "-1",
        "opaque": {"map": {"roles": {"decoder": "json", "value": "WyJhIl0="}}},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_of_every_kind_are_what_the_published_definitions_say() {
    let token = "eyJ.canary-token-of-a-user.x";
    let answer =
        json!({"status": {"code": "CODE_OK", "trace": "0af7"}, "token": token, "user": alan()});
    let gateway = Gateway::answering(answer).await;
    let secret = Secret::new("pässword");
    let (id, name, share) = ("fd253f5a", "alan", "sYwVkZbJ");
    let machine = |claim| Credentials::Machine {
        claim,
        value: "alan",
        key: &secret,
    };
    for (credentials, kind, client_id, client_secret) in [
        (
            machine(Claim::Username),
            "machine",
            "username:alan",
            "pässword",
        ),
        (machine(Claim::Mail), "machine", "mail:alan", "pässword"),
        (machine(Claim::UserId), "machine", "userid:alan", "pässword"),
        (
            Credentials::Basic {
                name,
                password: &secret,
            },
            "basic",
            "alan",
            "pässword",
        ),
        (
            Credentials::AppPassword {
                name,
                password: &secret,
            },
            "appauth",
            "alan",
            "pässword",
        ),
        (
            Credentials::SharePassword {
                share,
                password: &secret,
            },
            "publicshares",
            share,
            "password|pässword",
        ),
        (
            Credentials::ShareSignature {
                share,
                signature: "ab",
                expiration: "2026-11-30T00:00:00Z",
            },
            "publicshares",
            share,
            "signature|ab|2026-11-30T00:00:00Z",
        ),
        (
            Credentials::ServiceAccount {
                id,
                secret: &secret,
            },
            "serviceaccounts",
            id,
            "pässword",
        ),
    ] {
        let outcome = gateway.cs3.authenticate(credentials).await.unwrap();
        let wanted = json!({"type": kind, "client_id": client_id, "client_secret": client_secret});
        assert_eq!(gateway.asked(), [wanted]);
        let Authentication::Granted(granted) = outcome else {
            panic!("refused");
        };
        assert_eq!(granted.token.reveal(), token);
        let user = &granted.user;
        let texts = [&user.username, &user.mail, &user.display_name];
        assert_eq!(texts, ["alan", "alan@example.org", "Alan Türing"]);
        assert!(user.mail_verified);
        assert_eq!(user.groups, ["509a9dcd", "262982c1"]);
        assert_eq!((user.uid_number, user.gid_number), (99, -1));
        let id = &granted.id;
        let texts = [&id.idp, &id.opaque_id, &id.tenant_id];
        assert_eq!(texts, ["https://cloud.example", "b1f74ec4", "t-7"]);
        assert_eq!(id.kind, 5);
        let opaque = &user.opaque.as_ref().unwrap().map["roles"];
        assert_eq!(
            (opaque.decoder.as_str(), &opaque.value[..]),
            ("json", &b"[\"a\"]"[..])
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_homes_files_and_tenants_are_asked_for_by_the_published_definitions() {
    let token = Secret::new("eyJ.canary-token-of-a-user.x");
    let ok = json!({"code": "CODE_OK"});

    let gateway = Gateway::answering(json!({"status": ok, "user": alan()})).await;
    for (claim, name) in [
        (Claim::Username, "username"),
        (Claim::Mail, "mail"),
        (Claim::UserId, "userid"),
    ] {
        let user = gateway
            .cs3
            .user_by_claim(claim, "é")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(user.username, "alan");
        assert_eq!(gateway.asked(), [json!({"claim": name, "value": "é"})]);
    }

    let gateway = Gateway::answering(json!({"status": {"code": "CODE_ALREADY_EXISTS"}})).await;
    for quota in [None, Some(5_000_000_000)] {
        let home = gateway.cs3.create_home(&token, quota).await.unwrap();
        assert_eq!(home, Home::Ready);
    }
    let quota =
        json!({"opaque": {"map": {"quota": {"decoder": "plain", "value": "NTAwMDAwMDAwMA=="}}}});
    assert_eq!(gateway.asked(), [json!({}), quota]);

    let info = json!({
        "id": {"storage_id": "s", "opaque_id": "o", "space_id": "p"}, "path": "/a/é.txt", "size": "5000000000",
        "name": "é.txt", "type": "RESOURCE_TYPE_FILE", "etag": "\"x\"", "mime_type": "text/plain",
        "owner": {"opaque_id": "b1f74ec4"}, "mtime": {"seconds": "1"},
    });
    let gateway = Gateway::answering(json!({"status": ok, "info": info})).await;
    let id = ResourceId {
        storage_id: "s".to_owned(),
        opaque_id: "o".to_owned(),
        space_id: "p".to_owned(),
    };
    let reference = Reference {
        resource_id: Some(id.clone()),
        path: "./é.txt".to_owned(),
    };
    let found = gateway.cs3.stat(&token, reference).await.unwrap().unwrap();
    assert_eq!((found.id, found.size), (Some(id), 5_000_000_000));
    assert_eq!([found.path, found.name], ["/a/é.txt", "é.txt"]);
    let at = json!({"storage_id": "s", "opaque_id": "o", "space_id": "p"});
    let asked = json!({"ref": {"resource_id": at, "path": "./é.txt"}});
    assert_eq!(gateway.asked(), [asked]);

    let tenant = json!({"id": "t-7", "name": "Seven", "external_id": "school-seven"});
    let gateway = Gateway::answering(json!({"status": ok, "tenant": tenant})).await;
    let own = gateway.cs3.tenant_by_external_id(&token, "school-seven");
    assert_eq!(own.await.unwrap().as_deref(), Some("t-7"));
    let asked = json!({"claim": "externalid", "value": "school-seven"});
    assert_eq!(gateway.asked(), [asked]);
}

/// Codes have the names that we take them for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_is_told_by_the_published_numbers() {
    for (code, is_known) in [
        ("CODE_OK", false),
        ("CODE_NOT_FOUND", true),
        ("CODE_INTERNAL", false),
        ("CODE_UNAUTHENTICATED", false),
        ("CODE_INVALID", false),
    ] {
        let gateway = Gateway::answering(json!({"status": {"code": code}})).await;
        let user = gateway.cs3.user_by_claim(Claim::UserId, "x").await;
        assert_eq!(user.is_ok(), is_known, "{code}: {user:?}");
    }
    for (code, home) in [
        ("CODE_OK", Home::Ready),
        ("CODE_PERMISSION_DENIED", Home::None),
        ("CODE_INVALID_ARGUMENT", Home::None),
    ] {
        let gateway = Gateway::answering(json!({"status": {"code": code}})).await;
        let made = gateway.cs3.create_home(&Secret::new("t"), None).await;
        assert_eq!(made.unwrap(), home, "{code}");
    }
}
