//! Account backend and provisioning.

use super::Build;
use crate::config::accounts::{
    AccountBackend, Accounts, ProvisionBackend, ProvisionClaims, RoleStoreKind, ServiceClient,
    Tenancy,
};
use crate::config::key::Key;
use crate::config::oidc::{ClaimByName, Issuer};
use crate::config::scalar;
use crate::config::table::{accounts, deployment, ldap};
use crate::config::words::{AccountBackendName, ProvisionBackendName, RoleStoreName};
use crate::model::{ClaimPath, ClaimRequirement};

impl Build<'_> {
    pub(super) fn accounts(&mut self, issuers: &[Issuer]) -> Option<Accounts> {
        let provision = self.values.get(accounts::AUTO_PROVISION_ACCOUNTS);
        let backend = self.backend(provision)?;
        let provisioner = self.provisioner(&backend, provision);
        let role_store = self.role_store(&backend);
        if self.values.get(accounts::ACCOUNT_CACHE_TTL).is_zero() {
            self.wrong(accounts::ACCOUNT_CACHE_TTL, "is zero; it has to be a time");
        }
        let always = issuers
            .iter()
            .any(|issuer| issuer.claim_by_name == ClaimByName::Always);
        if provision && always {
            let place = self.values.place(accounts::ACCOUNT_CLAIM_BY_NAME);
            self.notes.warn(format!(
                "{place}: whoever gets an administrator's name at the issuer becomes that administrator"
            ));
        }
        let tenancy = self.tenancy(&backend);
        Some(Accounts {
            backend,
            provision,
            provisioner,
            role_store,
            tenancy,
            username_match: self
                .values
                .get(accounts::USERNAME_MATCH)
                .unwrap_or_default(),
            adopt_groups: self.values.get(accounts::AUTO_PROVISION_GROUPS_ADOPT),
            former_issuers: self.former_issuers(issuers, provision),
            create_groups: self.values.get(accounts::AUTO_PROVISION_GROUP_CREATE),
            attributes: self
                .values
                .get(accounts::AUTO_PROVISION_ATTRIBUTES)
                .iter()
                .filter_map(|item| scalar::claim_value(item).ok())
                .map(|(attribute, claim)| (attribute, ClaimPath::parse(&claim)))
                .collect(),
            role_sync: self.values.get(accounts::ROLE_SYNC).unwrap_or_default(),
            bootstrap_admin: self.bootstrap_admin(),
            service_clients: self.service_clients(),
            cache_ttl: self.values.get(accounts::ACCOUNT_CACHE_TTL),
            max_stale: self.values.get(accounts::ACCOUNT_MAX_STALE),
        })
    }

    fn former_issuers(&mut self, issuers: &[Issuer], provision: bool) -> Vec<String> {
        let key = accounts::ACCOUNT_FORMER_ISSUERS;
        let former = self.values.get(key);
        if former.is_empty() {
            return former;
        }
        if let Some(current) = issuers.iter().find(|one| former.contains(&one.issuer)) {
            self.wrong(
                key,
                format!(
                    "has {}, which is an issuer of today; take it out",
                    current.issuer
                ),
            );
        }
        let place = self.values.place(key);
        self.notes.warn(if provision {
            format!("{place}: whoever has the user claim of an account of these issuers takes it over, an administrator's too; take it out when everybody has moved")
        } else {
            format!("{place}: has no effect while auto_provision_accounts is false, because no account is written then")
        });
        former
    }

    fn tenancy(&mut self, backend: &AccountBackend) -> Option<Tenancy> {
        let (on, claim) = (accounts::MULTI_TENANT_ENABLED, accounts::TENANT_OIDC_CLAIM);
        let named = self.values.some_text(claim);
        if !self.values.get(on) {
            for (key, is_set) in [
                (claim.path(), named.is_some()),
                (
                    accounts::TENANT_ID_MAPPING_ENABLED.path(),
                    self.values.get(accounts::TENANT_ID_MAPPING_ENABLED),
                ),
            ] {
                if is_set {
                    self.wrong(key, format!("is set while {on} is false; set both"));
                }
            }
            return None;
        }
        let attribute = match backend {
            AccountBackend::Ldap(ldap) => ldap.user_tenant.clone(),
            // The tenant is part of the user's id there.
            AccountBackend::Cs3 => Some(String::new()),
            AccountBackend::Embedded { .. } => {
                self.wrong(on, "is true, but embedded accounts have no tenants; set it to false, or account_backend to ldap");
                return None;
            }
        };
        if attribute.is_none() {
            let key = ldap::USER_SCHEMA_TENANT_ID;
            self.wrong(
                key,
                format!("is empty while {on} is true; name the attribute"),
            );
        }
        let is_external = self.values.get(accounts::TENANT_ID_MAPPING_ENABLED);
        if is_external {
            self.needed_with_external_tenants(named.is_some());
        }
        Some(Tenancy {
            attribute: attribute?,
            claim: named.map(|claim| ClaimPath::parse(&claim)),
            is_external,
        })
    }

    /// The tenant service answers to the service account alone.
    fn needed_with_external_tenants(&mut self, has_claim: bool) {
        let on = accounts::TENANT_ID_MAPPING_ENABLED;
        if !has_claim {
            self.wrong(
                on,
                "is true, but no claim has a tenant's id; set tenant_oidc_claim too",
            );
        }
        for key in [
            deployment::SERVICE_ACCOUNT_SERVICE_ACCOUNT_ID.path(),
            deployment::SERVICE_ACCOUNT_SERVICE_ACCOUNT_SECRET.path(),
        ] {
            if self.values.text(key).is_empty() {
                self.wrong(
                    key,
                    format!("is missing; {on} asks for tenants as that account"),
                );
            }
        }
    }

    fn backend(&mut self, provision: bool) -> Option<AccountBackend> {
        let ldap_set = self.values.is_set(ldap::URI) && !self.values.get(ldap::URI).is_empty();
        let named = self.values.get(accounts::ACCOUNT_BACKEND);
        let otherwise = if ldap_set {
            AccountBackendName::Ldap
        } else {
            AccountBackendName::Cs3
        };
        match named.unwrap_or(otherwise) {
            AccountBackendName::Ldap => Some(AccountBackend::Ldap(Box::new(self.ldap(provision)))),
            AccountBackendName::Embedded => {
                if self.values.get(accounts::AUTO_PROVISION_BACKEND)
                    == Some(ProvisionBackendName::Ldap)
                {
                    self.wrong(
                        accounts::AUTO_PROVISION_BACKEND,
                        "is ldap while account_backend is embedded; take it out",
                    );
                }
                match self.values.get(accounts::EMBEDDED_DATABASE) {
                    Some(database) => Some(AccountBackend::Embedded { database }),
                    None => {
                        self.wrong(accounts::EMBEDDED_DATABASE, "is empty; name the file");
                        None
                    }
                }
            }
            AccountBackendName::Cs3 => {
                self.needed_with_cs3();
                Some(AccountBackend::Cs3)
            }
        }
    }

    /// What an admin of a deployment has: the machine key, and the service account that keeps roles.
    fn needed_with_cs3(&mut self) {
        let how = "or set account_backend to ldap or embedded";
        for (key, what) in [
            (
                deployment::MACHINE_AUTH_API_KEY.path(),
                "key of machine logins",
            ),
            (
                deployment::SERVICE_ACCOUNT_SERVICE_ACCOUNT_ID.path(),
                "id of the service account",
            ),
            (
                deployment::SERVICE_ACCOUNT_SERVICE_ACCOUNT_SECRET.path(),
                "secret of the service account",
            ),
        ] {
            if self.values.text(key).is_empty() {
                let text =
                    format!("is missing; accounts of the deployment (cs3) need its {what}, {how}");
                self.wrong(key, text);
            }
        }
    }

    fn provisioner(&mut self, backend: &AccountBackend, provision: bool) -> ProvisionBackend {
        let key = accounts::AUTO_PROVISION_BACKEND;
        match (self.values.get(key), backend) {
            (
                Some(ProvisionBackendName::Graph),
                AccountBackend::Ldap(_) | AccountBackend::Embedded { .. },
            ) => {
                self.wrong(
                    key,
                    "is graph, which makes accounts of the deployment (cs3); take it out, the account backend provisions",
                );
                ProvisionBackend::Account
            }
            (Some(ProvisionBackendName::Graph) | None, AccountBackend::Cs3) => {
                ProvisionBackend::Graph
            }
            (Some(ProvisionBackendName::Ldap), AccountBackend::Cs3) => {
                ProvisionBackend::Ldap(Box::new(self.ldap(provision)))
            }
            (
                Some(ProvisionBackendName::Embedded),
                AccountBackend::Ldap(_) | AccountBackend::Cs3,
            ) => {
                self.wrong(key, "is embedded while account_backend is not; take it out");
                ProvisionBackend::Account
            }
            (
                Some(ProvisionBackendName::Ldap) | None,
                AccountBackend::Ldap(_) | AccountBackend::Embedded { .. },
            )
            | (Some(ProvisionBackendName::Embedded), AccountBackend::Embedded { .. }) => {
                ProvisionBackend::Account
            }
        }
    }

    fn role_store(&mut self, backend: &AccountBackend) -> RoleStoreKind {
        let key = accounts::ROLE_STORE;
        let has_account = !self
            .values
            .get(deployment::SERVICE_ACCOUNT_SERVICE_ACCOUNT_ID)
            .is_empty();
        match (self.values.get(key), backend) {
            (Some(RoleStoreName::Account), AccountBackend::Cs3) => {
                self.wrong(
                    key,
                    "is account, but accounts of the deployment (cs3) keep no role; take it out",
                );
                RoleStoreKind::Settings
            }
            (Some(RoleStoreName::Settings) | None, AccountBackend::Cs3) => RoleStoreKind::Settings,
            (
                Some(RoleStoreName::Settings),
                AccountBackend::Ldap(_) | AccountBackend::Embedded { .. },
            ) => {
                if !has_account {
                    self.wrong(
                        deployment::SERVICE_ACCOUNT_SERVICE_ACCOUNT_ID,
                        "is missing; role_store is settings, where the service account assigns roles",
                    );
                }
                RoleStoreKind::Settings
            }
            (None, AccountBackend::Ldap(_) | AccountBackend::Embedded { .. }) if has_account => {
                RoleStoreKind::SettingsIfThere
            }
            (
                Some(RoleStoreName::Account) | None,
                AccountBackend::Ldap(_) | AccountBackend::Embedded { .. },
            ) => RoleStoreKind::Account,
        }
    }

    pub(super) fn provision_claims(&mut self) -> ProvisionClaims {
        let list = |key: Key<Vec<String>>| -> Vec<ClaimPath> {
            self.values
                .get(key)
                .iter()
                .map(|claim| ClaimPath::parse(claim))
                .collect()
        };
        let claims = ProvisionClaims {
            username: list(accounts::AUTO_PROVISION_CLAIMS_USERNAME),
            email: list(accounts::AUTO_PROVISION_CLAIMS_EMAIL),
            display_name: list(accounts::AUTO_PROVISION_CLAIMS_DISPLAY_NAME),
            groups: list(accounts::AUTO_PROVISION_CLAIMS_GROUPS),
            group_id: self
                .values
                .some_text(accounts::AUTO_PROVISION_CLAIMS_GROUP_ID)
                .map(|c| ClaimPath::parse(&c)),
            groups_absent: self
                .values
                .get(accounts::AUTO_PROVISION_GROUPS_ABSENT)
                .unwrap_or_default(),
        };
        if claims.username.is_empty() {
            self.wrong(
                accounts::AUTO_PROVISION_CLAIMS_USERNAME,
                "is empty; name a claim",
            );
        }
        let group_id = accounts::AUTO_PROVISION_CLAIMS_GROUP_ID;
        if self.values.get(group_id).contains(',') {
            self.wrong(group_id, "has a comma; it takes one claim");
        }
        if claims.group_id.is_some() && claims.groups.is_empty() {
            self.wrong(
                accounts::AUTO_PROVISION_CLAIMS_GROUP_ID,
                "is set while auto_provision_claims.groups is empty; name the claim of the groups too",
            );
        }
        claims
    }

    fn bootstrap_admin(&mut self) -> Option<ClaimRequirement> {
        let mut all = self.claim_values(accounts::ROLE_BOOTSTRAP_ADMIN);
        if all.len() > 1 {
            self.wrong(accounts::ROLE_BOOTSTRAP_ADMIN, "has to be one claim=value");
        }
        all.pop()
    }

    fn service_clients(&mut self) -> Vec<ServiceClient> {
        let key = accounts::SERVICE_CLIENTS;
        let mut clients: Vec<ServiceClient> = Vec::new();
        for item in self.values.get(key) {
            let Ok((client_id, user)) = scalar::claim_value(&item) else {
                continue;
            };
            let Some((username, role)) = user.rsplit_once(':').filter(|(name, _)| !name.is_empty())
            else {
                self.wrong(
                    key,
                    format!("has {item:?}; each item has to be client_id=username:role"),
                );
                continue;
            };
            let Some(role) = self.role(role, &|build, text| build.wrong(key, text)) else {
                continue;
            };
            if clients.iter().any(|client| client.client_id == client_id) {
                self.wrong(key, format!("has {client_id} twice"));
            }
            clients.push(ServiceClient {
                client_id,
                username: username.to_owned(),
                role,
            });
        }
        clients
    }
}
