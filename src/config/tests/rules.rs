//! Rules of layering and of the two flavours.

use super::{SECRET, load, mistakes};
use crate::config::accounts::{AccountBackend, DisableMechanism, RoleAssignment};
use crate::config::selector::PolicySelector;
use crate::config::{Compat, Config, Flavor, LoadOptions, Vars};
use crate::model::Role;

#[test]
fn the_last_variable_wins_and_variables_win_over_files() {
    let yaml = "oidc: {issuer: 'https://file.example'}";
    let issuer = |vars: &[(&str, &str)]| load(yaml, vars).unwrap().config.issuers[0].issuer.clone();
    assert_eq!(issuer(&[]), "https://file.example");
    assert_eq!(
        issuer(&[("OC_URL", "https://a.example")]),
        "https://a.example"
    );
    let all = [
        ("PROXY_OIDC_ISSUER", "https://c.example"),
        ("OC_OIDC_ISSUER", "https://b.example"),
        ("OC_URL", "https://a.example"),
    ];
    assert_eq!(issuer(&all), "https://c.example");
}

#[test]
fn a_global_variable_that_beats_the_file_is_told() {
    let loaded = load(
        "oidc: {issuer: 'https://file.example'}",
        &[("OC_URL", "https://a.example")],
    )
    .unwrap();
    assert!(
        loaded.warnings[0].contains("OC_URL is set and is stronger than the file"),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn the_account_ids_issuer_never_follows_the_proxys_own_variable() {
    let vars = [
        ("OC_URL", "https://cloud.example"),
        ("PROXY_OIDC_ISSUER", "https://idp.example"),
    ];
    let config = load("", &vars).unwrap().config;
    assert_eq!(config.identity.idp, "https://cloud.example");
    assert_eq!(config.issuers[0].issuer, "https://idp.example");
    assert_eq!(config.http.public_url.as_str(), "https://cloud.example/");
}

#[test]
fn unknown_keys_and_variables_are_warned_of_by_name() {
    let vars = [
        ("PROXY_OIDC_ISUER", "x"),
        ("PROXY_PORT_9200_TCP", "x"),
        ("HOME", "/nonexistent"),
    ];
    let warnings = load("oidc:\n  isuer: x\nclient_ip: {strategy: xff}\n", &vars)
        .unwrap()
        .warnings;
    assert_eq!(
        warnings,
        [
            "proxy.yaml:2: oidc.isuer: unknown key, it has no effect; did you mean oidc.issuer?",
            "proxy.yaml:3: client_ip: unknown key, it has no effect",
            "PROXY_OIDC_ISUER: unknown variable, it has no effect; did you mean PROXY_OIDC_ISSUER?",
        ]
    );
}

#[test]
fn parts_not_built_stop_the_start_only_if_the_proxy_was_told() {
    // No default asks for a part that is not built.
    let off = load("", &[]).unwrap();
    assert_eq!(off.infos, Vec::<String>::new());
    let global = [
        ("OC_EVENTS_ENDPOINT", "nats:9233"),
        ("OC_CACHE_STORE", "nats-js-kv"),
        ("OC_MACHINE_AUTH_API_KEY", "k"),
        ("OC_SERVICE_ACCOUNT_ID", "i"),
        ("OC_SERVICE_ACCOUNT_SECRET", "s"),
        ("OC_URL_SIGNING_SECRET", "s"),
        ("MICRO_REGISTRY", "nats-js-kv"),
        ("PROXY_EVENTS_ENDPOINT", ""),
        ("PROXY_ENABLE_VAULT_MODE", "0"),
        ("PROXY_TRACING_ENABLED", "true"),
    ];
    let loaded = load("enable_vault_mode: false", &global).unwrap();
    let is_off = |info: &String| info.contains("enable_vault_mode");
    assert!(!loaded.infos.iter().any(is_off), "{:?}", loaded.infos);
    let found = mistakes(
        "multi_instance: {enabled: true}",
        &[("PROXY_ENABLE_VAULT_MODE", "true")],
    );
    assert_eq!(
        found,
        [
            "proxy.yaml:1: not supported yet: multi_instance.enabled (OCIS_MULTI_INSTANCE_ENABLED); set it to false",
            "not supported yet: enable_vault_mode (PROXY_ENABLE_VAULT_MODE); set it to false",
        ]
    );
}

/// As the process's variables are if one is no text.
struct WithBytes;

impl Vars for WithBytes {
    fn var(&self, name: &str) -> Option<String> {
        (name == "PROXY_ACCOUNT_BACKEND_TYPE").then(|| "embedded".to_owned())
    }

    fn names(&self) -> Vec<String> {
        ["PROXY_ACCOUNT_BACKEND_TYPE", "PROXY_TLS", "OC_JWT_SECRET"]
            .map(str::to_owned)
            .to_vec()
    }

    fn unreadable(&self) -> Vec<String> {
        ["PROXY_TLS", "OC_JWT_SECRET", "SOMEBODY_ELSES"]
            .map(str::to_owned)
            .to_vec()
    }
}

#[test]
fn row_121_a_variable_that_is_no_text_is_a_mistake_of_its_own() {
    let error = Config::load(&LoadOptions::with_yaml(""), &WithBytes)
        .unwrap_err()
        .to_string();
    for wanted in [
        "(PROXY_TLS) has a value that is not UTF-8",
        "(OC_JWT_SECRET) has a value that is not UTF-8",
    ] {
        assert!(error.contains(wanted), "{error}");
    }
    assert!(!error.contains("SOMEBODY_ELSES"), "{error}");
}

#[test]
fn a_mapping_is_read_also_while_the_driver_does_not_use_it() {
    let mapping = |text| [("PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING", text)];
    let found = mistakes("", &mapping("admin=a;owner=b"));
    assert!(
        found[0].contains("PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING) has the role \"owner\""),
        "{found:?}"
    );
    let loaded = load("", &mapping("admin=a;guest=b")).unwrap();
    assert!(
        loaded.warnings[0].contains("guest"),
        "{:?}",
        loaded.warnings
    );
    assert!(matches!(
        loaded.config.issuers[0].role_assignment,
        RoleAssignment::Default
    ));
}

#[test]
fn names_of_active_directory_beside_others_and_a_filter_that_hides_new_people_are_warned_of() {
    let warnings = |more: &[(&'static str, &'static str)]| {
        let vars = [
            ("OC_JWT_SECRET", SECRET),
            ("OC_CONFIG_DIR", "/nonexistent"),
            ("OC_LDAP_URI", "ldaps://ldap.example"),
            ("OC_LDAP_BIND_PASSWORD", "p"),
        ];
        let vars: Vec<_> = vars.iter().chain(more).copied().collect();
        let loaded = Config::load(&LoadOptions::default(), &&vars[..]).unwrap();
        let is_ours =
            |text: &&String| text.contains("Active Directory") || text.contains("a new person");
        loaded
            .warnings
            .iter()
            .filter(is_ours)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(warnings(&[]), [""; 0]);
    let halfway = warnings(&[("OC_LDAP_USER_SCHEMA_USERNAME", "sAMAccountName")]);
    for (line, (key, wanted)) in halfway.iter().zip([
        ("OC_LDAP_USER_SCHEMA_ID", "objectGUID"),
        ("OC_LDAP_USER_OBJECTCLASS", "user"),
        ("OC_LDAP_GROUP_OBJECTCLASS", "group"),
        ("OC_LDAP_GROUP_SCHEMA_ID", "objectGUID"),
    ]) {
        assert!(line.contains(key) && line.ends_with(wanted), "{line}");
    }
    assert_eq!(halfway.len(), 4);
    let whole = [
        ("OC_LDAP_USER_SCHEMA_USERNAME", "sAMAccountName"),
        ("OC_LDAP_USER_SCHEMA_ID", "objectGUID"),
        ("OC_LDAP_USER_SCHEMA_ID_IS_OCTETSTRING", "true"),
        ("OC_LDAP_USER_OBJECTCLASS", "user"),
        ("OC_LDAP_GROUP_OBJECTCLASS", "group"),
        ("OC_LDAP_GROUP_SCHEMA_ID", "objectGUID"),
    ];
    assert_eq!(warnings(&whole), [""; 0]);
    let text = warnings(&[whole[0], whole[1], whole[3], whole[4], whole[5]]);
    assert!(
        text.len() == 1 && text[0].contains("OCTETSTRING") && text[0].ends_with("true"),
        "{text:?}"
    );

    let filtered = |filter| {
        warnings(&[
            ("PROXY_AUTOPROVISION_ACCOUNTS", "true"),
            ("OC_LDAP_USER_FILTER", filter),
        ])
    };
    let hidden = filtered("(&(mail=*)(opencloudUserEnabled=TRUE))");
    assert!(
        hidden.len() == 1 && hidden[0].ends_with("write (!(openCloudUserEnabled=FALSE))"),
        "{hidden:?}"
    );
    assert_eq!(filtered("(!(openCloudUserEnabled=FALSE))"), [""; 0]);
}

#[test]
fn the_account_backend_is_ldap_where_a_server_is_named() {
    let vars = [
        ("OC_JWT_SECRET", SECRET),
        ("OC_CONFIG_DIR", "/nonexistent"),
        ("OC_LDAP_URI", "ldaps://ldap.example"),
        ("OC_LDAP_BIND_PASSWORD", "p"),
        ("GRAPH_LDAP_BIND_DN", "cn=graph"),
        ("USERS_LDAP_BIND_DN", "cn=users"),
        ("OC_LDAP_DISABLE_USER_MECHANISM", "group"),
    ];
    let config = Config::load(&LoadOptions::default(), &vars).unwrap().config;
    let AccountBackend::Ldap(ldap) = config.accounts.backend else {
        panic!("not LDAP")
    };
    assert_eq!(ldap.bind_dn, "cn=graph");
    assert_eq!(ldap.user_id, "openCloudUUID");
    assert_eq!(ldap.group_create_base_dn, "ou=groups,o=libregraph-idm");
    let disabled = "cn=DisabledUsersGroup,ou=groups,o=libregraph-idm".to_owned();
    assert_eq!(ldap.disable, DisableMechanism::Group(disabled));
}

#[test]
fn ocis_has_its_names_and_defaults() {
    let vars = [
        ("OCIS_JWT_SECRET", SECRET),
        ("OCIS_CONFIG_DIR", "/nonexistent"),
        ("OCIS_LDAP_URI", "ldaps://ldap.example"),
        ("OCIS_LDAP_BIND_PASSWORD", "p"),
        ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
    ];
    let config = Config::load(&LoadOptions::default(), &vars).unwrap().config;
    assert_eq!(
        (config.flavor, config.compat),
        (Flavor::Ocis, Compat::Ocis8)
    );
    assert!(matches!(&config.policy_selector, PolicySelector::Static(name) if name == "ocis"));
    assert!(config.mfa.header && !config.mfa.enabled);
    let AccountBackend::Ldap(ldap) = config.accounts.backend else {
        panic!("not LDAP")
    };
    assert_eq!(
        (ldap.user_id.as_str(), ldap.external_identity.as_str()),
        ("ownCloudUUID", "oCExternalIdentity")
    );
    let RoleAssignment::Oidc { mapping, .. } = &config.issuers[0].role_assignment else {
        panic!("not OIDC")
    };
    assert_eq!(
        (mapping[0].role, mapping[0].value.as_str()),
        (Role::Admin, "ocisAdmin")
    );
    assert!(config.issuers[0].provision_claims.groups.is_empty());
    let dav = config.policies[0]
        .routes
        .iter()
        .find(|r| r.endpoint == "/dav/")
        .unwrap();
    assert_eq!(dav.backend.name, "ocdav");
}

#[test]
fn a_role_mapping_is_the_same_as_text_and_as_yaml() {
    let yaml = "
role_assignment:
  driver: oidc
  oidc_role_mapper:
    role_mapping:
      - {role_name: admin, claim_value: 'grp:admins'}
      - {role_name: guest, claim_value: visitors}
";
    let by_yaml = load(yaml, &[]).unwrap();
    let vars = [
        ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
        (
            "PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING",
            "admin=grp:admins;guest=visitors",
        ),
    ];
    let by_text = load("", &vars).unwrap();
    for loaded in [by_yaml, by_text] {
        let RoleAssignment::Oidc { mapping, .. } = &loaded.config.issuers[0].role_assignment else {
            panic!()
        };
        let pairs: Vec<_> = mapping.iter().map(|m| (m.role, m.value.as_str())).collect();
        assert_eq!(
            pairs,
            [(Role::Admin, "grp:admins"), (Role::UserLight, "visitors")]
        );
        assert_eq!(loaded.warnings.len(), 1);
    }
}

#[test]
fn only_ocis_8_reads_claim_values_as_expressions() {
    let patterns = |compat: &str| {
        let vars = [
            ("PROXY_COMPAT", compat),
            ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
            (
                "PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING",
                "admin=^adm.*;user=plain;user-light=(open",
            ),
        ];
        let config = load("", &vars).unwrap().config;
        let RoleAssignment::Oidc { mapping, .. } = config.issuers[0].role_assignment.clone() else {
            panic!()
        };
        mapping
            .iter()
            .map(|m| m.pattern.is_some())
            .collect::<Vec<_>>()
    };
    assert_eq!(patterns("ocis-8"), [true, false, false]);
    assert_eq!(patterns("ocis-7"), [false, false, false]);
    assert_eq!(patterns("opencloud-8"), [false, false, false]);
}

#[test]
fn secrets_come_from_files_without_their_last_newline() {
    let folder = std::env::temp_dir().join(format!("davgate-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("jwt");
    std::fs::write(&path, format!("{SECRET}x\n")).unwrap();
    let loaded = load("", &[("PROXY_JWT_SECRET_FILE", path.to_str().unwrap())]).unwrap();
    assert_eq!(
        loaded.config.identity.jwt_secret.reveal(),
        format!("{SECRET}x")
    );
    assert!(loaded.files.contains(&path));
    let both = [
        ("PROXY_JWT_SECRET", "s"),
        ("PROXY_JWT_SECRET_FILE", path.to_str().unwrap()),
    ];
    assert!(mistakes("", &both)[0].contains("PROXY_JWT_SECRET_FILE are both set"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_main_file_gives_its_proxy_section_and_shared_secrets() {
    let folder = std::env::temp_dir().join(format!("davgate-main-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let main = "token_manager: {jwt_secret: 0123456789abcdef0123456789abcdef}\n\
                machine_auth_api_key: k\n\
                graph: {identity: {ldap: {bind_password: b}}}\n\
                proxy:\n  http: {addr: '127.0.0.1:1'}\n  log: {level: warn}\n  enable_basic_auth: true\n";
    std::fs::write(folder.join("opencloud.yaml"), main).unwrap();
    std::fs::write(folder.join("proxy.yaml"), "log: {level: info}\n").unwrap();
    let options = LoadOptions {
        config_dir: Some(folder.clone()),
        ..LoadOptions::default()
    };
    let loaded = Config::load(&options, &[("PROXY_ACCOUNT_BACKEND_TYPE", "embedded")]).unwrap();
    assert_eq!(loaded.config.identity.jwt_secret.reveal().len(), 32);
    assert_eq!(loaded.config.http.addr.port(), 1);
    assert_eq!(
        loaded.config.log.level,
        tracing::level_filters::LevelFilter::INFO
    );
    assert!(!loaded.json().to_string().contains("0123456789abcdef"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn row_119_120_marks_and_encodings_are_settled() {
    assert!(
        load("\u{feff}http: {root: /cloud/}\n", &[])
            .unwrap()
            .config
            .http
            .root
            == "/cloud"
    );
    let big = format!("# {}\n", "x".repeat(1024 * 1024));
    assert!(mistakes(&big, &[])[0].contains("larger than 1 MiB"));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}, ", level - 1).repeat(9);
        bomb.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    assert!(mistakes(&bomb, &[])[0].contains("is not valid YAML"));
}

#[test]
fn issue_14_11_a_client_id_left_at_a_placeholder_is_warned_of() {
    for (id, is_warned_of) in [
        ("**<insert your client id from pocket id>**", true),
        ("<client-id>", true),
        ("your-client-id", true),
        ("CHANGEME", true),
        ("${CLIENT_ID}", true),
        ("web", false),
        ("3654a746-35d4-4321-ac61-0bdcff2b4055", false),
        ("client_secret_jwt", false),
    ] {
        let loaded = load("", &[("WEB_OIDC_CLIENT_ID", id)]);
        let warnings = loaded.map_or_else(|errors| errors.warnings, |loaded| loaded.warnings);
        let warned = warnings
            .iter()
            .any(|warning| warning.contains("placeholder"));
        assert_eq!(warned, is_warned_of, "{id}: {warnings:?}");
    }
}
