//! Issuers: the flat keys are the first one, `oidc.issuers:` are the further ones.

use serde_yaml::Value;
use url::{Host, Url};

use super::Build;
use crate::config::key::{ClaimValues, Key};
use crate::config::layers;
use crate::config::lines::join;
use crate::config::oidc::{
    ClaimByName, ClientCredentials, FLAT_ISSUER, Issuer, Jwks, VerifyMethod,
};
use crate::config::table::{accounts, oidc};
use crate::config::values::{Origin, Values};
use crate::config::{WebfingerIssuer, scalar, table};
use crate::model::{ClaimPath, ClaimRequirement};

/// What an entry of `oidc.issuers` does not inherit from the first issuer, because it is a matter of one issuer.
const OWN: [&str; 8] = [
    oidc::ISSUER.path(),
    oidc::WEBFINGER_DOMAINS.path(),
    oidc::INSECURE.path(),
    oidc::CLIENT_ID.path(),
    oidc::CLIENT_SECRET.path(),
    oidc::BACKCHANNEL_URL.path(),
    oidc::INTROSPECTION_URL.path(),
    accounts::ACCOUNT_CLAIM_BY_NAME.path(),
];

impl Build<'_> {
    /// Each issuer, and what webfinger says of it.
    pub(super) fn issuers(&mut self) -> (Vec<Issuer>, Vec<WebfingerIssuer>) {
        let entries = self.issuer_entries();
        let several = entries.len() > 1;
        let (mut issuers, webfinger): (Vec<_>, Vec<_>) = entries
            .iter()
            .map(|values| {
                // The builders read from `self.values`; each issuer has its own view of them.
                let mut build = Build {
                    boot: self.boot,
                    values,
                    file: self.file,
                    vars: self.vars,
                    notes: &mut *self.notes,
                    files: Vec::new(),
                };
                (build.issuer(several), build.webfinger_issuer())
            })
            .unzip();
        if let Some(flat) = issuers.get_mut(FLAT_ISSUER) {
            let clients = self.values.get(accounts::SERVICE_CLIENTS);
            let ids = clients
                .iter()
                .filter_map(|item| scalar::claim_value(item).ok());
            flat.service_clients = ids.map(|(client_id, _)| client_id).collect();
            if flat.verify_method == VerifyMethod::None && !flat.service_clients.is_empty() {
                let place = self.values.place(accounts::SERVICE_CLIENTS);
                self.notes.warn(format!(
                    "{place}: has no effect with oidc.access_token_verify_method none, because userinfo does not say that a token is a client's own; use jwt, auto or introspection"
                ));
            }
        }
        self.placeholders();
        self.one_of_each(&issuers);
        self.one_issuer_a_domain(&webfinger);
        (issuers, webfinger)
    }

    /// One view of the values per issuer.
    fn issuer_entries(&mut self) -> Vec<Values> {
        let mut views = Vec::new();
        let listed = match self.values.get(oidc::ISSUERS) {
            None if self.values.is_set(oidc::ISSUERS) => {
                self.wrong(oidc::ISSUERS, "has to be a list of issuers");
                &[]
            }
            None => &[][..],
            Some(Value::Sequence(items)) => items.as_slice(),
            Some(_) => {
                self.wrong(oidc::ISSUERS, "has to be a list of issuers");
                &[]
            }
        };
        if listed.is_empty() || self.values.is_set(oidc::ISSUER) {
            views.push(self.values.clone());
        }
        for (index, item) in listed.iter().enumerate() {
            let mut view = self.values.clone();
            for key in OWN {
                if let Some(entry) = view.entries.get_mut(key) {
                    let text = if key == oidc::INSECURE.path() {
                        "false"
                    } else {
                        ""
                    };
                    entry.given = crate::config::given::Given::Text(text.to_owned());
                    entry.origin = Origin::Default;
                }
            }
            let above = format!("oidc.issuers[{index}]");
            self.issuer_keys(item, "", &above, &mut view);
            if view.text(oidc::ISSUER).is_empty() {
                let place = self.place_in_file(&above);
                self.notes.mistake(place, "has no issuer; name it");
                continue;
            }
            views.push(view);
        }
        views
    }

    fn issuer_keys(&mut self, value: &Value, below: &str, above: &str, view: &mut Values) {
        let Some(map) = value.as_mapping() else {
            let place = self.place_in_file(&join(above, below));
            self.notes
                .mistake(place, "has to be a mapping of keys to values");
            return;
        };
        for (name, value) in map {
            let key = join(below, name.as_str().unwrap_or_default());
            let place = self.place_in_file(&join(above, &key));
            let setting = match key.as_str() {
                "claim_by_name" => table::setting("account_claim_by_name"),
                "rewrite_well_known" | "dpop_nonce" | "issuers" => None,
                _ => table::setting(&join("oidc", &key)).or_else(|| table::setting(&key)),
            };
            if let Some(setting) = setting.filter(|setting| allowed(setting.key)) {
                layers::take(view, setting, value, Origin::File(place), self.notes);
                layers::check(view, setting.key, self.notes);
            } else if value.is_mapping() && has_below(&key) {
                self.issuer_keys(value, &key, above, view);
            } else {
                self.notes
                    .warn(format!("{place}: unknown key, it has no effect"));
            }
        }
    }

    fn issuer(&mut self, several: bool) -> Issuer {
        let v = self.values;
        self.issuer_url();
        let verify_method = v.get(oidc::ACCESS_TOKEN_VERIFY_METHOD).unwrap_or_default();
        let skip_user_info = v.get(oidc::SKIP_USER_INFO);
        let client = self.client(verify_method);
        self.impossible(verify_method, skip_user_info, client.is_some());
        if v.get(oidc::INSECURE) {
            let place = v.place(oidc::INSECURE);
            self.notes
                .warn(format!("{place}: the issuer's certificate is not verified"));
        }
        let leeway = v.get(oidc::LEEWAY);
        if leeway.as_secs() > 60 {
            self.wrong(
                oidc::LEEWAY,
                "is more than 60s, which would keep expired tokens alive",
            );
        }
        for (key, time) in [
            (
                oidc::JWKS_REFRESH_INTERVAL.path(),
                v.get(oidc::JWKS_REFRESH_INTERVAL),
            ),
            (
                oidc::JWKS_REFRESH_TIMEOUT.path(),
                v.get(oidc::JWKS_REFRESH_TIMEOUT),
            ),
        ] {
            if time.is_zero() {
                self.wrong(key, "is zero; it has to be a time");
            }
        }
        Issuer {
            issuer: v.text(oidc::ISSUER),
            insecure: v.get(oidc::INSECURE),
            verify_method,
            skip_user_info,
            jwks: Jwks {
                refresh_interval: v.get(oidc::JWKS_REFRESH_INTERVAL),
                refresh_timeout: v.get(oidc::JWKS_REFRESH_TIMEOUT),
                refresh_limit: v.get(oidc::JWKS_REFRESH_LIMIT),
                refresh_unknown_kid: v.get(oidc::JWKS_REFRESH_UNKNOWN_KID),
            },
            user_info_ttl: v.get(oidc::USER_INFO_CACHE_TTL),
            client,
            verify_aud: v.get(oidc::ACCESS_TOKEN_VERIFY_AUD),
            audiences: v.get(oidc::AUDIENCES),
            access_token_types: self.token_types(),
            // Filled in below for the flat one.
            service_clients: Vec::new(),
            require_verified_mail: v.get(oidc::REQUIRE_VERIFIED_MAIL),
            logout_audiences: v.get(oidc::LOGOUT_AUDIENCES),
            require_exp: v.get(oidc::REQUIRE_EXP),
            leeway,
            required_claims: self.claim_values(oidc::REQUIRED_CLAIMS),
            allow_claims: self.claim_values(oidc::ALLOW_CLAIM),
            claims_merge: v.get(oidc::CLAIMS_MERGE).unwrap_or_default(),
            userinfo_sub_check: v.get(oidc::USERINFO_SUB_CHECK),
            backchannel_url: v.get(oidc::BACKCHANNEL_URL),
            introspection_url: v.get(oidc::INTROSPECTION_URL),
            accept_bound_tokens: v.get(oidc::ACCEPT_BOUND_TOKENS),
            user_claim: self.claim(accounts::USER_OIDC_CLAIM),
            user_lookup: v.get(accounts::USER_CS3_CLAIM).unwrap_or_default(),
            provision_claims: self.provision_claims(),
            role_assignment: self.role_assignment(),
            claim_by_name: v
                .get(accounts::ACCOUNT_CLAIM_BY_NAME)
                .unwrap_or(if several {
                    ClaimByName::Never
                } else {
                    ClaimByName::Unprivileged
                }),
        }
    }

    /// A client id that was copied from a page as it stands there.
    fn placeholders(&mut self) {
        for key in [
            oidc::WEBFINGER_WEB_CLIENT_ID,
            oidc::WEBFINGER_DESKTOP_CLIENT_ID,
            oidc::WEBFINGER_ANDROID_CLIENT_ID,
            oidc::WEBFINGER_IOS_CLIENT_ID,
            oidc::CLIENT_ID,
        ] {
            let id = self.values.get(key);
            let plain = id.to_ascii_lowercase();
            let words = [
                "your-client",
                "your_client",
                "yourclient",
                "changeme",
                "change-me",
                "change_me",
                "placeholder",
            ];
            let is_one = id.contains(['<', '>', ' ', '{', '}'])
                || id.contains("**")
                || words.iter().any(|word| plain.contains(word));
            if is_one && self.values.is_set(key) {
                let place = self.values.place(key);
                self.notes.warn(format!(
                    "{place}: {id:?} looks like the placeholder of a page; name the id that the client has at the issuer"
                ));
            }
        }
    }

    fn token_types(&self) -> Vec<String> {
        let types = self.values.get(oidc::ACCESS_TOKEN_TYP);
        let short = |typ: &String| {
            let typ = typ.trim().to_ascii_lowercase();
            typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
        };
        types.iter().map(short).collect()
    }

    fn issuer_url(&mut self) {
        let text = self.values.text(oidc::ISSUER);
        let Ok(url) = scalar::url(&text) else {
            if text.is_empty() {
                self.wrong(oidc::ISSUER, "is empty; name the issuer, https://host");
            }
            return;
        };
        if url.query().is_some() || url.fragment().is_some() {
            self.wrong(
                oidc::ISSUER,
                "has a query or a fragment, which no issuer has",
            );
        }
        for key in [oidc::ISSUER, oidc::BACKCHANNEL_URL, oidc::INTROSPECTION_URL] {
            let url = self.values.get(key);
            let Some(url) = url.filter(|url| url.scheme() == "http") else {
                continue;
            };
            let place = self.values.place(key);
            // A public http issuer behind a back-channel URL is only a name.
            let is_name = key.path() == oidc::ISSUER.path()
                && self.values.get(oidc::BACKCHANNEL_URL).is_some();
            if is_loopback(&url) || self.values.get(oidc::INSECURE) || is_name {
                self.notes.warn(format!("{place}: {url} is not encrypted"));
            } else {
                self.notes.mistake(
                    place,
                    format!("is {url}, which is not encrypted; use https, or allow it with PROXY_OIDC_INSECURE=true"),
                );
            }
        }
    }

    fn client(&mut self, method: VerifyMethod) -> Option<ClientCredentials> {
        let id = self.values.some_text(oidc::CLIENT_ID);
        let secret = self.values.get(oidc::CLIENT_SECRET);
        if self.values.is_set(oidc::CLIENT_SECRET) && secret.is_none() {
            self.wrong(
                oidc::CLIENT_SECRET,
                "is empty; set the client's secret, or take it out",
            );
        }
        match (id, secret) {
            (Some(id), Some(secret)) => Some(ClientCredentials { id, secret }),
            (id, secret) => {
                let missing = if id.is_none() {
                    oidc::CLIENT_ID.path()
                } else {
                    oidc::CLIENT_SECRET.path()
                };
                if method == VerifyMethod::Introspection {
                    self.wrong(
                        missing,
                        "is missing; introspection needs a client of the issuer",
                    );
                } else if id.is_some() != secret.is_some() {
                    self.wrong(missing, "is missing; client id and secret belong together");
                }
                None
            }
        }
    }

    fn impossible(&mut self, method: VerifyMethod, skip_user_info: bool, client: bool) {
        if skip_user_info && method == VerifyMethod::None {
            self.wrong(
                oidc::SKIP_USER_INFO,
                "cannot be true with oidc.access_token_verify_method none, because then nothing would check the token",
            );
        }
        if skip_user_info && method == VerifyMethod::Auto && !client {
            let place = self.values.place(oidc::SKIP_USER_INFO);
            self.notes.warn(format!(
                "{place}: without userinfo and without a client for introspection only JWTs are accepted"
            ));
        }
        let lists = [oidc::AUDIENCES, oidc::ACCESS_TOKEN_VERIFY_AUD];
        for key in lists {
            if self.values.get(key).is_empty() {
                continue;
            }
            if method == VerifyMethod::Auto && !client {
                let place = self.values.place(key);
                self.notes.warn(format!(
                    "{place}: without a client for introspection (PROXY_OIDC_CLIENT_ID) nobody says whom an opaque token is for, so only JWTs are accepted"
                ));
            }
            if method == VerifyMethod::None {
                self.wrong(
                    key,
                    "cannot be checked with oidc.access_token_verify_method none; use jwt, auto or introspection",
                );
            }
        }
    }

    /// Same issuer twice, or several that claim accounts by name.
    fn one_of_each(&mut self, issuers: &[Issuer]) {
        for (index, issuer) in issuers.iter().enumerate() {
            if issuers[..index]
                .iter()
                .any(|other| other.issuer == issuer.issuer)
            {
                self.wrong(oidc::ISSUERS, format!("has {} twice", issuer.issuer));
            }
        }
        let by_name = issuers
            .iter()
            .filter(|issuer| issuer.claim_by_name != ClaimByName::Never)
            .count();
        if by_name > 1 {
            self.wrong(
                oidc::ISSUERS,
                "has several issuers that may claim accounts by name, so that one could take the accounts of the other; set claim_by_name: never but for one",
            );
        }
    }

    fn one_issuer_a_domain(&mut self, issuers: &[WebfingerIssuer]) {
        let domains: Vec<&String> = issuers.iter().flat_map(|issuer| &issuer.domains).collect();
        for (index, domain) in domains.iter().enumerate() {
            if domains[..index].contains(domain) {
                self.wrong(
                    oidc::ISSUERS,
                    format!("has several issuers with the webfinger domain {domain}"),
                );
            }
        }
    }

    pub(super) fn claim(&mut self, key: Key<String>) -> ClaimPath {
        let text = self.values.get(key);
        if text.is_empty() {
            self.wrong(key, "is empty; name a claim");
        }
        ClaimPath::parse(&text)
    }

    pub(super) fn claim_values(&self, key: Key<ClaimValues>) -> Vec<ClaimRequirement> {
        self.values
            .get(key)
            .iter()
            .filter_map(|item| scalar::claim_value(item).ok())
            .map(|(claim, value)| ClaimRequirement {
                claim: ClaimPath::parse(&claim),
                value,
            })
            .collect()
    }

    /// The place of a key inside a structure of `proxy.yaml`.
    pub(super) fn place_in_file(&self, key: &str) -> crate::config::notes::Place {
        match self.file {
            Some(file) => file.place(key),
            None => crate::config::notes::Place {
                key: key.to_owned(),
                ..Default::default()
            },
        }
    }
}

/// Whether an entry of `oidc.issuers` may set that key.
fn allowed(key: &str) -> bool {
    key.starts_with("oidc.")
        || key.starts_with("auto_provision_claims.")
        || key.starts_with("role_assignment.")
        || is_webfinger_client(key)
        || matches!(
            key,
            "user_oidc_claim"
                | "user_cs3_claim"
                | "account_claim_by_name"
                | "auto_provision_groups_absent"
        )
}

/// `webfinger.desktop_client_id` and the like: the same client may have another id at another issuer.
fn is_webfinger_client(key: &str) -> bool {
    key.starts_with("webfinger.") && key.contains("_client_")
}

fn has_below(key: &str) -> bool {
    [format!("oidc.{key}."), format!("{key}.")]
        .iter()
        .any(|below| table::settings().any(|s| s.key.starts_with(below.as_str()) && allowed(s.key)))
}

/// Whether a URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        // The host of `ldap://127.0.0.1` is a name to the URL parser: addresses are read in web schemes only.
        Some(Host::Domain(name)) => {
            name == "localhost"
                || name.ends_with(".localhost")
                || name
                    .parse::<std::net::Ipv4Addr>()
                    .is_ok_and(|ip| ip.is_loopback())
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
