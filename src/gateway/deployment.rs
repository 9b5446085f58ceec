//! Clients of the deployment's own services, made once.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::StartError;
use crate::accounts::cs3::Cs3Directory;
use crate::accounts::graph::GraphProvisioner;
use crate::accounts::ldap::LdapDirectory;
use crate::accounts::measured::MeasuredDirectory;
use crate::accounts::{DeploymentTenants, Provisioner, TenantNames, UserDirectory};
use crate::auth::signed_url::Signatures;
use crate::config::Config;
use crate::config::accounts::{AccountBackend, ProvisionBackend, RoleStoreKind};
use crate::config::deployment::CreateHome;
use crate::identity::{DeploymentHomes, HomeMaker, NoHomes};
use crate::login::{AccountPasswords, AppPasswords, Authenticator, Shares, SignedUrls};
use crate::model::{Address, Clock};
use crate::roles::{RoleStore, SettingsRoles, SettingsWhereThere};
use crate::rpc::cs3::{Cs3, Homes, MachineLogins, ServiceAccount};
use crate::rpc::graph::Graph;
use crate::rpc::policies::{Decisions, Policies};
use crate::rpc::settings::Settings;
use crate::rpc::{Channels, TlsError};
use crate::services::Directory;
use crate::stores::SigningKeys;
use crate::telemetry::ControlMetrics;
use crate::trust;

/// The clients. Nothing is connected before it is used.
#[derive(Debug, Clone)]
pub(super) struct Deployment {
    channels: Channels,
    pub(super) directory: Directory,
    pub(super) cs3: Cs3,
    /// Who vouches for people, if there is a key.
    pub(super) logins: Option<MachineLogins>,
    /// davgate's own account, if it has one.
    pub(super) account: Option<ServiceAccount>,
}

impl Deployment {
    /// Clients that find the services in `directory`. Reads the file of authorities.
    pub(super) fn new(config: &Config, directory: Directory) -> Result<Self, StartError> {
        let settings = &config.deployment;
        let channels = Channels::new(directory.clone(), &settings.tls)?;
        let cs3 = Cs3::new(channels.clone(), settings.gateway.clone());
        let key = settings.machine_key.clone();
        let account = settings.service_account.as_ref();
        Ok(Self {
            logins: key.map(|key| MachineLogins::new(cs3.clone(), key)),
            account: account.map(|account| {
                ServiceAccount::new(cs3.clone(), &account.id, account.secret.clone())
            }),
            channels,
            directory,
            cs3,
        })
    }

    /// The account backend `cs3`; `None` without a machine key, which the configuration asked for.
    pub(super) fn accounts(
        &self,
        metrics: &ControlMetrics,
    ) -> Option<MeasuredDirectory<Cs3Directory>> {
        let logins = self.logins.clone()?;
        let accounts = Cs3Directory::new(self.cs3.clone(), logins);
        Some(MeasuredDirectory::new(accounts, metrics.clone()))
    }

    /// Who checks passwords, in the order in which they are asked (docs/design/contract.md 9.3).
    pub(super) fn passwords(&self, config: &Config, clock: &Clock) -> Vec<Arc<dyn Authenticator>> {
        let mut list: Vec<Arc<dyn Authenticator>> = Vec::new();
        if config.logins.passwords {
            let passwords = AccountPasswords::new(self.cs3.clone(), clock.clone());
            list.push(Arc::new(passwords));
        }
        if config.logins.app_passwords {
            list.push(Arc::new(AppPasswords::new(self.cs3.clone(), clock.clone())));
        }
        list
    }

    /// Who checks public links.
    pub(super) fn shares(&self, config: &Config, clock: &Clock) -> Shares {
        let is_sure = matches!(config.accounts.backend, AccountBackend::Cs3);
        let gateway = config.deployment.gateway.clone();
        let only_if = (!is_sure).then(|| (self.directory.clone(), gateway));
        Shares::new(self.cs3.clone(), only_if, clock.clone())
    }

    /// Where roles are kept, if not always with the account: that is what `account` is for.
    pub(super) fn roles(
        &self,
        config: &Config,
        account: Arc<dyn RoleStore>,
    ) -> Option<Arc<dyn RoleStore>> {
        let actor = self.account.clone()?;
        let name = config.deployment.settings.clone();
        let service = Address::Service(name.clone());
        let settings = SettingsRoles::new(Settings::new(self.channels.clone(), service), actor);
        match config.accounts.role_store {
            RoleStoreKind::Account => None,
            RoleStoreKind::Settings => Some(Arc::new(settings)),
            RoleStoreKind::SettingsIfThere => {
                let directory = self.directory.clone();
                let store = SettingsWhereThere::new(settings, account, directory, name);
                Some(Arc::new(store))
            }
        }
    }

    /// Who knows tenants by the ids that claims have, if those are not the deployment's own.
    pub(super) fn tenants(&self, config: &Config) -> Option<Arc<dyn TenantNames>> {
        let tenancy = config.accounts.tenancy.as_ref()?;
        let actor = self.account.clone().filter(|_| tenancy.is_external)?;
        Some(Arc::new(DeploymentTenants::new(self.cs3.clone(), actor)))
    }

    /// Who decides whether operations may go on, if there is a query.
    pub(super) fn decisions(&self, config: &Config, control: &Handle) -> Option<Decisions> {
        let settings = &config.deployment;
        let query = settings.policies_query.as_deref()?;
        let service = Address::Service(settings.policies.clone());
        let policies = Policies::new(self.channels.clone(), service);
        let cs3 = self.cs3.clone();
        Some(Decisions::new(policies, cs3, query, control.clone()))
    }

    /// Who makes homes.
    pub(super) fn homes(&self, config: &Config) -> Arc<dyn HomeMaker> {
        let settings = &config.deployment;
        let homes = Homes::new(self.cs3.clone(), settings.quotas.clone());
        match (settings.create_home, &config.accounts.backend) {
            (CreateHome::Off, _) => Arc::new(NoHomes),
            (CreateHome::Auto, AccountBackend::Cs3) => Arc::new(DeploymentHomes::new(homes)),
            (CreateHome::Auto, _) => Arc::new(DeploymentHomes::where_there(
                homes,
                self.directory.clone(),
                settings.gateway.clone(),
            )),
        }
    }

    /// Who makes and changes accounts of the deployment.
    pub(super) fn provisioner(
        &self,
        config: &Config,
        metrics: &ControlMetrics,
    ) -> Result<Option<Arc<dyn Provisioner>>, StartError> {
        match &config.accounts.provisioner {
            ProvisionBackend::Account => Ok(None),
            ProvisionBackend::Graph => {
                let Some(account) = self.account.clone() else {
                    return Ok(None);
                };
                let graph = config.deployment.graph.clone();
                let tls = match config.upstream.insecure {
                    true => trust::unverified(),
                    false => {
                        let roots = trust::roots(config.upstream.cacert.as_deref());
                        trust::verifying(roots.map_err(TlsError::from)?)
                    }
                };
                let tls = Arc::new(tls.map_err(TlsError::from)?);
                let graph = Graph::new(self.directory.clone(), graph, tls, account);
                let provisioner = GraphProvisioner::new(graph);
                Ok(Some(Arc::new(MeasuredDirectory::new(
                    provisioner,
                    metrics.clone(),
                ))))
            }
            ProvisionBackend::Ldap(settings) => {
                let ldap = LdapDirectory::new((**settings).clone())?;
                Ok(Some(Arc::new(MeasuredDirectory::new(
                    ldap,
                    metrics.clone(),
                ))))
            }
        }
    }
}

/// Who checks signed URLs.
pub(super) fn signed_urls(
    config: &Config,
    directory: Arc<dyn UserDirectory>,
    clock: &Clock,
) -> Result<SignedUrls, StartError> {
    let settings = config.stores.signed_urls.as_ref();
    Ok(SignedUrls {
        directory,
        keys: SigningKeys::new(&config.stores.signing_keys)?,
        signatures: Signatures::default(),
        secret: settings.and_then(|settings| settings.secret.clone()),
        methods: settings.map_or_else(Vec::new, |settings| settings.methods.clone()),
        clock: clock.clone(),
    })
}
