//! What a claim has to be.

use serde_json::Value;

use super::{ClaimPath, Claims};

/// `claim=value`: holds if the claim is that string, or a list (or object keys) with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequirement {
    /// Where the claim is.
    pub claim: ClaimPath,
    /// What it has to be.
    pub value: String,
}

impl ClaimRequirement {
    /// Whether the claims meet it: the text itself, one of a list, or a key of an object. `scope` and `scp` are lists
    /// written as one string (RFC 8693 section 4.2).
    #[must_use]
    pub fn holds(&self, claims: &Claims) -> bool {
        match claims.at(&self.claim) {
            Some(Value::String(list)) if matches!(self.claim.as_str(), "scope" | "scp") => {
                list.split(' ').any(|word| word == self.value)
            }
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Bool(flag)) => self.value == if *flag { "true" } else { "false" },
            Some(Value::Number(number)) => self.value == number.to_string(),
            Some(Value::Array(list)) => list.iter().any(|one| one.as_str() == Some(&self.value)),
            Some(Value::Object(map)) => map.contains_key(&self.value),
            Some(Value::Null) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_requirement_reads_strings_lists_scopes_and_object_keys() {
        let claims = json!({
            "acr": "advanced", "amr": ["pwd", "mfa"], "orgs": {"a": {}}, "verified": true, "scope": "openid x",
            "realm_access": {"roles": ["r"]}
        });
        let claims = Claims(claims.as_object().unwrap().clone());
        let holds = |claim: &str, value: &str| {
            let requirement = ClaimRequirement {
                claim: ClaimPath::parse(claim),
                value: value.into(),
            };
            requirement.holds(&claims)
        };
        assert!(holds("acr", "advanced") && holds("amr", "mfa") && holds("orgs", "a"));
        assert!(holds("verified", "true") && holds("scope", "x"));
        assert!(holds("realm_access.roles", "r"));
        assert!(!holds("acr", "adv") && !holds("amr", "otp") && !holds("none", ""));
        assert!(!holds("scope", "openid x"));
    }
}
