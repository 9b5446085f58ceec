//! What workers share: which implementation stands behind each seam is decided here and nowhere else.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::deployment::{self, Deployment};
use crate::accounts::embedded::EmbeddedDirectory;
use crate::accounts::ldap::LdapDirectory;
use crate::accounts::measured::MeasuredDirectory;
use crate::accounts::{
    AccountAttribute, Provisioner, Rehearsal, RehearsedRoles, Resolver, Unwritten, UserDirectory,
};
use crate::auth::{Nonces, OidcAuthenticator, Replays};
use crate::client::{self, Client, Proxies};
use crate::config::accounts::{AccountBackend, RoleStoreKind};
use crate::config::routes::Server;
use crate::config::stores::Events;
use crate::config::{Config, Secret};
use crate::credentials::Accepts;
use crate::events::{EventSink, NatsEvents, NoEvents};
use crate::identity::{GatewayIdentities, Minter, NoHomes, RevaKey};
use crate::login::{Authenticators, Oidc};
use crate::model::{ClaimRequirement, Clock};
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
use crate::telemetry::{ControlMetrics, Seldom};

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
    let services = services(config, control, stop);
    let deployment = Deployment::new(config, services.clone())?;
    let access = Access::ReadWrite;
    let logins = logins(config, &access, &deployment, tls, control, &clock, &metrics)?;
    logins.issuers.warn_of_any_audience();
    let events = event_sink(config, control, stop);
    let loader = Arc::new(Loader {
        events: Arc::clone(&events),
        ..loader(
            config,
            &logins,
            &deployment,
            &access,
            snapshot.requirements.clone(),
            &clock,
        )?
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
        shared_secret(config).reveal().as_bytes(),
        replicas::Memory {
            issuers: issuer_names.collect(),
            sessions: Arc::clone(&sessions),
            proofs: Arc::clone(&proofs),
            clock: clock.clone(),
        },
        control.handle(),
        stop,
    )?;
    let process = Arc::new(Process {
        directory: services,
        snapshot: ArcSwap::from_pointee(snapshot),
        sessions,
        digester,
        issuers,
        proofs,
        replicas,
        events,
        refused_identities: Seldom::each_minute(),
        unanswered_preflights: Seldom::each_minute(),
        nonces: config
            .dpop_nonce
            .then(|| Nonces::new(shared_secret(config).reveal().as_bytes())),
        reva_key: RevaKey::new(&config.identity.jwt_secret),
        decisions: deployment.decisions(config, control.handle()),
        accepts: accepts(config),
        clock,
    });
    Ok(Parts {
        process,
        loader,
        directory,
    })
}

/// Where services are, as the registry says until `stop`.
pub(super) fn services(config: &Config, control: &Runtime, stop: &CancellationToken) -> Directory {
    let services = named_services(config);
    if let Some(registry) = config.services.registry.clone()
        && looks_services_up(config)
    {
        control.spawn(registry::follow(registry, services.clone(), stop.clone()));
    }
    services
}

/// Where services are, without the registry.
fn named_services(config: &Config) -> Directory {
    let services = Directory::new(config.flavor);
    services.name_fixed(config.services.named.iter().cloned());
    services
}

/// Whether anything goes to a service without an address of its own. A gateway in front of one server needs no registry.
pub(super) fn looks_services_up(config: &Config) -> bool {
    let routes = config.policies.iter().flat_map(|policy| &policy.routes);
    let mut servers = routes.map(|route| &route.backend.server);
    matches!(config.accounts.backend, AccountBackend::Cs3)
        || config.accounts.role_store != RoleStoreKind::Account
        || servers.any(|server| matches!(server, Server::Service(_)))
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
    deployment: &Deployment,
    access: &Access,
    requirements: Vec<Vec<ClaimRequirement>>,
    clock: &Clock,
) -> Result<Loader, StartError> {
    let mut authenticators = deployment.passwords(config, clock);
    authenticators.push(Arc::new(Oidc(Arc::clone(&logins.issuers) as _)));
    if accepts(config).shares {
        authenticators.push(Arc::new(deployment.shares(config, clock)));
    }
    if accepts(config).signed_urls {
        let directory = Arc::clone(&logins.directory);
        authenticators.push(Arc::new(deployment::signed_urls(config, directory, clock)?));
    }
    let is_real = matches!(access, Access::ReadWrite);
    Ok(Loader {
        authenticators: Authenticators::new(authenticators),
        resolver: logins.resolver.clone(),
        identity: match deployment.logins.clone() {
            Some(logins) if is_real && matches!(config.accounts.backend, AccountBackend::Cs3) => {
                Arc::new(GatewayIdentities::new(logins))
            }
            _ => Arc::new(Minter::new(&config.identity)),
        },
        homes: if is_real {
            deployment.homes(config)
        } else {
            Arc::new(NoHomes)
        },
        events: Arc::new(NoEvents),
        rules: Rules::new(config, requirements),
        accounts: Arc::new(LiveAccounts::default()),
        clock: clock.clone(),
    })
}

/// The kinds of credentials besides tokens that somebody checks here.
fn accepts(config: &Config) -> Accepts {
    Accepts {
        passwords: config.logins.passwords || config.logins.app_passwords,
        shares: looks_services_up(config),
        signed_urls: config.stores.signed_urls.is_some() && looks_services_up(config),
    }
}

/// Builds issuers and account backend.
pub(super) fn logins(
    config: &Config,
    access: &Access,
    deployment: &Deployment,
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
    } = account_backend(config, access, deployment, metrics)?;
    let provisioner = match access {
        Access::ReadWrite => provisioner,
        Access::ReadOnly(unwritten) => provisioner
            .map(|backend| Arc::new(Rehearsal::new(backend, unwritten.clone())) as Arc<_>),
    };
    let settings = Arc::new(config.accounts.clone());
    let writer = provisioner.clone().filter(|_| config.accounts.provision);
    let roles = deployment.roles(config, Arc::new(AccountAttribute::new(writer)));
    let resolver = Resolver::new(Arc::clone(&directory), provisioner, settings);
    let resolver = match deployment.tenants(config) {
        None => resolver,
        Some(tenants) => resolver.with_tenants(tenants),
    };
    let resolver = match (roles, access) {
        (None, _) => resolver,
        (Some(roles), Access::ReadWrite) => resolver.with_roles(roles),
        (Some(roles), Access::ReadOnly(unwritten)) => {
            resolver.with_roles(Arc::new(RehearsedRoles::new(roles, unwritten.clone())))
        }
    };
    Ok(Logins {
        issuers,
        resolver,
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
    let deployment = Deployment::new(config, named_services(config));
    found.extend(deployment.err());
    found
}

/// Who can be asked without a login.
pub(super) fn askers(
    config: &Config,
    tls: Option<&Tls>,
    metrics: &ControlMetrics,
) -> Result<(Client, Arc<dyn UserDirectory>), StartError> {
    let access = Access::ReadOnly(Unwritten::default());
    let deployment = Deployment::new(config, named_services(config))?;
    let accounts = account_backend(config, &access, &deployment, metrics)?;
    Ok((issuer_client(config, tls, None)?, accounts.directory))
}

/// A secret that all replicas have.
fn shared_secret(config: &Config) -> Secret {
    let jwt_secret = &config.identity.jwt_secret;
    match &config.deployment.machine_key {
        Some(key) if jwt_secret.reveal().is_empty() => key.clone(),
        _ => jwt_secret.clone(),
    }
}

fn account_backend(
    config: &Config,
    access: &Access,
    deployment: &Deployment,
    metrics: &ControlMetrics,
) -> Result<AccountParts, StartError> {
    match &config.accounts.backend {
        AccountBackend::Cs3 => {
            let accounts = deployment.accounts(metrics).ok_or_else(|| {
                io::Error::other("no machine key, which the configuration should have asked for")
            })?;
            Ok(AccountParts {
                directory: Arc::new(accounts),
                provisioner: deployment.provisioner(config, metrics)?,
            })
        }
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
