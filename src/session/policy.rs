//! Which policy serves a user, by claims or by properties of the account.

use std::sync::Arc;

use crate::config::selector::{PolicyMatch, Property, SelectorRule, UserSelector};
use crate::model::{Account, Claims};

/// The policy of whoever has these claims, where claims decide (docs/design/contract.md 9.1): for as long as the session lasts.
pub(super) fn policy_by_claims(selector: &UserSelector, claims: &Claims) -> Option<Arc<str>> {
    match &selector.rule {
        SelectorRule::Claims(names) => {
            let found = named_by_claim(selector, names, claims);
            Some(Arc::clone(found.unwrap_or(&selector.default_policy)))
        }
        SelectorRule::Regex(_) => None,
    }
}

/// The policy of this account, where its properties decide: judged again whenever they may have changed.
pub(super) fn policy_by_account(selector: &UserSelector, account: &Account) -> Option<Arc<str>> {
    let SelectorRule::Regex(rules) = &selector.rule else {
        return None;
    };
    let matches = |rule: &&PolicyMatch| {
        let value = match rule.property {
            Property::Mail => account.mail.as_deref().unwrap_or_default(),
            Property::Username => &account.username,
            Property::Id => &account.id,
        };
        rule.pattern.is_match(value)
    };
    let found = rules.iter().find(matches).map(|rule| &rule.policy);
    Some(Arc::clone(found.unwrap_or(&selector.default_policy)))
}

fn named_by_claim<'s>(
    selector: &'s UserSelector,
    names: &[&str],
    claims: &Claims,
) -> Option<&'s Arc<str>> {
    let wanted = names.iter().find_map(|name| claims.text(name))?;
    let known = selector.policies.iter().find(|policy| ***policy == *wanted);
    if known.is_none() {
        tracing::warn!(
            policy = wanted,
            "a claim names a policy that does not exist, the default one serves"
        );
    }
    known
}

#[cfg(test)]
mod tests {
    use regex::Regex;
    use serde_json::{Value, json};

    use super::*;

    fn selector(rule: SelectorRule) -> UserSelector {
        UserSelector {
            policies: ["old", "new"].map(Arc::from).to_vec(),
            rule,
            default_policy: "old".into(),
            unauthenticated_policy: "old".into(),
            cookie: "c".into(),
        }
    }

    fn mara() -> Account {
        Account {
            id: "4c510ada".into(),
            username: "mara".into(),
            aliases: Vec::new(),
            display_name: "Mara".into(),
            mail: Some("mara@example.org".into()),
            user_type: crate::model::UserType::Member,
            enabled: true,
            groups: Vec::new(),
            role: None,
            identities: Vec::new(),
            tenant: None,
            uid_number: None,
            gid_number: None,
        }
    }

    fn claims(claims: &Value) -> Claims {
        Claims(claims.as_object().unwrap().clone())
    }

    #[test]
    fn a_claim_names_the_policy_and_the_default_is_for_the_rest() {
        let selector = selector(SelectorRule::Claims(["own.policy", "other.policy"]));
        for (given, policy) in [
            (json!({"own.policy": "new", "other.policy": "old"}), "new"),
            (json!({"other.policy": "new"}), "new"),
            (json!({"own.policy": "no such policy"}), "old"),
            (json!({"own.policy": ["new"]}), "old"),
            (json!({"own": {"policy": "new"}}), "old"),
            (json!({}), "old"),
        ] {
            assert_eq!(
                policy_by_claims(&selector, &claims(&given)).as_deref(),
                Some(policy),
                "{given}"
            );
        }
    }

    #[test]
    fn the_first_rule_that_matches_names_the_policy() {
        let rule = |property, pattern: &str, policy: &str| PolicyMatch {
            property,
            pattern: Regex::new(pattern).unwrap(),
            policy: policy.into(),
        };
        let of = |rules: Vec<PolicyMatch>, account: &Account| {
            let selector = selector(SelectorRule::Regex(rules));
            assert_eq!(policy_by_claims(&selector, &Claims::default()), None);
            policy_by_account(&selector, account).unwrap().to_string()
        };
        for (property, pattern, policy) in [
            (Property::Mail, "@example.org$", "new"),
            (Property::Mail, "^example", "old"),
            (Property::Username, "(mara|alan)", "new"),
            (Property::Id, "^4c510ada$", "new"),
            (Property::Id, "mara", "old"),
        ] {
            assert_eq!(
                of(vec![rule(property, pattern, "new")], &mara()),
                policy,
                "{pattern}"
            );
        }
        let rules = vec![
            rule(Property::Username, "mara", "old"),
            rule(Property::Mail, ".", "new"),
        ];
        assert_eq!(of(rules.clone(), &mara()), "old");
        let other = Account {
            username: "alan".into(),
            ..mara()
        };
        assert_eq!(of(rules.clone(), &other), "new");
        assert_eq!(
            of(
                rules,
                &Account {
                    mail: None,
                    ..other
                }
            ),
            "old"
        );
    }
}
