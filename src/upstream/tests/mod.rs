//! Real sockets on both sides: a client and a backend of plain bytes, the forwarder between them in an HTTP server.

mod bodies;
mod faults;
mod heads;
mod http2;
mod http2_backends;
mod nodes;
mod patience;
mod pooling;
mod tls;
mod upgrades;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::spawn_local;

use super::exchange::Patience;
use super::head::{HeadRules, Told};
use super::pool::{Limits, Pools};
use super::*;
use crate::body::{Body, BodyEnd};
use crate::config::http::Upstream;
use crate::config::routes::{Backend, IdentityMode, PathNames, Route, RouteKind, Server};
use crate::config::{Flavor, Mfa};
use crate::headers::{IdentityHeaders, RemoteHeaders, Reserved};
use crate::model::{Endpoint, Protocol, Reason};
use crate::routes::UpstreamTarget;
use crate::services::Directory;
use crate::telemetry::{PoolCounters, PoolMetrics};

/// Runs a test on a worker's kind of runtime.
pub(super) fn on_worker<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), test)
            .await
            .expect("the test hangs")
    })
}

/// The gateway's part: routes everything to one backend.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) counters: Arc<PoolCounters>,
    pub(super) metrics: PoolMetrics,
    pub(super) ends: Rc<RefCell<Vec<BodyEnd>>>,
    pub(super) tunnels: Rc<RefCell<Vec<TunnelEnd>>>,
    pub(super) session: Rc<crate::session::Cancellation>,
}

/// How the gateway is set up.
pub(super) struct Setup {
    pub(super) route: Route,
    pub(super) identity: Option<IdentityHeaders>,
    pub(super) limits: Limits,
    pub(super) rules: HeadRules,
    pub(super) settings: Upstream,
    pub(super) http2: bool,
    pub(super) directory: Directory,
}

/// Runs the HTTP library's HTTP/2 tasks on the worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

impl Setup {
    pub(super) fn new(backend: SocketAddr) -> Self {
        Self {
            route: route(backend),
            identity: None,
            limits: limits(),
            rules: HeadRules {
                forward_authorization: false,
                mfa: Mfa {
                    header: false,
                    enabled: false,
                    auth_level_names: Vec::new(),
                },
            },
            settings: upstream_settings(),
            http2: false,
            directory: Directory::new(Flavor::OpenCloud),
        }
    }

    /// A route to a service whose nodes are these.
    pub(super) fn of_nodes(nodes: &[SocketAddr]) -> Self {
        let setup = Self::new(nodes[0]);
        setup.name_nodes(nodes);
        let route = Route {
            backend: Backend {
                server: Server::Service(NODES.into()),
                ..setup.route.backend
            },
            ..setup.route
        };
        Self { route, ..setup }
    }

    pub(super) fn name_nodes(&self, nodes: &[SocketAddr]) {
        let nodes = nodes.iter().map(|node| (NODES.into(), endpoint(*node)));
        self.directory.name_registered(nodes);
    }

    pub(super) fn with_identity(mut self) -> Self {
        self.route.unprotected = false;
        self.identity = Some(identity());
        self
    }

    pub(super) async fn start(self) -> Gateway {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let metrics = PoolMetrics::default();
        let connector = Connector::new(&self.settings, Handle::current()).unwrap();
        let backend = &self.route.backend;
        let endpoint = backend.server.origin().map(ToString::to_string);
        let counters = metrics.of(&backend.name, &endpoint.unwrap_or_default());
        let directory = self.directory.clone();
        let pools = Pools::new(connector, self.limits, directory, metrics.clone());
        let gateway = Gateway {
            address: listener.local_addr().unwrap(),
            counters,
            metrics,
            ends: Rc::default(),
            tunnels: Rc::default(),
            session: Rc::default(),
        };
        let handler = Rc::new(Handler {
            forwarder: Forwarder::over(pools, self.rules, Patience::new(&self.settings)),
            reserved: Reserved::new(&[crate::config::routes::Policy {
                name: "default".to_owned(),
                routes: vec![self.route.clone()],
            }]),
            route: self.route,
            identity: self.identity,
            ends: Rc::clone(&gateway.ends),
            tunnels: Rc::clone(&gateway.tunnels),
            session: gateway.session.clone(),
        });
        spawn_local(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                socket.set_nodelay(true).unwrap();
                let handler = Rc::clone(&handler);
                let service = service_fn(move |request| {
                    let handler = Rc::clone(&handler);
                    async move { Ok::<_, Infallible>(handler.handle(request).await) }
                });
                if self.http2 {
                    let server = hyper::server::conn::http2::Builder::new(LocalExecutor);
                    spawn_local(server.serve_connection(TokioIo::new(socket), service));
                    continue;
                }
                spawn_local(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .serve_connection(TokioIo::new(socket), service)
                        .with_upgrades()
                        .await;
                });
            }
        });
        gateway
    }
}

struct Handler {
    forwarder: Forwarder,
    reserved: Reserved,
    route: Route,
    identity: Option<IdentityHeaders>,
    ends: Rc<RefCell<Vec<BodyEnd>>>,
    tunnels: Rc<RefCell<Vec<TunnelEnd>>>,
    session: Rc<crate::session::Cancellation>,
}

impl Handler {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = match self.reserved.clean(request) {
            Ok(clean) => clean,
            Err(fault) => return refusal(400, fault.reason().code()),
        };
        let host = head.headers().get("host").cloned();
        let host = host.unwrap_or(HeaderValue::from_static("files.example"));
        let ingress = Ingress {
            client: HeaderValue::from_static("192.0.2.7"),
            scheme: HeaderValue::from_static("https"),
            own_host: host.clone(),
            host,
            request_id: HeaderValue::from_static("id-1"),
        };
        let uri = head.uri().clone();
        let tunnels = Rc::clone(&self.tunnels);
        let trip = crate::upstream::Trip::default();
        let call = Call {
            head,
            body: body.into(),
            target: UpstreamTarget {
                path: uri.path().into(),
                query: uri.query().map(Into::into),
                removed_prefix: None,
            },
            ingress: &ingress,
            second_factor: self.identity.is_some(),
            keeps_location: false,
            ends: Ends {
                session: Some([&*self.session; 2]),
                drain: None,
            },
            trip: &trip,
            on_tunnel_end: Some(Box::new(move |end| tunnels.borrow_mut().push(end))),
        };
        let told = self.identity.as_ref().map_or(Told::Nobody, Told::User);
        let sent = self.forwarder.send(&self.route, told, call);
        match sent.await {
            Ok(response) => {
                let ends = Rc::clone(&self.ends);
                response.map(|body| body.on_end(move |end| ends.borrow_mut().push(end)))
            }
            Err(error) => refusal(status_of(error.reason()), error.reason().code()),
        }
    }
}

/// As the table of answers, which stands above this module, has it.
fn status_of(reason: Reason) -> u16 {
    match reason {
        Reason::BackendUnreachable | Reason::BackendMalformed => 502,
        Reason::BackendTimeout => 504,
        Reason::BackendBusy => 503,
        Reason::ClientBody => 400,
        _ => 500,
    }
}

fn refusal(status: u16, reason: &str) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("reason", reason)
        .body(Body::full(reason.to_owned()))
        .unwrap()
}

impl Gateway {
    pub(super) async fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    /// Sends one request on a connection of its own and reads until the gateway closes it.
    pub(super) async fn once(&self, request: &str) -> String {
        let mut socket = self.connect().await;
        let request = request.replacen(
            "\r\n",
            "\r\nHost: files.example\r\nConnection: close\r\n",
            1,
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut socket).await
    }
}

/// A backend that handles each connection, numbered from 1, with `serve`.
pub(super) async fn backend<F, S>(serve: S) -> SocketAddr
where
    F: Future<Output = ()> + 'static,
    S: Fn(TcpStream, usize) -> F + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Cell::new(0);
    spawn_local(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            count.set(count.get() + 1);
            spawn_local(serve(socket, count.get()));
        }
    });
    address
}

/// A backend that answers every request of every connection with the same bytes and reports the heads it saw.
pub(super) async fn answering(answer: &'static str) -> (SocketAddr, Rc<RefCell<Vec<String>>>) {
    let heads: Rc<RefCell<Vec<String>>> = Rc::default();
    let seen = Rc::clone(&heads);
    let address = backend(move |mut socket, _| {
        let seen = Rc::clone(&seen);
        async move {
            while let Some(head) = read_head(&mut socket).await {
                seen.borrow_mut().push(head);
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (address, heads)
}

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Reads up to and with the empty line, byte by byte so that nothing of the body is taken.
pub(super) async fn read_head(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Reads until the other side closes or breaks off.
pub(super) async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(bytes @ 1..) = socket.read(&mut chunk).await {
        all.extend_from_slice(&chunk[..bytes]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The values of a header in a head, in order.
pub(super) fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .collect()
}

const NODES: &str = "eu.opencloud.web.files";

pub(super) fn endpoint(backend: SocketAddr) -> Endpoint {
    Endpoint::tcp(Protocol::Http, &backend.ip().to_string(), backend.port())
}

pub(super) fn origin(backend: SocketAddr) -> Server {
    Server::Origin(Arc::new(endpoint(backend)))
}

pub(super) fn tls_origin(host: &str, port: u16) -> Server {
    let plain = Endpoint::tcp(Protocol::Http, host, port);
    Server::Origin(Arc::new(Endpoint { tls: true, ..plain }))
}

pub(super) fn route(backend: SocketAddr) -> Route {
    Route {
        kind: RouteKind::Prefix,
        method: None,
        endpoint: "/".to_owned(),
        backend: Backend {
            name: "files".to_owned(),
            server: origin(backend),
            base_path: String::new(),
            base_query: String::new(),
        },
        apache_vhost: false,
        unprotected: true,
        identity: IdentityMode::Reva,
        strip_prefix: None,
        additional_headers: Vec::new(),
        remote_user_header: None,
        skip_x_access_token: false,
        required_claims: Vec::new(),
        max_age: None,
        path_names: PathNames::default(),
        place: String::new(),
    }
}

pub(super) fn identity() -> IdentityHeaders {
    IdentityHeaders {
        access_token: Some(HeaderValue::from_static("reva-token")),
        remote: Some(Arc::new(RemoteHeaders {
            account_id: HeaderValue::from_static("account-1"),
            user: HeaderValue::from_static("einstein"),
            name: HeaderValue::from_static("Albert Einstein"),
            email: Some(HeaderValue::from_static("einstein@example.org")),
            groups: HeaderValue::from_static("physics,sailing"),
        })),
    }
}

pub(super) fn limits() -> Limits {
    Limits {
        opening: 64,
        connections: 100,
        queue: 100,
        wait: Duration::from_secs(5),
        idle: 100,
        idle_timeout: Duration::from_secs(30),
        max_age: Duration::from_secs(600),
    }
}

pub(in crate::upstream) fn upstream_settings() -> Upstream {
    Upstream {
        insecure: false,
        cacert: None,
        connect_timeout: Duration::from_secs(5),
        keep_alive: Duration::from_secs(15),
        http2: false,
        max_idle: 100,
        max_idle_per_host: 100,
        idle_timeout: Duration::from_secs(30),
        tls_handshake_timeout: Duration::from_secs(10),
        expect_continue_timeout: Duration::from_secs(1),
        response_header_timeout: None,
    }
}
