//! Reads the configuration: folders, files, variables, then the builders. The one entry for `server`, `config` and tests.

use std::path::{Path, PathBuf};

use super::accounts::{AccountBackend, ProvisionBackend, RoleStoreKind};
use super::build::Build;
use super::document::Document;
use super::flavor::Boot;
use super::given::Given;
use super::notes::{ConfigErrors, Notes};
use super::oidc::ClaimByName;
use super::values::{Origin, Values};
use super::vars::Vars;
use super::{Compat, Config, Secret, layers};

/// What the command line says about where to look.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The folder of the configuration files, instead of the one variables name.
    pub config_dir: Option<PathBuf>,
    /// Text to read in place of `proxy.yaml`, for tests.
    pub proxy_yaml: Option<String>,
    /// The release the backends say they are; counts where `PROXY_COMPAT` names none.
    pub found_release: Option<Compat>,
}

impl LoadOptions {
    /// Reads this text in place of `proxy.yaml`.
    #[must_use]
    pub fn with_yaml(text: impl Into<String>) -> Self {
        Self {
            proxy_yaml: Some(text.into()),
            ..Self::default()
        }
    }
}

/// A configuration without mistakes, and what there is to say about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// To be logged as warnings.
    pub warnings: Vec<String>,
    /// To be logged as information.
    pub infos: Vec<String>,
    /// Every setting with its value and origin, secrets masked, in the order of the reference.
    pub effective: Vec<Effective>,
    /// The files that were read or looked for; a change of one of them is a reason to load again.
    pub files: Vec<PathBuf>,
}

/// One setting as it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The key.
    pub key: &'static str,
    /// Its value as JSON; a secret is `"***"`.
    pub value: serde_json::Value,
    /// Where it was set.
    pub origin: Origin,
    /// The value with its secrets, to see a change of one.
    unmasked: Secret,
}

impl Effective {
    /// Whether both have the same value, secrets included.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.unmasked == other.unmasked
    }
}

impl Config {
    /// Reads the configuration.
    ///
    /// ```
    /// use davgate::door::config::{Config, LoadOptions};
    /// let vars = [("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"), ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef")];
    /// let loaded = Config::load(&LoadOptions::with_yaml("http: {addr: '127.0.0.1:0'}"), &vars).unwrap();
    /// assert_eq!(loaded.config.http.addr.port(), 0);
    /// ```
    ///
    /// # Errors
    /// All mistakes that were found; nothing else stops the reading.
    pub fn load(options: &LoadOptions, vars: &dyn Vars) -> Result<Loaded, ConfigErrors> {
        let mut notes = Notes::default();
        let boot = Boot::read(
            options.config_dir.as_deref(),
            options.found_release,
            vars,
            &mut notes,
        );
        let file_path = boot.config_dir.join("proxy.yaml");
        let main_path = boot.config_dir.join(format!("{}.yaml", boot.flavor.name()));
        let file = match &options.proxy_yaml {
            Some(text) => {
                Document::parse(Path::new("proxy.yaml"), text.as_bytes(), vars, &mut notes)
            }
            None => Document::read(&file_path, vars, &mut notes),
        };
        let main = Document::read_main(&main_path, vars, &mut notes);
        let values = layers::lay(&boot, main.as_ref(), file.as_ref(), vars, &mut notes);
        elsewhere(&boot, &file_path, options, &mut notes);
        layers::unknown_variables(&boot, vars, &mut notes);
        layers::mixed_variables(&boot, vars, &mut notes);
        layers::unreadable_variables(&boot, vars, &mut notes);
        let mut build = Build {
            boot: &boot,
            values: &values,
            file: file.as_ref(),
            vars,
            notes: &mut notes,
            files: vec![file_path, main_path],
        };
        let config = build.config();
        let mut files = build.files;
        files.extend(
            values
                .entries
                .values()
                .filter_map(|entry| match &entry.origin {
                    Origin::SecretFile(variable) => vars.var(variable).map(PathBuf::from),
                    _ => None,
                }),
        );
        match config {
            Some(config) if notes.mistakes.is_empty() => Ok(Loaded {
                warnings: notes.warnings,
                infos: notes.infos,
                effective: effective(&values, &config),
                config,
                files,
            }),
            _ => Err(ConfigErrors {
                mistakes: notes.mistakes,
                warnings: notes.warnings,
            }),
        }
    }
}

impl Loaded {
    /// The settings as one JSON object with nested keys, secrets masked.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let mut root = serde_json::Map::new();
        for entry in &self.effective {
            let mut map = &mut root;
            let mut keys = entry.key.split('.').peekable();
            while let Some(key) = keys.next() {
                if keys.peek().is_none() {
                    map.insert(key.to_owned(), entry.value.clone());
                    break;
                }
                let below = map
                    .entry(key)
                    .or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
                let serde_json::Value::Object(below) = below else {
                    break;
                };
                map = below;
            }
        }
        serde_json::Value::Object(root)
    }
}

/// A file that lies beside the folder that is read is one somebody believes in.
fn elsewhere(boot: &Boot, read: &Path, options: &LoadOptions, notes: &mut Notes) {
    if read.exists() || options.proxy_yaml.is_some() {
        return;
    }
    let product = boot.flavor.name();
    let places = [
        boot.config_dir.join("config/proxy.yaml"),
        boot.config_dir.with_file_name("proxy.yaml"),
        boot.data_dir.join("proxy.yaml"),
        boot.data_dir.join("proxy/proxy.yaml"),
        boot.data_dir.join("config/proxy.yaml"),
        Path::new("/etc").join(product).join("proxy.yaml"),
    ];
    if let Some(found) = places
        .iter()
        .find(|place| *place != read && place.is_file())
    {
        notes.warn(format!(
            "{}: is not read; the folder of proxy.yaml is {} ({})",
            found.display(),
            boot.config_dir.display(),
            boot.flavor.own("OC_CONFIG_DIR")
        ));
    }
}

fn effective(values: &Values, config: &Config) -> Vec<Effective> {
    super::table::settings()
        .filter_map(|setting| {
            let entry = values.entry(setting.key)?;
            let unmasked = match &entry.given {
                Given::Text(text) if text.is_empty() => {
                    derived(config, setting.key).unwrap_or_default().into()
                }
                Given::Text(text) => serde_json::Value::from(text.as_str()),
                Given::List(items) => serde_json::Value::from(items.clone()),
                Given::Tree(tree) => serde_json::to_value(tree).unwrap_or_default(),
            };
            let text = Secret::new(unmasked.to_string());
            let value = match &entry.given {
                given if setting.is_secret() && given.is_empty() => "".into(),
                _ if setting.is_secret() => "***".into(),
                _ => masked(unmasked),
            };
            Some(Effective {
                key: setting.key,
                value,
                origin: entry.origin.clone(),
                unmasked: text,
            })
        })
        .collect()
}

/// What a default that is worked out came to.
fn derived(config: &Config, key: &str) -> Option<String> {
    let ldap = match &config.accounts.backend {
        AccountBackend::Ldap(ldap) => Some(ldap),
        AccountBackend::Embedded { .. } | AccountBackend::Cs3 => None,
    };
    Some(match key {
        "workers" => config.http.workers.to_string(),
        "log.pretty" | "log.color" => "on a terminal".to_owned(),
        "account_backend" => backend_name(config).to_owned(),
        "auto_provision_backend" => match &config.accounts.provisioner {
            ProvisionBackend::Account => backend_name(config),
            ProvisionBackend::Graph => "graph",
            ProvisionBackend::Ldap(_) => "ldap",
        }
        .to_owned(),
        "account_claim_by_name" => match config.issuers.first()?.claim_by_name {
            ClaimByName::Never => "never",
            ClaimByName::Unprivileged => "unprivileged",
            ClaimByName::Always => "always",
        }
        .to_owned(),
        "role_store" => match config.accounts.role_store {
            RoleStoreKind::Account => "account",
            RoleStoreKind::Settings => "settings",
            RoleStoreKind::SettingsIfThere => "settings, if it is registered, else account",
        }
        .to_owned(),
        "ldap.cacert" => ldap?.cacert.as_ref()?.display().to_string(),
        "ldap.group_create_base_dn" => ldap?.group_create_base_dn.clone(),
        "webfinger.oidc_issuer" => config.webfinger.as_ref()?.issuers.first()?.issuer.clone(),
        "webfinger.server_instance_url" => config.webfinger.as_ref()?.instance_url.clone(),
        _ => return None,
    })
}

fn backend_name(config: &Config) -> &'static str {
    match &config.accounts.backend {
        AccountBackend::Cs3 => "cs3",
        AccountBackend::Ldap(_) => "ldap",
        AccountBackend::Embedded { .. } => "embedded",
    }
}

/// Structures may hold secrets too: an issuer's client secret, a header for a backend.
fn masked(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| {
                let value = if key.contains("secret")
                    || key.contains("password")
                    || key == "additional_headers"
                {
                    "***".into()
                } else {
                    masked(value)
                };
                (key, value)
            })
            .collect(),
        serde_json::Value::Array(items) => items.into_iter().map(masked).collect(),
        other => other,
    }
}
