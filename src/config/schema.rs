//! JSON Schemas of `proxy.yaml` and `csp.yaml`, written from the table, so that an editor completes keys and underlines what
//! `config check` would refuse.

use serde_json::{Map, Value, json};

use super::build::DIRECTIVES;
use super::build::ROUTE_KEYS;
use super::setting::{Kind, Setting};
use super::table;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A text with a reference to a variable may be anything.
const REFERENCE: &str = r"\$\{";

/// The schema of `proxy.yaml`.
#[must_use]
pub(crate) fn proxy() -> Value {
    let mut properties = Map::new();
    for setting in table::settings() {
        insert(&mut properties, setting.key, of_setting(setting));
    }
    for (alias, key) in table::ALIASES {
        if let Some(setting) = table::setting(key) {
            insert(&mut properties, alias, of_setting(setting));
        }
    }
    let mut schema = mapping(properties);
    schema["$schema"] = DRAFT.into();
    schema["title"] = "proxy.yaml of davgate".into();
    schema
}

/// The schema of `csp.yaml`.
#[must_use]
pub(crate) fn csp() -> Value {
    let sources = json!({"anyOf": [
        {"type": "array", "items": {"type": ["string", "null"], "pattern": "^[^;,\\u0000-\\u001f]*$"}},
        {"type": ["string", "null"]},
    ]});
    let directives: Map<String, Value> = DIRECTIVES
        .iter()
        .map(|name| ((*name).to_owned(), sources.clone()))
        .collect();
    json!({
        "$schema": DRAFT,
        "title": "csp.yaml of davgate",
        "type": "object",
        "properties": {"directives": mapping(directives)},
        "required": ["directives"],
    })
}

/// Puts a schema at a dotted path.
fn insert(properties: &mut Map<String, Value>, key: &str, schema: Value) {
    let Some((first, rest)) = key.split_once('.') else {
        properties.insert(key.to_owned(), schema);
        return;
    };
    let below = properties
        .entry(first)
        .or_insert_with(|| mapping(Map::new()));
    if let Some(Value::Object(inner)) = below.get_mut("properties") {
        insert(inner, rest, schema);
    }
}

fn mapping(properties: Map<String, Value>) -> Value {
    json!({"type": ["object", "null"], "properties": properties, "additionalProperties": false})
}

fn of_setting(setting: &Setting) -> Value {
    let mut schema = of_kind(setting);
    schema["description"] = setting.purpose.into();
    schema
}

fn of_kind(setting: &Setting) -> Value {
    let text =
        |pattern: &str| json!({"type": "string", "pattern": format!("{pattern}|{REFERENCE}")});
    let any_of = |mut forms: Vec<Value>| {
        forms.push(json!({"type": "null"}));
        json!({"anyOf": forms})
    };
    let number = json!({"type": "integer", "minimum": 0});
    match setting.kind {
        Kind::Text | Kind::Path | Kind::Secret | Kind::Address => {
            json!({"type": ["string", "number", "boolean", "null"]})
        }
        Kind::Url => any_of(vec![text("^$|^https?://")]),
        Kind::Bool => any_of(vec![
            json!({"type": "boolean"}),
            text(
                "^([Tt]rue|TRUE|[Ff]alse|FALSE|[01tTfF]|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF|[yYnN])?$",
            ),
            json!({"enum": [0, 1]}),
        ]),
        Kind::Int | Kind::Minutes | Kind::Seconds => any_of(vec![number, text("^[0-9]*$")]),
        Kind::Duration => any_of(vec![
            number,
            text(r"^\+?([0-9.]+(ns|us|µs|μs|ms|s|m|h))*$|^[0-9]+$"),
        ]),
        Kind::Bytes => any_of(vec![number, text("^[0-9]+ *([KMG]i?B?|B)?$")]),
        Kind::Word(words) => any_of(vec![json!({"enum": words}), text("^$")]),
        Kind::List => any_of(vec![
            list(json!({"type": ["string", "number"]})),
            json!({"type": "string"}),
        ]),
        Kind::ClaimValues => any_of(vec![
            list(json!({"type": "string", "pattern": format!("=|{REFERENCE}")})),
            json!({"type": "string"}),
        ]),
        Kind::Tree => structure(setting.key),
    }
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

/// Structures of their own shape.
fn structure(key: &str) -> Value {
    match key {
        "policies" | "additional_policies" => json!({
            "type": ["array", "null"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "routes": list(route())},
                "additionalProperties": false,
            },
        }),
        "services" => json!({
            "type": ["object", "null"],
            "additionalProperties": {"anyOf": [{"type": "string"}, list(json!({"type": "string"}))]},
        }),
        _ => json!({}),
    }
}

fn route() -> Value {
    let properties: Map<String, Value> = ROUTE_KEYS
        .iter()
        .map(|key| ((*key).to_owned(), route_key(key)))
        .collect();
    json!({"type": "object", "required": ["endpoint"], "properties": properties, "additionalProperties": false})
}

fn route_key(key: &str) -> Value {
    match key {
        "type" => json!({"enum": ["prefix", "query", "regex"]}),
        "identity" => json!({"enum": ["reva", "headers", "none"]}),
        "unprotected" | "apache_vhost" | "skip_x_access_token" => json!({"type": "boolean"}),
        "endpoint" | "method" | "backend" | "service" | "remote_user_header" => {
            json!({"type": ["string", "null"]})
        }
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;
    use serde_json::Value;

    use super::*;

    /// As much of a validator as the schemas above use.
    fn faults(schema: &Value, value: &Value, path: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut fault = |text: String| found.push(format!("{path}: {text}"));
        if let Some(forms) = schema.get("anyOf").and_then(Value::as_array)
            && forms
                .iter()
                .all(|form| !faults(form, value, path).is_empty())
        {
            fault(format!("{value} is none of {}", schema["anyOf"]));
        }
        if let Some(types) = schema.get("type") {
            let name = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            let is = |wanted: &Value| wanted == name || wanted == "number" && name == "integer";
            let fits = types
                .as_array()
                .map_or_else(|| is(types), |all| all.iter().any(is));
            if !fits {
                fault(format!("{value} is no {types}"));
            }
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array)
            && !words.contains(value)
        {
            fault(format!("{value} is not in {words:?}"));
        }
        if let (Some(pattern), Some(text)) = (
            schema.get("pattern").and_then(Value::as_str),
            value.as_str(),
        ) && !Regex::new(pattern).unwrap().is_match(text)
        {
            fault(format!("{text:?} does not match {pattern}"));
        }
        if let (Some(schema), Some(items)) = (schema.get("items"), value.as_array()) {
            for (index, item) in items.iter().enumerate() {
                found.extend(faults(schema, item, &format!("{path}[{index}]")));
            }
        }
        if let Some(map) = value.as_object() {
            for required in schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                if !map.contains_key(required.as_str().unwrap()) {
                    found.push(format!("{path}: without {required}"));
                }
            }
            for (key, value) in map {
                let at = format!("{path}.{key}");
                match (&schema["properties"][key], &schema["additionalProperties"]) {
                    (Value::Null, Value::Bool(false)) => found.push(format!("{at}: unknown")),
                    (Value::Null, Value::Null) => {}
                    (Value::Null, other) => found.extend(faults(other, value, &at)),
                    (known, _) => found.extend(faults(known, value, &at)),
                }
            }
        }
        found
    }

    fn yaml(text: &str) -> Value {
        let mut tree: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
        tree.apply_merge().unwrap();
        serde_json::to_value(tree).unwrap()
    }

    fn files(folder: &str) -> Vec<(String, String)> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "yaml")
            })
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read_to_string(&path).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_schemas_take_the_example_and_every_valid_file() {
        let example = std::fs::read_to_string(
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.yaml.example"),
        );
        let mut all = files("tests/fixtures/config/valid");
        all.push(("proxy.yaml.example".to_owned(), example.unwrap()));
        for (name, text) in all {
            let schema = if name.starts_with("csp-") {
                csp()
            } else {
                proxy()
            };
            let value = yaml(&text);
            let found = if value.is_null() {
                Vec::new()
            } else {
                faults(&schema, &value, "")
            };
            assert!(found.is_empty(), "{name}: {found:#?}");
        }
    }

    #[test]
    fn the_schema_of_a_policy_takes_the_one_that_is_shipped() {
        let text = std::fs::read_to_string(
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("csp.yaml"),
        );
        assert_eq!(
            faults(&csp(), &yaml(&text.unwrap()), ""),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_an_editor_can_see_is_underlined() {
        for wrong in [
            "oidc: {isuer: x}",
            "http: {tls: perhaps}",
            "oidc: {leeway: 5x}",
            "session_cache_bytes: 12 Mb",
            "role_assignment: {driver: odic}",
            "oidc: {issuer: 'ftp://x'}",
            "policies: [{name: default, routes: [{endpoint: /, ident: none}]}]",
            "policies: [{routes: []}]",
            "workers: many",
        ] {
            assert!(!faults(&proxy(), &yaml(wrong), "").is_empty(), "{wrong}");
        }
        assert!(!faults(&csp(), &yaml("directives: {script-scr: [x]}"), "").is_empty());
    }
}
