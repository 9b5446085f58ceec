//! Roles by table: claim forms, drivers, sync modes, what is never overwritten.

use crate::model::ClaimRequirement;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn claims(value: Value) -> Claims {
    Claims(value.as_object().unwrap().clone())
}

fn mapping() -> Vec<RoleMapping> {
    [
        (Role::Admin, "opencloudAdmin"),
        (Role::SpaceAdmin, "opencloudSpaceAdmin"),
        (Role::User, "opencloudUser"),
        (Role::UserLight, "opencloudGuest"),
    ]
    .map(|(role, value)| RoleMapping {
        role,
        value: value.to_owned(),
        pattern: None,
    })
    .to_vec()
}

fn oidc(claim: &str) -> RoleAssignment {
    RoleAssignment::Oidc {
        claim: claim.into(),
        mapping: mapping(),
    }
}

fn rules(assignment: &RoleAssignment, sync: RoleSync) -> RoleRules<'_> {
    RoleRules {
        assignment,
        sync,
        bootstrap_admin: None,
        writable: true,
    }
}

fn known(role: Role) -> StoredRole {
    StoredRole::Known(role)
}

fn role_for(claim: &str, value: Value) -> Option<Role> {
    rules(&oidc(claim), RoleSync::Always)
        .assign(&claims(value), None, UserType::Member)
        .ok()
        .map(|assigned| assigned.role)
}

#[test]
fn several_stored_roles_are_made_one_whatever_decides() {
    let assignment = RoleAssignment::Default;
    let rules = RoleRules {
        writable: true,
        ..rules(&assignment, RoleSync::Always)
    };
    let several = StoredRole::Several(Role::Admin);
    let assigned = rules.assign(&claims(json!({})), Some(&several), UserType::Member);
    let assigned = assigned.unwrap();
    assert_eq!((assigned.role, assigned.write), (Role::Admin, true));
    let one = StoredRole::Known(Role::Admin);
    let assigned = rules.assign(&claims(json!({})), Some(&one), UserType::Member);
    assert!(!assigned.unwrap().write);
}

#[test]
fn row_106_the_first_mapping_in_configured_order_wins_in_every_claim_form() {
    for (claim, value, expected) in [
        ("roles", json!({"roles": "opencloudUser"}), Some(Role::User)),
        (
            "roles",
            json!({"roles": "x, opencloudUser,opencloudAdmin"}),
            Some(Role::Admin),
        ),
        (
            "roles",
            json!({"roles": ["opencloudUser", "opencloudSpaceAdmin"]}),
            Some(Role::SpaceAdmin),
        ),
        (
            "roles",
            json!({"roles": ["opencloudAdmin", 1]}),
            Some(Role::Admin),
        ),
        (
            "roles",
            json!({"roles": {"opencloudUser": {"org": "x"}}}),
            Some(Role::User),
        ),
        (
            "realm_access.roles",
            json!({"realm_access": {"roles": ["opencloudUser"]}}),
            Some(Role::User),
        ),
        (
            "urn:zitadel:roles",
            json!({"urn:zitadel:roles": {"opencloudGuest": {}}}),
            Some(Role::UserLight),
        ),
        (
            "https://x.test/roles",
            json!({"https://x.test/roles": ["opencloudUser"]}),
            Some(Role::User),
        ),
        ("roles", json!({}), None),
        ("roles", json!({"roles": null}), None),
        ("roles", json!({"roles": true}), None),
        ("roles", json!({"roles": ["opencloudadmin", "admin"]}), None),
        ("realm_access.roles", json!({"realm_access": {}}), None),
        (
            "realm_access.roles.x",
            json!({"realm_access": {"roles": ["opencloudUser"]}}),
            None,
        ),
    ] {
        assert_eq!(
            role_for(claim, value.clone()),
            expected,
            "{claim} in {value}"
        );
    }
}

#[test]
fn row_106_ten_thousand_roles_are_read() {
    let mut many: Vec<String> = (0..10_000).map(|n| format!("role{n}")).collect();
    assert_eq!(role_for("roles", json!({ "roles": many.clone() })), None);
    many.push("opencloudUser".to_owned());
    assert_eq!(
        role_for("roles", json!({ "roles": many })),
        Some(Role::User)
    );
}

#[test]
fn a_refusal_names_claim_values_and_mapping_but_stays_short() {
    let many: Vec<String> = (0..1_000).map(|_| "x".repeat(1_000)).collect();
    let error = rules(&oidc("roles"), RoleSync::Always)
        .assign(
            &claims(json!({"roles": many, "sub": "s"})),
            None,
            UserType::Member,
        )
        .unwrap_err();
    let text = error.to_string();
    assert_eq!(error.reason(), Reason::NoRole);
    assert!(
        text.contains("opencloudSpaceAdmin") && text.contains("980 more") && text.contains("sub")
    );
    assert!(text.len() < 4_000, "{}", text.len());
}

#[test]
fn a_pattern_matches_the_whole_value_only() {
    let assignment = RoleAssignment::Oidc {
        claim: "roles".into(),
        mapping: vec![RoleMapping {
            role: Role::User,
            value: "team-.*".to_owned(),
            pattern: Some(regex::Regex::new("^(?:team-.*)$").unwrap()),
        }],
    };
    let assign = |value| {
        rules(&assignment, RoleSync::Always)
            .assign(&claims(json!({ "roles": value })), None, UserType::Member)
            .is_ok()
    };
    assert!(assign("team-a"));
    assert!(assign("team-.*"));
    assert!(!assign("x team-a"));
}

#[test]
fn sync_modes_differ_in_who_decides() {
    let assignment = oidc("roles");
    let claim = claims(json!({"roles": "opencloudUser"}));
    let assign = |sync, stored: Option<Role>| {
        rules(&assignment, sync)
            .assign(&claim, stored.map(known).as_ref(), UserType::Member)
            .map(|assigned| (assigned.role, assigned.write))
            .map_err(|error| error.reason())
    };
    assert_eq!(
        assign(RoleSync::Always, Some(Role::Admin)),
        Ok((Role::User, true))
    );
    assert_eq!(
        assign(RoleSync::Always, Some(Role::User)),
        Ok((Role::User, false))
    );
    assert_eq!(assign(RoleSync::Always, None), Ok((Role::User, true)));
    assert_eq!(
        assign(RoleSync::FirstLogin, Some(Role::Admin)),
        Ok((Role::Admin, false))
    );
    assert_eq!(assign(RoleSync::FirstLogin, None), Ok((Role::User, true)));
    assert_eq!(
        assign(RoleSync::Never, Some(Role::Admin)),
        Ok((Role::Admin, false))
    );
    assert_eq!(assign(RoleSync::Never, None), Err(Reason::NoRole));
}

#[test]
fn driver_default_ignores_claims_and_keeps_what_is_there() {
    let assignment = RoleAssignment::Default;
    let claim = claims(json!({"roles": "opencloudAdmin"}));
    let mut rules = rules(&assignment, RoleSync::Always);
    let assign = |rules: RoleRules<'_>, stored: Option<Role>, kind| {
        let assigned = rules
            .assign(&claim, stored.map(known).as_ref(), kind)
            .unwrap();
        (assigned.role, assigned.write)
    };
    assert_eq!(assign(rules, None, UserType::Member), (Role::User, true));
    assert_eq!(
        assign(rules, None, UserType::Guest),
        (Role::UserLight, true)
    );
    assert_eq!(
        assign(rules, Some(Role::Admin), UserType::Member),
        (Role::Admin, false)
    );
    rules.writable = false;
    assert_eq!(assign(rules, None, UserType::Member), (Role::User, false));
}

#[test]
fn foreign_data_is_never_overwritten_by_any_driver() {
    for assignment in [RoleAssignment::Default, oidc("roles")] {
        let error = rules(&assignment, RoleSync::Always)
            .assign(
                &claims(json!({"roles": "opencloudAdmin"})),
                Some(&StoredRole::Foreign("Contractor".to_owned())),
                UserType::Member,
            )
            .unwrap_err();
        assert_eq!(error.reason(), Reason::RoleAttributeForeign);
    }
}

#[test]
fn where_else_the_values_stand_is_told() {
    let miss = |claims_: Value| {
        let assignment = oidc("roles");
        let rules = rules(&assignment, RoleSync::Always);
        let error = rules.assign(&claims(claims_), None, UserType::Member);
        error.unwrap_err().to_string()
    };
    let nested = miss(json!({"realm_access": {"roles": ["x", "opencloudUser"]}}));
    assert!(
        nested.contains("PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM=realm_access.roles)"),
        "{nested}"
    );
    let dotted = miss(json!({"https://idp.example/roles": "opencloudUser"}));
    assert!(
        dotted.contains(r"PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM=https://idp\.example/roles)"),
        "{dotted}"
    );
    assert!(!miss(json!({"groups": ["x"]})).contains("such a value"));
}

#[test]
fn the_bootstrap_admin_is_admin_at_first_login_and_not_locked_out_later() {
    let assignment = oidc("roles");
    let wanted = ClaimRequirement {
        claim: "preferred_username".into(),
        value: "mara".to_owned(),
    };
    let rules = RoleRules {
        bootstrap_admin: Some(&wanted),
        ..rules(&assignment, RoleSync::Always)
    };
    let assign = |value, stored: Option<Role>| {
        rules
            .assign(&claims(value), stored.map(known).as_ref(), UserType::Member)
            .map(|assigned| assigned.role)
            .ok()
    };
    assert_eq!(
        assign(json!({"preferred_username": "mara"}), None),
        Some(Role::Admin)
    );
    assert_eq!(
        assign(
            json!({"preferred_username": "mara", "roles": "opencloudUser"}),
            None
        ),
        Some(Role::Admin)
    );
    assert_eq!(
        assign(json!({"preferred_username": "mara"}), Some(Role::Admin)),
        Some(Role::Admin)
    );
    assert_eq!(assign(json!({"preferred_username": "ines"}), None), None);
}

proptest! {
    #[test]
    fn no_claim_value_outside_the_mapping_gives_a_role(values in proptest::collection::vec("[^o].*", 0..10)) {
        prop_assert_eq!(role_for("roles", json!({ "roles": values })), None);
    }
}
