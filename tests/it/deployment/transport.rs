//! How services are reached, and what comes from there that is no answer: a login works, or is 503, never 401.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::logins::Place;
use crate::support::backend::{FakeBackend, tls_of_localhost};
use crate::support::deployment::proto::Message;
use crate::support::deployment::{Deployment, Fault, User};

/// A service over TLS, in front of one without.
async fn over_tls(to: SocketAddr, tls: TlsAcceptor) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let mut behind = TcpStream::connect(to).await.unwrap();
                if let Ok(mut stream) = tls.accept(stream).await {
                    let _ = copy_bidirectional(&mut stream, &mut behind).await;
                }
            });
        }
    });
    format!("localhost:{port}")
}

/// The same on a Unix socket.
async fn over_unix(to: SocketAddr) -> PathBuf {
    let path = std::env::temp_dir().join(format!("davgate-{}.sock", uuid::Uuid::new_v4()));
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut behind = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut behind).await;
            });
        }
    });
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_work_over_tls_with_an_own_authority_and_without_verification_and_not_otherwise() {
    let (tls, certificate) = tls_of_localhost();
    let (_, another) = tls_of_localhost();
    let folder = std::env::temp_dir().join(format!("davgate-grpc-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ca, other_ca) = (file("ca.pem", &certificate), file("other.pem", &another));
    for (mode, cacert, status) in [
        ("on", ca.as_str(), 200),
        ("insecure", "", 200),
        ("on", other_ca.as_str(), 503),
        ("on", "", 503),
        ("off", "", 503),
    ] {
        let deployment = Deployment::start().await;
        let [gateway, settings] = deployment.addresses();
        let gateway = over_tls(gateway, tls.clone()).await;
        let settings = over_tls(settings, tls.clone()).await;
        let place = Place::of(deployment, |builder| {
            builder
                .var("PROXY_AUTOPROVISION_ACCOUNTS", "false")
                .var("OC_REVA_GATEWAY", &gateway)
                .var("OC_GRPC_CLIENT_TLS_MODE", mode)
                .var("OC_GRPC_CLIENT_TLS_CACERT", cacert)
                .yaml("services", json!({"eu.opencloud.api.settings": settings}))
        })
        .await;
        place.deployment.add(User::new("mara"));
        let answer = place.request("mara").await;
        assert_eq!(answer.status, status, "{mode} {cacert}");
        place.gateway.stop().await;
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graph_is_spoken_to_over_tls_with_the_cas_of_the_backends() {
    let (tls, certificate) = tls_of_localhost();
    let ca = std::env::temp_dir().join(format!("davgate-graph-{}.pem", uuid::Uuid::new_v4()));
    std::fs::write(&ca, &certificate).unwrap();
    for (cacert, insecure, status, made) in [
        (ca.to_str().unwrap(), "false", 200, 1),
        ("", "true", 200, 1),
        ("", "false", 503, 0),
    ] {
        let deployment = Deployment::start().await;
        let graph = over_tls(deployment.graph(), tls.clone()).await;
        let settings = deployment.addresses()[1].to_string();
        let place = Place::of(deployment, |builder| {
            builder
                .var("PROXY_AUTOPROVISION_ACCOUNTS", "true")
                .var("PROXY_HTTPS_CACERT", cacert)
                .var("PROXY_INSECURE_BACKENDS", insecure)
                .yaml(
                    "services",
                    json!({
                        "eu.opencloud.api.settings": settings,
                        "eu.opencloud.web.graph": format!("https://{graph}"),
                    }),
                )
        })
        .await;
        place.request("mara").await.is(status);
        let users = place.deployment.world.lock().users.len();
        assert_eq!(users, made, "{cacert:?} {insecure}");
        place.gateway.stop().await;
    }
    std::fs::remove_file(&ca).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_work_over_a_unix_socket() {
    let deployment = Deployment::start().await;
    let path = over_unix(deployment.addresses()[0]).await;
    let address = format!("unix:{}", path.display());
    let place = Place::of(deployment, |builder| {
        builder
            .var("PROXY_AUTOPROVISION_ACCOUNTS", "false")
            .var("OC_REVA_GATEWAY", &address)
    })
    .await;
    place.deployment.add(User::new("mara"));
    place.request("mara").await.is(200);
    assert_eq!(place.deployment.calls("CreateHome"), 1);
    place.gateway.stop().await;
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_none_is_503_and_the_next_one_counts() {
    let place = Place::with(|b| b.var("PROXY_AUTOPROVISION_ACCOUNTS", "false")).await;
    place.deployment.add(User::new("mara"));
    let ok = || Message::new().message(1, &Message::new().number(1, 1));
    let user = |id: &Message| Message::new().message(1, id).text(2, "mara");
    let id = Message::new().text(1, "i").text(2, "o").number(3, 1);
    for (what, bytes) in [
        ("no message", vec![0xff; 64]),
        ("cut", ok().0[..3].to_vec()),
        (
            "a number where a message is to be",
            Message::new().number(1, 7).0,
        ),
        ("JSON", b"{\"status\":{\"code\":\"CODE_OK\"}}".to_vec()),
        ("nothing", Vec::new()),
        ("success without anything", ok().0),
        ("success without a token", ok().message(4, &user(&id)).0),
        ("success without a user", ok().text(3, "token").0),
        (
            "success without an id",
            ok().text(3, "token").message(4, &user(&Message::new())).0,
        ),
        (
            "a name that is not UTF-8",
            ok().text(3, "token")
                .message(4, &Message::new().bytes(2, b"\xff\xfe"))
                .0,
        ),
        ("5 MiB", ok().bytes(900, &vec![b'x'; 5 << 20]).0),
    ] {
        place.deployment.fault("Authenticate", Fault::Bytes(bytes));
        assert_eq!(place.request("mara").await.status, 503, "{what}");
    }
    place.request("mara").await.is(200);
    place.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_speaks_something_else_there_is_503() {
    let web = FakeBackend::start().await;
    let place = Place::with(|builder| {
        builder
            .var("PROXY_AUTOPROVISION_ACCOUNTS", "false")
            .var("OC_REVA_GATEWAY", &web.addr.to_string())
    })
    .await;
    place.request("mara").await.is(503);
    place.gateway.stop().await;
}
