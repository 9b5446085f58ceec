//! Where else the values of a role mapping stand in the claims: often in a claim of another name, or further inside.

use serde_json::Value;

use super::{matches, values};
use crate::config::accounts::RoleMapping;
use crate::model::{ClaimPath, Claims};

/// Objects within objects that are looked through.
const DEPTH: usize = 4;

/// Paths that are told.
const MOST: usize = 3;

/// The paths of claims, as a setting names them, that have a value of the mapping.
pub(super) fn paths(claims: &Claims, mapping: &[RoleMapping]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in &claims.0 {
        look(
            &name.replace('.', "\\."),
            value,
            DEPTH,
            claims,
            mapping,
            &mut found,
        );
    }
    found.truncate(MOST);
    found
}

fn look(
    path: &str,
    value: &Value,
    depth: usize,
    claims: &Claims,
    mapping: &[RoleMapping],
    found: &mut Vec<String>,
) {
    let of_path = values(claims, &ClaimPath::parse(path)).into_iter();
    let mut of_path = of_path.filter(|value| mapping.iter().any(|entry| matches(entry, value)));
    if of_path.next().is_some() {
        found.push(path.to_owned());
    }
    if let (Value::Object(map), true) = (value, depth > 0) {
        for (name, value) in map {
            let path = format!("{path}.{}", name.replace('.', "\\."));
            look(&path, value, depth - 1, claims, mapping, found);
        }
    }
}
