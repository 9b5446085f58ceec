//! What the start understood, in ten lines. Whoever reads the beginning of a log sees by them whether the gateway was told
//! what he meant, and which setting to change if not.

use std::collections::BTreeSet;

use super::Loaded;
use super::accounts::RoleAssignment;
use super::table::{accounts, ldap, listener, oidc};
use super::values::Origin;

impl Loaded {
    /// The lines, each with its subject and the setting that decides.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        vec![
            self.product(),
            self.listener(),
            self.issuers(),
            self.accounts(),
            self.newcomers(),
            self.roles(),
            self.routes(),
            self.proxies(),
            self.read_files(),
            self.remarks(),
        ]
    }

    fn product(&self) -> String {
        let (flavor, compat) = (self.config.flavor, self.config.compat);
        format!(
            "davgate {} in the place of {}'s proxy, defaults of {} (PROXY_FLAVOR, PROXY_COMPAT)",
            env!("CARGO_PKG_VERSION"),
            flavor.name(),
            compat.name()
        )
    }

    fn listener(&self) -> String {
        let http = &self.config.http;
        let tls = match (http.tls, http.tls_files_set) {
            (false, _) => "without TLS".to_owned(),
            (true, true) => format!("with the certificate {}", http.tls_cert.display()),
            (true, false) => "with a certificate of its own making".to_owned(),
        };
        format!(
            "public URL: {} ({}); listens on {} {tls}",
            http.public_url,
            self.set_by(listener::PUBLIC_URL, "OC_URL"),
            http.addr
        )
    }

    fn issuers(&self) -> String {
        let issuers: Vec<String> = self
            .config
            .issuers
            .iter()
            .map(|issuer| {
                let audiences = if issuer.audiences.is_empty() && issuer.verify_aud.is_empty() {
                    "every token of it counts"
                } else {
                    "audiences checked"
                };
                format!("{} ({audiences})", issuer.issuer)
            })
            .collect();
        format!(
            "issuer: {} ({}), tokens verified by {}",
            issuers.join(", "),
            self.set_by(oidc::ISSUER, "OC_OIDC_ISSUER"),
            self.value(oidc::ACCESS_TOKEN_VERIFY_METHOD)
        )
    }

    fn accounts(&self) -> String {
        let backend = self.value(accounts::ACCOUNT_BACKEND);
        let place = match backend.as_str() {
            "ldap" => format!(" at {}", self.value(ldap::URI)),
            "embedded" => format!(" in {}", self.value(accounts::EMBEDDED_DATABASE)),
            _ => String::new(),
        };
        format!(
            "accounts: {backend}{place} ({}), found where {} is the claim {} (PROXY_USER_CS3_CLAIM, PROXY_USER_OIDC_CLAIM)",
            self.set_by(accounts::ACCOUNT_BACKEND, "PROXY_ACCOUNT_BACKEND_TYPE"),
            self.value(accounts::USER_CS3_CLAIM),
            self.value(accounts::USER_OIDC_CLAIM),
        )
    }

    fn newcomers(&self) -> String {
        let what = if self.config.accounts.provision {
            format!(
                "accounts are made by {}",
                self.value(accounts::AUTO_PROVISION_BACKEND)
            )
        } else {
            "refused".to_owned()
        };
        format!("people without an account: {what} (PROXY_AUTOPROVISION_ACCOUNTS)")
    }

    fn roles(&self) -> String {
        let roles = match self
            .config
            .issuers
            .first()
            .map(|issuer| &issuer.role_assignment)
        {
            Some(RoleAssignment::Oidc { claim, mapping }) => {
                let pairs: Vec<String> = mapping
                    .iter()
                    .map(|one| format!("{} from {}", one.role.name(), one.value))
                    .collect();
                format!("claim {}: {}", claim.as_str(), pairs.join(", "))
            }
            _ => "user for who has none, role claims are not looked at".to_owned(),
        };
        format!(
            "roles: {roles} (PROXY_ROLE_ASSIGNMENT_DRIVER), kept by {} (PROXY_ROLE_STORE)",
            self.value(accounts::ROLE_STORE)
        )
    }

    fn routes(&self) -> String {
        let policies: Vec<String> = self
            .config
            .policies
            .iter()
            .map(|policy| {
                let open = policy
                    .routes
                    .iter()
                    .filter(|route| route.unprotected)
                    .count();
                format!(
                    "{} in policy {}, {open} of them without login",
                    policy.routes.len(),
                    policy.name
                )
            })
            .collect();
        let backends: BTreeSet<&str> = self
            .config
            .policies
            .iter()
            .flat_map(|policy| &policy.routes)
            .map(|route| route.backend.name.as_str())
            .collect();
        format!(
            "routes: {}, to {} backends",
            policies.join("; "),
            backends.len()
        )
    }

    fn proxies(&self) -> String {
        match self.value(listener::TRUSTED_PROXIES) {
            none if none.is_empty() => {
                "proxies in front: none is trusted, X-Forwarded-* has no effect (PROXY_TRUSTED_PROXIES)".to_owned()
            }
            some => format!("proxies in front: {some} (PROXY_TRUSTED_PROXIES)"),
        }
    }

    fn read_files(&self) -> String {
        let folder = self.config.flavor.own("OC_CONFIG_DIR");
        let files: Vec<String> = self
            .files
            .iter()
            .map(|file| {
                let missing = if file.exists() {
                    String::new()
                } else {
                    format!(" (not there; {folder} names its folder)")
                };
                format!("{}{missing}", file.display())
            })
            .collect();
        format!("files: {} (folder: {folder})", files.join(", "))
    }

    fn remarks(&self) -> String {
        let changed = self
            .effective
            .iter()
            .filter(|one| one.origin != Origin::Default)
            .count();
        format!(
            "settings: {changed} set, {} warnings; `davgate config check` and `davgate config print` say more",
            self.warnings.len()
        )
    }

    /// A value as it came out, lists joined.
    pub(super) fn value(&self, key: impl AsRef<str>) -> String {
        let value = self.effective.iter().find(|one| one.key == key.as_ref());
        match value.map(|one| &one.value) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(serde_json::Value::Array(items)) => {
                let items: Vec<&str> = items.iter().filter_map(|item| item.as_str()).collect();
                items.join(", ")
            }
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    /// Where a value was set, or the variable that would set it.
    fn set_by(&self, key: impl AsRef<str>, name: &'static str) -> String {
        match self.effective.iter().find(|one| one.key == key.as_ref()) {
            Some(one) if one.origin != Origin::Default => one.origin.to_string(),
            _ => format!("default; {}", self.config.flavor.own(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;

    #[test]
    fn the_start_says_in_ten_lines_what_it_understood() {
        let vars = [
            ("OC_URL", "https://cloud.example"),
            ("PROXY_OIDC_ISSUER", "https://idp.example"),
            ("PROXY_AUTOPROVISION_ACCOUNTS", "true"),
            ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
        ];
        let lines = load("", &vars).unwrap().summary();
        assert_eq!(lines.len(), 10);
        for (line, expected) in lines.iter().zip([
            "in the place of opencloud's proxy, defaults of opencloud-8 (PROXY_FLAVOR, PROXY_COMPAT)",
            "public URL: https://cloud.example/ (OC_URL); listens on 0.0.0.0:9200 with a certificate of its own making",
            "issuer: https://idp.example (every token of it counts) (PROXY_OIDC_ISSUER), tokens verified by jwt",
            "accounts: embedded in /nonexistent/proxy/accounts.db (PROXY_ACCOUNT_BACKEND_TYPE), found where username is the claim preferred_username",
            "people without an account: accounts are made by embedded",
            "roles: claim roles: admin from opencloudAdmin, ",
            "routes: ",
            "proxies in front: none is trusted",
            "files: ",
            "settings: 7 set, 0 warnings",
        ]) {
            assert!(line.contains(expected), "{line}");
        }
    }
}
