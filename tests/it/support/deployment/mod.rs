//! A deployment's services as davgate sees them: the CS3 gateway, settings, policies, graph. They answer what a real
//! OpenCloud was recorded to answer (tests/data/opencloud; `doubles.rs` holds them against it), and note every call.

pub(crate) mod cs3;
pub(crate) mod graph;
pub(crate) mod grpc;
pub(crate) mod proto;
pub(crate) mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use davgate::door::model::{Endpoint, Protocol, Role, ServiceName};
use serde_json::json;

use self::grpc::{Call, Server, Status};
use super::gateway::Builder;

/// The deployment's machine key, its service account.
pub(crate) const MACHINE_KEY: &str = "canary-machine-key-of-the-deployment";
pub(crate) const SERVICE_ACCOUNT: &str = "fd253f5a-427d-4168-b80a-d29d1d76d71b";
pub(crate) const SERVICE_SECRET: &str = "canary-secret-of-the-service-account";
pub(crate) const SERVICE_ROLE: &str = "bcceed81-c610-49cc-ab77-39a024e8da12";

/// The services, until they are dropped.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) world: World,
    gateway: Server,
    settings: Server,
    policies: Server,
    graph: graph::Server,
}

/// What the services share.
#[derive(Debug, Clone, Default)]
pub(crate) struct World(Arc<Mutex<State>>);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) machine_key: String,
    /// Id and secret.
    pub(crate) service_account: (String, String),
    pub(crate) users: Vec<User>,
    pub(crate) groups: Vec<Group>,
    /// Tenants: their own id, the one that others know.
    pub(crate) tenants: Vec<(String, String)>,
    /// Public links: token, password, id of whoever made it.
    pub(crate) shares: Vec<(String, String, String)>,
    /// Role ids by account id.
    pub(crate) assignments: BTreeMap<String, Vec<String>>,
    /// Account ids of people with a home, with their quota.
    pub(crate) homes: BTreeMap<String, Option<String>>,
    /// Tokens that were given out, and to whom.
    pub(crate) tokens: BTreeMap<String, String>,
    /// `service method`, one entry a call.
    pub(crate) calls: Vec<String>,
    /// Answers of calls to come, by method: the first of a method is taken instead of the real one.
    pub(crate) faults: Vec<(String, Fault)>,
    /// What the policies say to paths that contain this: no.
    pub(crate) forbidden: Vec<String>,
    /// What the policies were asked: method, path, resource name, user name.
    pub(crate) asked: Vec<[String; 4]>,
    /// The `traceparent` of calls that had one, with their method.
    pub(crate) traceparents: Vec<(String, String)>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            machine_key: MACHINE_KEY.to_owned(),
            service_account: (SERVICE_ACCOUNT.to_owned(), SERVICE_SECRET.to_owned()),
            users: Vec::new(),
            groups: Vec::new(),
            tenants: Vec::new(),
            shares: Vec::new(),
            assignments: BTreeMap::new(),
            homes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            calls: Vec::new(),
            faults: Vec::new(),
            forbidden: Vec::new(),
            asked: Vec::new(),
            traceparents: Vec::new(),
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// gRPC says so.
    Grpc(u16, &'static str),
    /// CS3 says so.
    Cs3(u64, &'static str),
    /// It is this instead of a message.
    Bytes(Vec<u8>),
    /// It comes late.
    Late(Duration),
}

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) mail: String,
    pub(crate) display_name: String,
    pub(crate) password: String,
    pub(crate) app_passwords: Vec<String>,
    pub(crate) enabled: bool,
    /// 1 member, 5 guest, 7 lightweight.
    pub(crate) kind: u64,
    /// Issuer and subject, as graph was told.
    pub(crate) identities: Vec<(String, String)>,
    /// Id of the tenant, where there are tenants.
    pub(crate) tenant: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) members: Vec<String>,
}

impl User {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            name: name.to_owned(),
            mail: format!("{name}@example.org"),
            display_name: format!("{name} of example"),
            password: String::new(),
            app_passwords: Vec::new(),
            enabled: true,
            kind: 1,
            identities: Vec::new(),
            tenant: String::new(),
        }
    }
}

impl World {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Keeps the trace that the call belongs to.
    fn hears(&self, call: &Call) {
        if let Some(context) = call.metadata.get("traceparent") {
            let heard = (call.method().to_owned(), context.clone());
            self.lock().traceparents.push(heard);
        }
    }

    /// Notes the call; what goes wrong with it, if anything.
    async fn arrived(&self, service: &str, method: &str) -> Option<Fault> {
        let fault = {
            let mut state = self.lock();
            state.calls.push(format!("{service} {method}"));
            let at = state.faults.iter().position(|(name, _)| name == method);
            at.map(|at| state.faults.remove(at).1)
        };
        if let Some(Fault::Late(time)) = fault {
            tokio::time::sleep(time).await;
            return None;
        }
        fault
    }
}

impl Deployment {
    pub(crate) async fn start() -> Self {
        let world = World::default();
        let of = |world: &World| world.clone();
        let (for_cs3, for_settings, for_policies) = (of(&world), of(&world), of(&world));
        Self {
            gateway: Server::start(0, move |call| cs3::answer(for_cs3.clone(), call)).await,
            settings: Server::start(0, move |call| settings::answer(for_settings.clone(), call))
                .await,
            policies: Server::start(0, move |call| policies(for_policies.clone(), call)).await,
            graph: graph::Server::start(of(&world)).await,
            world,
        }
    }

    /// A person with the role `user` and a home, as who used the deployment before.
    pub(crate) fn add(&self, user: User) -> User {
        let mut state = self.world.lock();
        let role = Role::User.id().to_owned();
        state.assignments.insert(user.id.clone(), vec![role]);
        state.homes.insert(user.id.clone(), None);
        state.users.push(user.clone());
        user
    }

    pub(crate) fn fault(&self, method: &str, fault: Fault) {
        let mut state = self.world.lock();
        state.faults.push((method.to_owned(), fault));
    }

    /// Calls of this method so far.
    pub(crate) fn calls(&self, method: &str) -> usize {
        let state = self.world.lock();
        let of_method = |call: &&String| call.ends_with(&format!(" {method}"));
        state.calls.iter().filter(of_method).count()
    }

    /// Where the CS3 gateway and the settings service are.
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        [self.gateway.addr, self.settings.addr]
    }

    /// Where the graph service is.
    pub(crate) fn graph(&self) -> SocketAddr {
        self.graph.addr
    }

    /// Where the services are, as a registry would know.
    pub(crate) fn nodes(&self) -> Vec<(ServiceName, Endpoint)> {
        let node = |name: &str, protocol, addr: SocketAddr| {
            let host = addr.ip().to_string();
            (
                ServiceName::new(name),
                Endpoint::tcp(protocol, &host, addr.port()),
            )
        };
        vec![
            node(
                "eu.opencloud.api.gateway",
                Protocol::Grpc,
                self.gateway.addr,
            ),
            node(
                "eu.opencloud.api.settings",
                Protocol::Grpc,
                self.settings.addr,
            ),
            node(
                "eu.opencloud.api.policies",
                Protocol::Grpc,
                self.policies.addr,
            ),
            node("eu.opencloud.web.graph", Protocol::Http, self.graph.addr),
        ]
    }

    /// Configures a gateway as the deployment's admin has it: secrets and addresses, and not one word about accounts.
    pub(crate) fn configure(&self, builder: Builder) -> Builder {
        super::canary::secret(MACHINE_KEY);
        super::canary::secret(SERVICE_SECRET);
        builder
            .var("PROXY_ACCOUNT_BACKEND_TYPE", "")
            .var("OC_MACHINE_AUTH_API_KEY", MACHINE_KEY)
            .var("OC_SERVICE_ACCOUNT_ID", SERVICE_ACCOUNT)
            .var("OC_SERVICE_ACCOUNT_SECRET", SERVICE_SECRET)
            .var("OC_REVA_GATEWAY", &self.gateway.addr.to_string())
            .yaml(
                "services",
                json!({
                    "eu.opencloud.api.settings": self.settings.addr.to_string(),
                    "eu.opencloud.api.policies": self.policies.addr.to_string(),
                    "eu.opencloud.web.graph": format!("http://{}", self.graph.addr),
                }),
            )
    }
}

/// `Evaluate`: what is not forbidden may pass.
async fn policies(world: World, call: Call) -> grpc::Answer {
    world.hears(&call);
    if let Some(Fault::Grpc(code, text)) = world.arrived("policies", call.method()).await {
        return Err(Status(code, text.to_owned()));
    }
    let query = call.message.text(1);
    if query.is_empty() {
        return Err(Status(2, "cannot evaluate empty query".to_owned()));
    }
    let environment = call.message.message(2).unwrap_or_default();
    let text = |message: u64, field: u64| {
        let message = environment.message(message);
        message
            .map(|message| message.text(field))
            .unwrap_or_default()
    };
    let mut state = world.lock();
    let (path, name) = (text(3, 2), text(4, 2));
    state
        .asked
        .push([text(3, 1), path.clone(), name.clone(), text(2, 2)]);
    let is_forbidden = |word: &String| path.contains(word) || name.contains(word);
    let passes = !state.forbidden.iter().any(is_forbidden);
    Ok(proto::Message::new().number(1, u64::from(passes)))
}
