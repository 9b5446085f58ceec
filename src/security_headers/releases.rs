//! The headers of each release of both flavours, as docs/design/contract.md 9.11 and docs/design/contract.md 9.11 and 9.15 list them.

use super::*;
use crate::config::{Compat, LoadOptions};

const OLD: &str = "'self' blob: https://raw.githubusercontent.com/opencloud-eu/awesome/";
const NEW: &str = "'self' blob: https://raw.githubusercontent.com/opencloud-eu/awesome-apps/ https://update.opencloud.eu/";

/// Release, whether a file is merged into its policy, `connect-src`.
const RELEASES: [(&str, bool, &str); 7] = [
    ("opencloud-1", false, OLD),
    ("opencloud-4", true, NEW),
    ("opencloud-5", true, NEW),
    ("opencloud-7", true, NEW),
    ("opencloud-8", true, NEW),
    ("ocis-7", false, "'self'"),
    ("ocis-8", false, "'self'"),
];

fn config(compat: &str, vars: &[(&str, &str)]) -> Config {
    let mut all = vec![
        ("PROXY_COMPAT", compat),
        ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
        ("PROXY_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("OC_CONFIG_DIR", "/nonexistent"),
        ("OC_BASE_DATA_PATH", "/nonexistent"),
    ];
    all.extend(vars);
    Config::load(&LoadOptions::default(), &all.as_slice())
        .unwrap()
        .config
}

fn headers(config: &Config) -> HeaderMap {
    let mut headers = HeaderMap::new();
    SecurityHeaders::new(config, &[]).apply(&mut headers);
    headers
}

#[test]
fn every_release_has_its_headers_and_policy() {
    assert_eq!(RELEASES.map(|one| one.0), Compat::ALL.map(Compat::name));
    for (compat, _, connect) in RELEASES {
        let config = config(compat, &[]);
        let headers = headers(&config);
        let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        let policy = value("content-security-policy").unwrap();
        assert!(
            policy.contains(&format!("connect-src {connect};")),
            "{compat}: {policy}"
        );
        let is_ocis = config.flavor == Flavor::Ocis;
        let (referrer, transport) = if is_ocis {
            (
                "no-referrer",
                "max-age=315360000; includeSubdomains; preload",
            )
        } else {
            (
                "strict-origin-when-cross-origin",
                "max-age=315360000; preload",
            )
        };
        for (name, expected) in [
            ("x-frame-options", Some("SAMEORIGIN")),
            ("x-content-type-options", Some("nosniff")),
            ("x-xss-protection", (!is_ocis).then_some("1; mode=block")),
            ("referrer-policy", Some(referrer)),
            ("x-permitted-cross-domain-policies", Some("none")),
            ("x-robots-tag", Some("none")),
            ("strict-transport-security", Some(transport)),
        ] {
            assert_eq!(value(name), expected, "{compat}: {name}");
        }
        assert_eq!(config.mfa.header, is_ocis, "{compat}");
    }
}

#[test]
fn a_policy_file_merges_or_replaces_as_the_release_does() {
    let folder = std::env::temp_dir().join(format!("davgate-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("csp.yaml");
    std::fs::write(&file, "directives: {img-src: ['https://tiles.example']}").unwrap();
    let path = file.to_str().unwrap();
    for (compat, merges, _) in RELEASES {
        let own = config(compat, &[("PROXY_CSP_CONFIG_FILE_LOCATION", path)]);
        let own = headers(&own);
        let policy = own["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("https://tiles.example"), "{policy}");
        assert_eq!(
            policy.contains("default-src 'none'"),
            merges,
            "{compat}: {policy}"
        );
        let override_file = [("PROXY_CSP_CONFIG_FILE_OVERRIDE_LOCATION", path)];
        let replaced = headers(&config(compat, &override_file));
        assert_eq!(
            replaced["content-security-policy"],
            "img-src https://tiles.example"
        );
    }
    std::fs::remove_dir_all(folder).unwrap();
}
