//! What workers share: which implementation stands behind each seam is decided here and nowhere else.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::accounts::embedded::EmbeddedDirectory;
use crate::accounts::ldap::LdapDirectory;
use crate::accounts::measured::MeasuredDirectory;
use crate::accounts::{Provisioner, Rehearsal, Resolver, Unwritten, UserDirectory};
use crate::auth::{Nonces, OidcAuthenticator, Replays};
use crate::client::{self, Client, Proxies};
use crate::config::Config;
use crate::config::accounts::AccountBackend;
use crate::config::oidc::ClaimRequirement;
use crate::config::routes::Server;
use crate::config::stores::Events;
use crate::credentials::Accepts;
use crate::events::{EventSink, NatsEvents, NoEvents};
use crate::identity::{Minter, NoHomes, RevaKey};
use crate::login::{Authenticators, Oidc};
use crate::model::Clock;
use crate::process::{Process, Snapshot};
use crate::replicas::{self, Replicas};
use crate::server::Tls;
use crate::services::{Directory, registry};
use crate::session::Digester;
use crate::session::freshness::keep_accounts_fresh;
use crate::session::live::LiveAccounts;
use crate::session::loader::Loader;
use crate::session::measured::MeasuredLoader;
use crate::session::rules::Rules;
use crate::session::store::Sessions;
use crate::telemetry::ControlMetrics;

/// What was built.
pub(super) struct Parts {
    /// Shared by workers and control.
    pub(super) process: Arc<Process>,
    /// For reloads, which give it other rules.
    pub(super) loader: Arc<Loader>,
    /// For readiness.
    pub(super) directory: Arc<dyn UserDirectory>,
}

/// What turns a token into an account.
pub(super) struct Logins {
    /// Who sent the token.
    pub(super) issuers: Arc<OidcAuthenticator>,
    /// Which account that is.
    pub(super) resolver: Resolver,
    /// Where accounts are.
    pub(super) directory: Arc<dyn UserDirectory>,
}

/// What is done to accounts, and to the file of embedded ones.
#[derive(Debug, Clone)]
pub(super) enum Access {
    /// They are made and brought up to date.
    ReadWrite,
    /// They are looked at; what would be written is told here.
    ReadOnly(Unwritten),
}

/// An account backend; without provisioner it is only read.
struct AccountParts {
    directory: Arc<dyn UserDirectory>,
    provisioner: Option<Arc<dyn Provisioner>>,
}

/// Builds everything that workers share, and starts the control tasks that keep it fresh.
pub(super) fn build(
    config: &Arc<Config>,
    snapshot: Snapshot,
    tls: Option<&Tls>,
    control: &Runtime,
    clock: Clock,
    metrics: ControlMetrics,
    stop: &CancellationToken,
) -> Result<Parts, StartError> {
    let logins = logins(config, &Access::ReadWrite, tls, control, &clock, &metrics)?;
    let events = event_sink(config, control, stop);
    let loader = Arc::new(Loader {
        events: Arc::clone(&events),
        ..loader(config, &logins, snapshot.requirements.clone(), &clock)
    });
    let accounts = Arc::clone(&loader.accounts);
    let Logins {
        issuers, directory, ..
    } = logins;
    let digester = Digester::random().map_err(|_| io::Error::other("no randomness"))?;
    let sessions = Sessions::new(
        config.sessions.clone(),
        config.accounts.max_stale,
        digester.clone(),
        Arc::new(MeasuredLoader::new(Arc::clone(&loader), metrics)),
        clock.clone(),
        control.handle().clone(),
    );
    control.spawn(keep_accounts_fresh(
        accounts,
        Arc::clone(&sessions),
        config.accounts.cache_ttl,
        clock.clone(),
        stop.clone(),
    ));
    let proofs = Arc::<Replays>::default();
    let issuer_names = config.issuers.iter().map(|issuer| issuer.issuer.clone());
    let replicas = Replicas::join(
        &config.stores.sessions,
        config.identity.jwt_secret.reveal().as_bytes(),
        replicas::Memory {
            issuers: issuer_names.collect(),
            sessions: Arc::clone(&sessions),
            proofs: Arc::clone(&proofs),
            clock: clock.clone(),
        },
        control.handle(),
        stop,
    )?;
    let services = services(config, control, stop);
    let process = Arc::new(Process {
        directory: services,
        snapshot: ArcSwap::from_pointee(snapshot),
        sessions,
        digester,
        issuers,
        proofs,
        replicas,
        events,
        nonces: config
            .dpop_nonce
            .then(|| Nonces::new(config.identity.jwt_secret.reveal().as_bytes())),
        reva_key: RevaKey::new(&config.identity.jwt_secret),
        accepts: Accepts::default(),
        clock,
    });
    Ok(Parts {
        process,
        loader,
        directory,
    })
}

/// Names and addresses of services; what the registry says is followed until `stop`.
pub(super) fn services(config: &Config, control: &Runtime, stop: &CancellationToken) -> Directory {
    let services = Directory::new(config.flavor);
    services.name_fixed(config.services.named.iter().cloned());
    if let Some(registry) = config.services.registry.clone()
        && looks_services_up(config)
    {
        control.spawn(registry::follow(registry, services.clone(), stop.clone()));
    }
    services
}

/// Whether any request goes to a service without an address of its own. A gateway in front of one server needs no registry.
fn looks_services_up(config: &Config) -> bool {
    let routes = config.policies.iter().flat_map(|policy| &policy.routes);
    let mut servers = routes.map(|route| &route.backend.server);
    servers.any(|server| matches!(server, Server::Service(_)))
}

/// Where events go. A default that nobody asked for counts only beside the services that want events.
fn event_sink(config: &Config, control: &Runtime, stop: &CancellationToken) -> Arc<dyn EventSink> {
    let wanted = |events: &&Events| events.is_named || looks_services_up(config);
    match config.events.as_ref().filter(wanted) {
        None => Arc::new(NoEvents),
        Some(events) => {
            let idp = config.identity.idp.clone();
            let (sink, publishing) = NatsEvents::new(events.clone(), idp, stop.clone());
            control.spawn(publishing);
            Arc::new(sink)
        }
    }
}

/// Builds what sets sessions up.
pub(super) fn loader(
    config: &Config,
    logins: &Logins,
    requirements: Vec<Vec<ClaimRequirement>>,
    clock: &Clock,
) -> Loader {
    let oidc = Oidc(Arc::clone(&logins.issuers) as _);
    Loader {
        authenticators: Authenticators::new(vec![Arc::new(oidc)]),
        resolver: logins.resolver.clone(),
        identity: Arc::new(Minter::new(&config.identity)),
        homes: Arc::new(NoHomes),
        events: Arc::new(NoEvents),
        rules: Rules::new(config, requirements),
        accounts: Arc::new(LiveAccounts::default()),
        clock: clock.clone(),
    }
}

/// Builds issuers and account backend.
pub(super) fn logins(
    config: &Config,
    access: &Access,
    tls: Option<&Tls>,
    control: &Runtime,
    clock: &Clock,
    metrics: &ControlMetrics,
) -> Result<Logins, StartError> {
    let client = issuer_client(config, tls, Some(metrics.clone()))?;
    let issuers = Arc::new(OidcAuthenticator::new(
        &config.issuers,
        &client,
        clock,
        control.handle(),
    )?);
    let AccountParts {
        directory,
        provisioner,
    } = account_backend(config, access, metrics)?;
    let provisioner = match access {
        Access::ReadWrite => provisioner,
        Access::ReadOnly(unwritten) => provisioner
            .map(|backend| Arc::new(Rehearsal::new(backend, unwritten.clone())) as Arc<_>),
    };
    let settings = Arc::new(config.accounts.clone());
    Ok(Logins {
        issuers,
        resolver: Resolver::new(Arc::clone(&directory), provisioner, settings),
        directory,
    })
}

fn issuer_client(
    config: &Config,
    tls: Option<&Tls>,
    metrics: Option<ControlMetrics>,
) -> Result<Client, StartError> {
    Ok(Client::new(client::Options {
        ca_file: config.upstream.cacert.clone(),
        // The issuer's public name may lead back to this very listener.
        extra_roots: tls.and_then(Tls::own_certificate).into_iter().collect(),
        proxies: Proxies {
            https: config.outbound_proxies.https.clone(),
            http: config.outbound_proxies.http.clone(),
            no_proxy: config.outbound_proxies.no_proxy.clone(),
        },
        metrics,
    })?)
}

/// What of these parts would stop a start. Embedded accounts have no file before the first one.
pub(super) fn preflight(config: &Config) -> Vec<StartError> {
    let mut found = Vec::new();
    found.extend(issuer_client(config, None, None).err());
    if let AccountBackend::Ldap(settings) = &config.accounts.backend {
        let built = LdapDirectory::new((**settings).clone());
        found.extend(built.err().map(StartError::from));
    }
    found
}

/// Who can be asked without a login.
pub(super) fn askers(
    config: &Config,
    tls: Option<&Tls>,
    metrics: &ControlMetrics,
) -> Result<(Client, Arc<dyn UserDirectory>), StartError> {
    let accounts = account_backend(config, &Access::ReadOnly(Unwritten::default()), metrics)?;
    Ok((issuer_client(config, tls, None)?, accounts.directory))
}

fn account_backend(
    config: &Config,
    access: &Access,
    metrics: &ControlMetrics,
) -> Result<AccountParts, StartError> {
    match &config.accounts.backend {
        AccountBackend::Embedded { database } => {
            let opened = match access {
                Access::ReadWrite => EmbeddedDirectory::open(database),
                Access::ReadOnly(_) => EmbeddedDirectory::open_read_only(database),
            };
            let opened = opened.map_err(|source| StartError::Database {
                file: database.clone(),
                source,
            })?;
            let embedded = Arc::new(MeasuredDirectory::new(opened, metrics.clone()));
            Ok(AccountParts {
                directory: Arc::clone(&embedded) as _,
                provisioner: Some(embedded),
            })
        }
        AccountBackend::Ldap(settings) => {
            let ldap = Arc::new(MeasuredDirectory::new(
                LdapDirectory::new((**settings).clone())?,
                metrics.clone(),
            ));
            let provisioner = settings.write_enabled.then(|| Arc::clone(&ldap) as _);
            Ok(AccountParts {
                directory: ldap,
                provisioner,
            })
        }
    }
}
