//! The deployment's own services: clients against doubles that answer what a real one was recorded to answer.

mod accounts;
mod calls;
mod doubles;
mod logins;
mod policy_step;
mod provisioning;
mod tenants;
mod traces;
mod transport;

use std::sync::Arc;

use davgate::door::config::deployment::GrpcTls;
use davgate::door::config::{Flavor, Secret};
use davgate::door::model::{Address, ServiceName};
use davgate::door::rpc::Channels;
use davgate::door::rpc::cs3::{Cs3, MachineLogins, ServiceAccount};
use davgate::door::rpc::graph::Graph;
use davgate::door::services::Directory;

use crate::support::deployment::{Deployment, MACHINE_KEY, SERVICE_ACCOUNT, SERVICE_SECRET};

/// davgate's clients of a deployment.
struct Clients {
    directory: Directory,
    channels: Channels,
    cs3: Cs3,
    logins: MachineLogins,
    account: ServiceAccount,
}

impl Clients {
    fn of(deployment: &Deployment) -> Self {
        let directory = Directory::new(Flavor::OpenCloud);
        directory.name_fixed(deployment.nodes());
        let channels = Channels::new(directory.clone(), &GrpcTls::Off).unwrap();
        let gateway = Address::parse("eu.opencloud.api.gateway").unwrap();
        let cs3 = Cs3::new(channels.clone(), gateway);
        let account =
            ServiceAccount::new(cs3.clone(), SERVICE_ACCOUNT, Secret::new(SERVICE_SECRET));
        Self {
            logins: MachineLogins::new(cs3.clone(), Secret::new(MACHINE_KEY)),
            directory,
            channels,
            cs3,
            account,
        }
    }

    fn graph(&self) -> Graph {
        let tls = Arc::new(davgate::door::trust::unverified().unwrap());
        Graph::new(
            self.directory.clone(),
            ServiceName::new("eu.opencloud.web.graph"),
            tls,
            self.account.clone(),
        )
    }
}
