use std::collections::HashSet;
use std::fmt::Write as _;

use super::*;

const INTRODUCTION: &str = "# Metrics\n\n\
    <!-- Generated from src/telemetry/families: UPDATE=1 cargo test --lib families -->\n\n\
    `GET /metrics` on the debug listener (127.0.0.1:9205 unless `PROXY_DEBUG_ADDR` says otherwise; with `PROXY_DEBUG_TOKEN` as a\n\
    bearer token) answers in Prometheus' text form, or in OpenMetrics to whoever asks for it by `Accept`.\n\n\
    Names begin with `opencloud_proxy_`, or with `ocis_proxy_` where `PROXY_FLAVOR` is `ocis`; those of the process stand alone.\n\
    Labels are bounded: routes, backends and issuers are those of the configuration, methods those registered for HTTP and\n\
    WebDAV (others are `OTHER`). A family that has counted nothing is left out. Alert rules are in\n\
    `deploy/prometheus/alerts.yaml`, a dashboard in `deploy/grafana/davgate.json`.\n\n\
    | name | kind | labels | what it says |\n|---|---|---|---|\n";

/// As scrapers see it.
pub(in crate::telemetry) fn shown(family: &Family) -> String {
    let prefix = if family.is_bare() {
        ""
    } else {
        "opencloud_proxy_"
    };
    let suffix = if family.kind == Kind::Counter {
        "_total"
    } else {
        ""
    };
    format!("{prefix}{}{suffix}", family.name)
}

fn rendered() -> String {
    let mut page = INTRODUCTION.to_owned();
    for family in ALL {
        let labels: Vec<String> = family.labels.iter().map(|one| format!("`{one}`")).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            shown(family),
            format!("{:?}", family.kind).to_lowercase(),
            labels.join(", "),
            family.help
        );
    }
    page
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "asks whether to write the page; it is no setting of the gateway"
)]
fn the_page_has_every_family() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, rendered()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == rendered(),
        "docs/metrics.md is not up to date: UPDATE=1 cargo test --lib families"
    );
}

#[test]
fn names_are_those_that_prometheus_wants() {
    let mut seen = HashSet::new();
    for family in ALL {
        assert!(seen.insert(family.name), "{} is there twice", family.name);
        let is_word = |c: u8| c.is_ascii_lowercase() || c == b'_';
        assert!(family.name.bytes().all(is_word), "{}", family.name);
        assert!(!family.name.ends_with("_total"), "{}", family.name);
        let has_unit = family.name.ends_with("_seconds");
        assert!(
            family.kind != Kind::Histogram || has_unit,
            "{} has no unit",
            family.name
        );
        assert!(!family.help.contains('|') && !family.help.is_empty());
    }
}

/// Names in rules and dashboards, without what the forms of a histogram add.
fn used(text: &str) -> Vec<String> {
    let names = regex::Regex::new(r"\b(opencloud_proxy|process)_[a-z_]+\b").unwrap();
    names
        .find_iter(text)
        .map(|name| name.as_str().to_owned())
        .collect()
}

/// The family that a series of that name belongs to.
fn named(name: &str) -> Option<&'static Family> {
    let parts = ["", "_bucket", "_count", "_sum"];
    ALL.iter().find(|family| {
        let shown = shown(family);
        let parts = if family.kind == Kind::Histogram {
            &parts[1..]
        } else {
            &parts[..1]
        };
        parts.iter().any(|part| name == format!("{shown}{part}"))
    })
}

#[test]
fn rules_and_dashboards_use_names_and_labels_that_exist() {
    let root = env!("CARGO_MANIFEST_DIR");
    let selectors = regex::Regex::new(r"(opencloud_proxy_[a-z_]+)\{([^}]*)\}").unwrap();
    let labels = regex::Regex::new(r#"([a-z_]+)\s*[!=]~?\s*\\?""#).unwrap();
    for file in [
        "deploy/prometheus/alerts.yaml",
        "deploy/prometheus/alerts_test.yaml",
        "deploy/grafana/davgate.json",
    ] {
        let text = std::fs::read_to_string(format!("{root}/{file}")).unwrap();
        let names = used(&text);
        assert!(!names.is_empty(), "{file} names no metric");
        for name in names {
            assert!(named(&name).is_some(), "{file}: there is no {name}");
        }
        // `name{label="value"}`: the label is one of the family's.
        for selector in selectors.captures_iter(&text) {
            let known = named(&selector[1]).unwrap().labels;
            for label in labels.captures_iter(&selector[2]) {
                let own = ["instance", "job", "le"];
                assert!(
                    known.contains(&&label[1]) || own.contains(&&label[1]),
                    "{file}: {} has no label {}",
                    &selector[1],
                    &label[1]
                );
            }
        }
    }
}
