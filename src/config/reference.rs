//! The reference, written from the table: text for a terminal, `docs/settings.md`, `proxy.yaml.example`.

use std::fmt::Write as _;

use super::setting::{Kind, Part, Preset, Setting};
use super::table::{BOOT_VARIABLES, SECTIONS};
use super::{Compat, Flavor, scalar};

/// All variables as text for a terminal.
#[must_use]
pub(crate) fn text(flavor: Flavor) -> String {
    let mut out = String::new();
    for (name, default, purpose) in BOOT_VARIABLES {
        let _ = writeln!(out, "{name}\n    {purpose}\n    default: {default}\n");
    }
    for section in SECTIONS {
        let _ = writeln!(out, "# {}\n", section.title);
        for setting in section
            .settings
            .iter()
            .filter(|setting| !setting.names.is_empty())
        {
            let _ = writeln!(
                out,
                "{}\n    {}{}\n    {}, default: {}, key: {}\n",
                setting.own_variables(flavor).join(" < "),
                setting.purpose,
                remark(setting),
                setting.kind.label(),
                default_of(setting, flavor),
                setting.key,
            );
        }
    }
    out
}

/// `docs/settings.md`.
#[must_use]
pub(crate) fn markdown() -> String {
    let mut out = String::from(
        "# Settings\n\n\
         This page is written by `davgate config env --markdown`.\n\n\
         Each setting is a key of `proxy.yaml` in the configuration folder, or a variable. Variables are stronger than\n\
         `proxy.yaml`, which is stronger than the section `proxy:` of `opencloud.yaml` (`ocis.yaml`), which is stronger than\n\
         the default. Of several variables the last one that is set wins. `OC_X` can also be written `OCIS_X`. Every secret can be\n\
         given as a file: `PROXY_JWT_SECRET_FILE=/run/secrets/jwt`. Lists are separated by commas in variables. Durations are\n\
         written `10s`, `1h30m`, `500ms`. In YAML texts `${NAME}`, `${NAME|default}` and `${NAME|?message}` are replaced.\n\n\
         A change takes effect at a reload (`SIGHUP`, or a changed file) for the next request (`live`), at a reload with every\n\
         session set up anew at its next use (`new sessions`), or at the next start (`restart`).\n\n\
         `davgate config check` reports every mistake, `davgate config print` shows each value and where it came from.\n\n\
         ## Before files are read\n\n\
         | Variable | Default | Purpose |\n|---|---|---|\n",
    );
    for (name, default, purpose) in BOOT_VARIABLES {
        let _ = writeln!(out, "| `{name}` | {default} | {purpose} |");
    }
    for section in SECTIONS {
        let _ = writeln!(
            out,
            "\n## {}\n\n| Key | Variables, weakest first | Kind | Default | Change | Purpose |\n|---|---|---|---|---|---|",
            section.title
        );
        for setting in section.settings {
            let variables: Vec<String> = setting
                .names
                .iter()
                .map(|name| format!("`{name}`"))
                .collect();
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {} | {} | {}{} |",
                setting.key,
                variables.join(" "),
                setting.kind.label(),
                markdown_default(setting),
                setting.effect.word(),
                setting.purpose.replace('|', "\\|"),
                remark(setting),
            );
        }
    }
    out
}

/// `proxy.yaml.example`: every key with its default; loading it changes nothing.
#[must_use]
pub(crate) fn example() -> String {
    let mut out = String::from(
        "# yaml-language-server: $schema=docs/schema/proxy.schema.json\n\
         # Every key of davgate with its default (OpenCloud's newest release). Copy what you want to change to proxy.yaml in the\n\
         # configuration folder; `davgate config check` tells every mistake. A key without a value means: the default named\n\
         # above it. Written by `davgate config env --yaml`.\n",
    );
    let mut open: Vec<String> = Vec::new();
    for group in in_groups() {
        for setting in group {
            let path: Vec<&str> = setting.key.split('.').collect();
            let (name, above) = path
                .split_last()
                .map_or(("", &[][..]), |(name, above)| (*name, above));
            let same = open.iter().zip(above).take_while(|(a, b)| a == b).count();
            open.truncate(same);
            if above.is_empty() {
                out.push('\n');
            }
            for part in &above[same..] {
                if open.is_empty() {
                    out.push('\n');
                }
                let _ = writeln!(out, "{}{part}:", "  ".repeat(open.len()));
                open.push((*part).to_owned());
            }
            let indent = "  ".repeat(open.len());
            for line in comment(setting) {
                let _ = writeln!(out, "{indent}# {line}");
            }
            let value = yaml_value(setting);
            let _ = writeln!(
                out,
                "{indent}{name}:{}{value}",
                if value.is_empty() { "" } else { " " }
            );
            for line in sample(setting.key).lines() {
                let _ = writeln!(out, "{indent}# {line}");
            }
        }
    }
    out
}

/// Settings in the order of the table, but each top-level key once.
fn in_groups() -> Vec<Vec<&'static Setting>> {
    let mut groups: Vec<(&str, Vec<&'static Setting>)> = Vec::new();
    for setting in super::table::settings() {
        let top = setting.key.split('.').next().unwrap_or_default();
        match groups.iter_mut().find(|(name, _)| *name == top) {
            Some((_, group)) => group.push(setting),
            None => groups.push((top, vec![setting])),
        }
    }
    for (_, group) in &mut groups {
        // Keys of one mapping have to stand together.
        let order: Vec<&str> = group.iter().map(|setting| parent(setting.key)).collect();
        group.sort_by_key(|setting| {
            let above = parent(setting.key);
            (
                above.split('.').count() > 1,
                order.iter().position(|other| *other == above),
            )
        });
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn parent(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(above, _)| above)
}

fn comment(setting: &Setting) -> Vec<String> {
    let mut lines = vec![format!("{}{}", setting.purpose, remark(setting))];
    let mut detail = setting.kind.label();
    let _ = write!(
        detail,
        "; default: {}",
        default_of(setting, Flavor::OpenCloud)
    );
    if let Preset::Flavor(_, ocis) = setting.preset {
        let _ = write!(
            detail,
            " (oCIS: {})",
            if ocis.is_empty() { "empty" } else { ocis }
        );
    }
    if !setting.names.is_empty() {
        let _ = write!(detail, "; {}", setting.names.join(" < "));
    }
    lines.push(detail);
    lines
}

/// The default as YAML, or nothing where writing it would not be the same as leaving it out.
fn yaml_value(setting: &Setting) -> String {
    let text = setting.preset.value(Flavor::OpenCloud, Compat::OpenCloud8);
    let written = matches!(setting.part, Part::Built) && !text.is_empty() && !text.contains('<');
    match setting.kind {
        _ if !written => String::new(),
        Kind::List | Kind::ClaimValues => {
            let items: Vec<String> = scalar::list(text).iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
        Kind::Bool | Kind::Int | Kind::Minutes | Kind::Seconds => text.to_owned(),
        _ => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    let plain = text
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-=;+".contains(c))
        && !matches!(
            text,
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "none"
        );
    if plain {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
}

/// What a structure looks like.
fn sample(key: &str) -> &'static str {
    match key {
        "policies" | "additional_policies" => {
            "  - name: default\n    routes:\n      - type: prefix              # prefix, query, regex\n        endpoint: /webdisk/\n        method: \"\"                # only this method\n        backend: http://10.0.0.7:8080   # or service: name\n        apache_vhost: false       # the backend's own host in Host\n        unprotected: false        # no authentication\n        identity: headers         # reva, headers, none\n        strip_prefix: true        # the endpoint's path, or a path\n        additional_headers: {X-Script-Name: /webdisk}\n        remote_user_header: X-Remote-User\n        skip_x_access_token: true\n        required_claims: [acr=advanced]\n        max_age: 1h\n        path_names: bytes         # strict: UTF-8 without escaped separators"
        }
        "policy_selector.claims" => {
            "  default_policy: default          # of users without the claim\n  unauthenticated_policy: default  # without a login and without the cookie\n  selector_cookie_name: opencloud-selector"
        }
        "policy_selector.regex" => {
            "  default_policy: default          # of users whom no rule matches\n  unauthenticated_policy: default  # without a login and without the cookie\n  selector_cookie_name: opencloud-selector\n  matches_policies:                # the lowest priority first\n    - {priority: 10, property: mail, match: \"@example.org$\", policy: default}"
        }
        "auth_middleware.credentials_by_user_agent" => "  mirall: bearer",
        "services" => "  graph: http://10.0.0.5:9120",
        "oidc.issuers" => {
            "  - issuer: https://idp2.example\n    audiences: [web]\n    user_oidc_claim: email\n    user_cs3_claim: mail\n    claim_by_name: never"
        }
        _ => "",
    }
}

fn remark(setting: &Setting) -> String {
    match setting.part {
        Part::Built => String::new(),
        Part::Later { .. } => " (not built yet)".to_owned(),
        Part::Detail { of } => format!(" (not built yet: {of})"),
        Part::Obsolete { why } => format!(" (no effect: {why})"),
    }
}

fn default_of(setting: &Setting, flavor: Flavor) -> String {
    match setting.preset {
        Preset::Derived(text) => text.to_owned(),
        preset => match preset.value(flavor, flavor.newest()) {
            "" => "empty".to_owned(),
            text => text.to_owned(),
        },
    }
}

fn markdown_default(setting: &Setting) -> String {
    let code = |text: &str| {
        if text.is_empty() {
            "empty".to_owned()
        } else {
            format!("`{text}`")
        }
    };
    match setting.preset {
        Preset::Empty => String::new(),
        Preset::Text(text) => code(text),
        Preset::Flavor(opencloud, ocis) => format!("{}, oCIS {}", code(opencloud), code(ocis)),
        Preset::Since(entries) => {
            let parts: Vec<String> = entries
                .iter()
                .map(|(since, text)| format!("from {} {}", since.name(), code(text)))
                .collect();
            parts.join(", ")
        }
        Preset::Derived(text) => text.replace('<', "\\<"),
    }
}
