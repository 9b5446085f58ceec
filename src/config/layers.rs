//! Lays defaults, main file, `proxy.yaml` and variables over each other (docs/design/contract.md 8.1).

use serde_yaml::Value;

use super::document::Document;
use super::flavor::Boot;
use super::given::Given;
use super::lines::join;
use super::notes::{Notes, Place};
use super::scalar::scalar_text;
use super::setting::{Kind, Setting};
use super::values::{Entry, Origin, Values};
use super::vars::Vars;
use super::{scalar, suggest, table};

/// Every setting with its strongest value. What cannot be read is noted.
pub(crate) fn lay(
    boot: &Boot,
    main: Option<&Document>,
    file: Option<&Document>,
    vars: &dyn Vars,
    notes: &mut Notes,
) -> Values {
    let mut values = Values::defaults(boot, table::settings());
    if let Some(main) = main {
        for setting in table::settings() {
            if let Some(value) = setting.shared.and_then(|path| main.at(path)) {
                let place = main.place(setting.shared.unwrap_or_default());
                take(&mut values, setting, value, Origin::MainFile(place), notes);
            }
        }
        if let Some(section) = main.at("proxy") {
            let mut walk = Walk {
                document: main,
                root: "proxy",
                main: true,
            };
            walk.mapping(section, "", &mut values, notes);
        }
    }
    if let Some(file) = file {
        let mut walk = Walk {
            document: file,
            root: "",
            main: false,
        };
        walk.mapping(&file.tree, "", &mut values, notes);
    }
    for setting in table::settings() {
        from_variables(&mut values, setting, boot, vars, notes);
    }
    validate(&mut values, notes);
    values
}

/// Takes the keys of one file.
struct Walk<'a> {
    document: &'a Document,
    /// Where in the file the keys of the table begin.
    root: &'static str,
    main: bool,
}

impl Walk<'_> {
    fn mapping(&mut self, value: &Value, above: &str, values: &mut Values, notes: &mut Notes) {
        let Some(map) = value.as_mapping() else {
            if !value.is_null() {
                notes.mistake(self.place(above), "has to be a mapping of keys to values");
            }
            return;
        };
        for (name, value) in map {
            let Some(name) = scalar_text(name) else {
                notes.mistake(self.place(above), "has a key that is no text");
                continue;
            };
            self.key(&join(above, &name), value, values, notes);
        }
    }

    fn key(&mut self, key: &str, value: &Value, values: &mut Values, notes: &mut Notes) {
        let known = table::ALIASES
            .iter()
            .find(|(alias, _)| *alias == key)
            .map_or(key, |(_, key)| key);
        if let Some(setting) = table::setting(known) {
            let place = self.place(key);
            let origin = if self.main {
                Origin::MainFile(place)
            } else {
                Origin::File(place)
            };
            take(values, setting, value, origin, notes);
            return;
        }
        let below = format!("{key}.");
        if table::settings().any(|setting| setting.key.starts_with(&below)) {
            self.mapping(value, key, values, notes);
            return;
        }
        if key == "proxy" && !self.main {
            // The section of this name is opencloud.yaml's.
            notes.warn(format!(
                "{}: has no effect in proxy.yaml, where its keys stand at the top; take the line out and move them to the left",
                self.place(key)
            ));
            return;
        }
        let mut text = format!("{}: unknown key, it has no effect", self.place(key));
        if let Some(near) = suggest::nearest(key, table::settings().map(|setting| setting.key)) {
            text.push_str(&format!("; did you mean {near}?"));
        }
        notes.warn(text);
    }

    fn place(&self, key: &str) -> Place {
        let mut place = self.document.place(&join_root(self.root, key));
        place.key = key.to_owned();
        place
    }
}

fn join_root(root: &str, key: &str) -> String {
    if key.is_empty() {
        root.to_owned()
    } else {
        join(root, key)
    }
}

/// Puts a YAML value over what is there. Null means "not given".
pub(crate) fn take(
    values: &mut Values,
    setting: &'static Setting,
    value: &Value,
    origin: Origin,
    notes: &mut Notes,
) {
    let place = match &origin {
        Origin::MainFile(place) | Origin::File(place) => place.clone(),
        _ => Place::default(),
    };
    if let Some(given) = given(setting, value, place, notes) {
        values.entries.insert(
            setting.key,
            Entry {
                setting,
                given,
                origin,
            },
        );
    }
}

fn given(setting: &Setting, value: &Value, place: Place, notes: &mut Notes) -> Option<Given> {
    match (setting.kind, value) {
        (_, Value::Null) => None,
        (Kind::Tree, value) => Some(match scalar_text(value) {
            Some(text) => Given::Text(text),
            None => Given::Tree(value.clone()),
        }),
        (kind, Value::Sequence(items)) if kind.is_list() => {
            let texts: Vec<String> = items.iter().filter_map(scalar_text).collect();
            if texts.len() < items.len() {
                notes.mistake(place, "has to be a list of texts");
                return None;
            }
            if texts.iter().any(String::is_empty) {
                notes.mistake(place, "has an empty item; take it out");
                return None;
            }
            Some(Given::List(texts))
        }
        (kind, value) => match scalar_text(value) {
            Some(text) if kind.is_list() => Some(Given::List(scalar::list(&text))),
            Some(text) if kind == Kind::Bool => {
                Some(Given::Text(scalar::yaml_boolean(&text).to_owned()))
            }
            Some(text) => Some(Given::Text(text)),
            None => {
                let wanted = if kind.is_list() {
                    "a list of texts"
                } else {
                    "one value"
                };
                notes.mistake(place, format!("has to be {wanted} ({})", kind.label()));
                None
            }
        },
    }
}

fn from_variables(
    values: &mut Values,
    setting: &'static Setting,
    boot: &Boot,
    vars: &dyn Vars,
    notes: &mut Notes,
) {
    for name in setting.variables(boot.flavor) {
        let Some((text, origin)) = read_variable(setting, &name, vars, notes) else {
            continue;
        };
        // Empty clears texts and lists; for the rest it is as if the variable was not set.
        if text.is_empty() && !setting.kind.can_be_empty() {
            continue;
        }
        if text.is_empty() && NEVER_EMPTY.contains(&setting.key) {
            notes.warn(format!("{name} is empty and has no effect"));
            continue;
        }
        let given = if setting.kind.is_list() {
            Given::List(scalar::list(&text))
        } else {
            Given::Text(text)
        };
        let before = values.entries.get(setting.key).map(|entry| &entry.origin);
        if let Some(Origin::File(place)) = before.filter(|_| !name.starts_with("PROXY_")) {
            notes.warn(format!(
                "{place}: {name} is set and is stronger than the file"
            ));
        }
        values.entries.insert(
            setting.key,
            Entry {
                setting,
                given,
                origin,
            },
        );
    }
}

/// Nothing works without these, and compose files hand over variables that nobody filled in (design: "empty values never
/// stop the start").
const NEVER_EMPTY: [&str; 3] = ["idp_url", "oidc.issuer", "public_url"];

/// A variable's value, or the content of the file that its `_FILE` form names.
fn read_variable(
    setting: &Setting,
    name: &str,
    vars: &dyn Vars,
    notes: &mut Notes,
) -> Option<(String, Origin)> {
    let direct = vars.var(name);
    if !setting.is_secret() {
        return direct.map(|text| (text.trim().to_owned(), Origin::Variable(name.to_owned())));
    }
    let file_name = format!("{name}_FILE");
    let place = |name: &str| Place {
        key: setting.key.to_owned(),
        variables: vec![name.to_owned()],
        ..Place::default()
    };
    match (direct, vars.var(&file_name).filter(|path| !path.is_empty())) {
        (Some(_), Some(_)) => {
            notes.mistake(
                place(name),
                format!("and {file_name} are both set; take one of them out"),
            );
            None
        }
        (Some(text), None) => Some((text, Origin::Variable(name.to_owned()))),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                Some((text.to_owned(), Origin::SecretFile(file_name)))
            }
            Err(error) => {
                notes.mistake(
                    place(&file_name),
                    format!("names {path}, which cannot be read: {error}"),
                );
                None
            }
        },
        (None, None) => None,
    }
}

/// Holds every value that was given against its kind.
fn validate(values: &mut Values, notes: &mut Notes) {
    for setting in table::settings() {
        if !values.is_set(setting.key) {
            continue;
        }
        if values.is_shared(setting.key) && setting.kind.has_safe_default() {
            // The other services read it too and go on; stopping here would take the whole deployment's word for ours.
            if let Err(error) = values.check(setting.key) {
                let place = values.place(setting.key);
                notes.warn(format!("{place} {error}; it has no effect"));
            }
        } else {
            check(values, setting.key, notes);
        }
    }
}

/// Holds one value against its kind.
pub(crate) fn check(values: &mut Values, key: &str, notes: &mut Notes) {
    if let Err(error) = values.check(key) {
        notes.mistake(values.place(key), error);
    }
}

/// Warns of `PROXY_*` variables that nothing reads.
pub(crate) fn unknown_variables(boot: &Boot, vars: &dyn Vars, notes: &mut Notes) {
    let known = known_variables(boot);
    let mut names = vars.names();
    names.sort();
    for name in &names {
        // Other services have variables of these prefixes too, so that only a slip of one letter is taken for one.
        let shared = name.starts_with("OC_") || name.starts_with("OCIS_");
        if shared && !known.contains(name) {
            let near = known
                .iter()
                .find(|known| strsim::osa_distance(name, known) == 1 && !names.contains(known));
            if let Some(near) = near {
                notes.warn(format!("{name}: unknown variable; did you mean {near}?"));
            }
        }
    }
    for name in names {
        if !name.starts_with("PROXY_") || known.contains(&name) || of_kubernetes(&name) {
            continue;
        }
        let mut text = format!("{name}: unknown variable, it has no effect");
        if let Some(near) = suggest::nearest(&name, known.iter().map(String::as_str)) {
            text.push_str(&format!("; did you mean {near}?"));
        }
        notes.warn(text);
    }
}

/// Warns where variables of both products are set and nobody said which is meant.
pub(crate) fn mixed_variables(boot: &Boot, vars: &dyn Vars, notes: &mut Notes) {
    if vars
        .var("PROXY_FLAVOR")
        .is_some_and(|named| !named.is_empty())
    {
        return;
    }
    let known = known_variables(boot);
    let mut names = vars.names();
    names.sort();
    let first = |prefix: &str| {
        names
            .iter()
            .find(|name| name.starts_with(prefix) && known.contains(name))
    };
    if let (Some(opencloud), Some(ocis)) = (first("OC_"), first("OCIS_")) {
        notes.warn(format!(
            "variables of both products are set ({opencloud}, {ocis}), and those of {} apply; set PROXY_FLAVOR to opencloud or ocis",
            boot.flavor.name()
        ));
    }
}

/// Notes the variables of the table whose value is no text (docs/design/hardening.md 121); the value itself is never shown.
pub(crate) fn unreadable_variables(boot: &Boot, vars: &dyn Vars, notes: &mut Notes) {
    let known = known_variables(boot);
    let mut names = vars.unreadable();
    names.sort();
    names.retain(|name| known.contains(name));
    for name in names {
        let place = Place {
            variables: vec![name],
            ..Place::default()
        };
        notes.mistake(place, "has a value that is not UTF-8");
    }
}

/// Every name that is read, `_FILE` forms of secrets included.
fn known_variables(boot: &Boot) -> Vec<String> {
    let mut known: Vec<String> = table::settings()
        .flat_map(|setting| {
            let mut names = setting.variables(boot.flavor);
            if setting.is_secret() {
                names.extend(names.clone().into_iter().map(|name| format!("{name}_FILE")));
            }
            names
        })
        .collect();
    known.extend(
        table::BOOT_VARIABLES
            .iter()
            .map(|(name, ..)| (*name).to_owned()),
    );
    known
}

/// Kubernetes sets these in every pod where a service is called `proxy`.
fn of_kubernetes(name: &str) -> bool {
    name.starts_with("PROXY_PORT")
        || name.starts_with("PROXY_SERVICE_HOST")
        || name.starts_with("PROXY_SERVICE_PORT")
}
