//! Account backend and provisioning.

use super::Build;
use crate::config::accounts::{
    AccountBackend, Accounts, ProvisionBackend, ProvisionClaims, RoleStoreKind, ServiceClient,
    Tenancy,
};
use crate::config::oidc::{ClaimByName, Issuer};
use crate::config::scalar;
use crate::model::{ClaimPath, ClaimRequirement};

impl Build<'_> {
    pub(super) fn accounts(&mut self, issuers: &[Issuer]) -> Option<Accounts> {
        let provision = self.values.flag("auto_provision_accounts");
        let backend = self.backend(provision)?;
        let provisioner = self.provisioner(&backend, provision);
        let role_store = self.role_store(&backend);
        if self.values.duration("account_cache_ttl").is_zero() {
            self.wrong("account_cache_ttl", "is zero; it has to be a time");
        }
        let always = issuers
            .iter()
            .any(|issuer| issuer.claim_by_name == ClaimByName::Always);
        if provision && always {
            let place = self.values.place("account_claim_by_name");
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
            username_match: self.values.word("username_match").unwrap_or_default(),
            adopt_groups: self.values.flag("auto_provision_groups_adopt"),
            former_issuers: self.former_issuers(issuers, provision),
            create_groups: self.values.flag("auto_provision_group_create"),
            attributes: self
                .values
                .list("auto_provision_attributes")
                .iter()
                .filter_map(|item| scalar::claim_value(item).ok())
                .map(|(attribute, claim)| (attribute, ClaimPath::parse(&claim)))
                .collect(),
            role_sync: self.values.word("role_sync").unwrap_or_default(),
            bootstrap_admin: self.bootstrap_admin(),
            service_clients: self.service_clients(),
            cache_ttl: self.values.duration("account_cache_ttl"),
            max_stale: self.values.duration("account_max_stale"),
        })
    }

    fn former_issuers(&mut self, issuers: &[Issuer], provision: bool) -> Vec<String> {
        let key = "account_former_issuers";
        let former = self.values.list(key);
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
        let (on, claim) = ("multi_tenant_enabled", "tenant_oidc_claim");
        let named = self.values.some_text(claim);
        if !self.values.flag(on) {
            for (key, is_set) in [
                (claim, named.is_some()),
                (
                    "tenant_id_mapping_enabled",
                    self.values.flag("tenant_id_mapping_enabled"),
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
            let key = "ldap.user_schema_tenant_id";
            self.wrong(
                key,
                format!("is empty while {on} is true; name the attribute"),
            );
        }
        let is_external = self.values.flag("tenant_id_mapping_enabled");
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
        let on = "tenant_id_mapping_enabled";
        if !has_claim {
            self.wrong(
                on,
                "is true, but no claim has a tenant's id; set tenant_oidc_claim too",
            );
        }
        for key in [
            "service_account.service_account_id",
            "service_account.service_account_secret",
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
        let named = self.values.text("account_backend");
        let ldap_set = self.values.is_set("ldap.uri") && !self.values.list("ldap.uri").is_empty();
        match named.as_str() {
            "ldap" => Some(AccountBackend::Ldap(Box::new(self.ldap(provision)))),
            "" if ldap_set => Some(AccountBackend::Ldap(Box::new(self.ldap(provision)))),
            "embedded" => {
                if provision_disabled_by(self, "ldap") {
                    self.wrong(
                        "auto_provision_backend",
                        "is ldap while account_backend is embedded; take it out",
                    );
                }
                match self.values.path("embedded.database") {
                    Some(database) => Some(AccountBackend::Embedded { database }),
                    None => {
                        self.wrong("embedded.database", "is empty; name the file");
                        None
                    }
                }
            }
            "cs3" | "" => {
                self.needed_with_cs3();
                Some(AccountBackend::Cs3)
            }
            // Noted when the word was checked.
            _ => None,
        }
    }

    /// What an admin of a deployment has: the machine key, and the service account that keeps roles.
    fn needed_with_cs3(&mut self) {
        let how = "or set account_backend to ldap or embedded";
        for (key, what) in [
            ("machine_auth_api_key", "key of machine logins"),
            (
                "service_account.service_account_id",
                "id of the service account",
            ),
            (
                "service_account.service_account_secret",
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
        let key = "auto_provision_backend";
        match (self.values.text(key).as_str(), backend) {
            ("graph", AccountBackend::Ldap(_) | AccountBackend::Embedded { .. }) => {
                self.wrong(
                    key,
                    "is graph, which makes accounts of the deployment (cs3); take it out, the account backend provisions",
                );
                ProvisionBackend::Account
            }
            ("graph" | "", AccountBackend::Cs3) => ProvisionBackend::Graph,
            ("ldap", AccountBackend::Cs3) => ProvisionBackend::Ldap(Box::new(self.ldap(provision))),
            ("embedded", AccountBackend::Ldap(_) | AccountBackend::Cs3) => {
                self.wrong(key, "is embedded while account_backend is not; take it out");
                ProvisionBackend::Account
            }
            _ => ProvisionBackend::Account,
        }
    }

    fn role_store(&mut self, backend: &AccountBackend) -> RoleStoreKind {
        let key = "role_store";
        let has_account = !self
            .values
            .text("service_account.service_account_id")
            .is_empty();
        match (self.values.text(key).as_str(), backend) {
            ("account", AccountBackend::Cs3) => {
                self.wrong(
                    key,
                    "is account, but accounts of the deployment (cs3) keep no role; take it out",
                );
                RoleStoreKind::Settings
            }
            (_, AccountBackend::Cs3) => RoleStoreKind::Settings,
            ("settings", _) => {
                if !has_account {
                    self.wrong(
                        "service_account.service_account_id",
                        "is missing; role_store is settings, where the service account assigns roles",
                    );
                }
                RoleStoreKind::Settings
            }
            ("", _) if has_account => RoleStoreKind::SettingsIfThere,
            _ => RoleStoreKind::Account,
        }
    }

    pub(super) fn provision_claims(&mut self) -> ProvisionClaims {
        let list = |key: &str| -> Vec<ClaimPath> {
            self.values
                .list(key)
                .iter()
                .map(|claim| ClaimPath::parse(claim))
                .collect()
        };
        let claims = ProvisionClaims {
            username: list("auto_provision_claims.username"),
            email: list("auto_provision_claims.email"),
            display_name: list("auto_provision_claims.display_name"),
            groups: list("auto_provision_claims.groups"),
            group_id: self
                .values
                .some_text("auto_provision_claims.group_id")
                .map(|c| ClaimPath::parse(&c)),
            groups_absent: self
                .values
                .word("auto_provision_groups_absent")
                .unwrap_or_default(),
        };
        if claims.username.is_empty() {
            self.wrong("auto_provision_claims.username", "is empty; name a claim");
        }
        let group_id = "auto_provision_claims.group_id";
        if self.values.text(group_id).contains(',') {
            self.wrong(group_id, "has a comma; it takes one claim");
        }
        if claims.group_id.is_some() && claims.groups.is_empty() {
            self.wrong(
                "auto_provision_claims.group_id",
                "is set while auto_provision_claims.groups is empty; name the claim of the groups too",
            );
        }
        claims
    }

    fn bootstrap_admin(&mut self) -> Option<ClaimRequirement> {
        let mut all = self.claim_values("role_bootstrap_admin");
        if all.len() > 1 {
            self.wrong("role_bootstrap_admin", "has to be one claim=value");
        }
        all.pop()
    }

    fn service_clients(&mut self) -> Vec<ServiceClient> {
        let key = "service_clients";
        let mut clients: Vec<ServiceClient> = Vec::new();
        for item in self.values.list(key) {
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

fn provision_disabled_by(build: &Build<'_>, backend: &str) -> bool {
    build.values.text("auto_provision_backend") == backend
}
