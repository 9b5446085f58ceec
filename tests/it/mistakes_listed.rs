//! The thirty mistakes made most, each with the test that makes it for real at the default level of the log. One without a
//! test, and a test or a case that is not there any more, fail here.

use std::collections::BTreeSet;

use regex::Regex;

use crate::support::sources::captured;

const OF_SETTINGS: &str = "mistakes_of_settings_are_named_with_the_way_out";
const OF_FILES: &str = "files_that_do_not_belong_together_are_found_before_the_start";
const OF_USE: &str = "mistakes_in_use_leave_a_line_with_the_setting_at_the_default_level";
const OF_DIRECTORIES: &str =
    "each_mistake_with_the_directory_has_a_reason_a_setting_and_the_way_out";
const OF_TLS: &str = "plain_http_on_the_tls_port_and_a_certificate_for_another_name_are_told";

/// What somebody does wrong, the test, and its case there (empty where the test makes that mistake only).
const MISTAKES: [(&str, &str, &str); 30] = [
    (
        "public URL unlike what clients use",
        OF_USE,
        "another public URL than the one clients use",
    ),
    (
        "public URL left out",
        OF_USE,
        "a public URL that was left out",
    ),
    ("certificate for another name", OF_TLS, "another name"),
    (
        "X-Forwarded-* of who is not trusted",
        OF_USE,
        "a proxy in front that nobody told of",
    ),
    ("trust in 0.0.0.0/0", OF_SETTINGS, "trust in everybody"),
    (
        "JWT secret of somebody else",
        OF_USE,
        "another secret than the backend's",
    ),
    (
        "client id or redirect URI unlike the issuer's",
        OF_SETTINGS,
        "clients that the issuer does not know",
    ),
    ("LDAP password", OF_DIRECTORIES, "a wrong password"),
    (
        "LDAP base",
        OF_DIRECTORIES,
        "a base of users that is not there",
    ),
    ("LDAP private CA", OF_DIRECTORIES, "a private CA"),
    ("LDAP schema", OF_DIRECTORIES, "a schema that is not loaded"),
    ("LDAP rights", OF_DIRECTORIES, "no right to write"),
    ("issuer not reachable", OF_USE, "an issuer that is away"),
    (
        "hairpin DNS",
        "an_issuer_whose_public_name_leads_nowhere_from_inside_is_told_with_the_way_around",
        "",
    ),
    ("role claim nested", OF_USE, "roles in a nested claim"),
    ("backend's port", OF_USE, "a backend at another port"),
    ("route missing", OF_USE, "a route that is missing"),
    (
        "flavour",
        "backends_of_the_other_product_are_told_with_the_flavour_to_set",
        "",
    ),
    ("plain HTTP on the TLS port", OF_TLS, "plain HTTP"),
    (
        "proxy.yaml elsewhere",
        OF_SETTINGS,
        "proxy.yaml in another folder",
    ),
    (
        "typing error in OC_*",
        OF_SETTINGS,
        "a typing error in a variable of the whole deployment",
    ),
    (
        "password sent by a client",
        OF_USE,
        "a password where none is taken",
    ),
    (
        "names of Active Directory",
        OF_DIRECTORIES,
        "names of attributes that are another directory's",
    ),
    (
        "bare self in the CSP",
        OF_FILES,
        "a keyword without its quotes",
    ),
    (
        "CORS wanted",
        "a_page_of_another_origin_that_the_backend_knows_nothing_of_is_told",
        "",
    ),
    (
        "TLS key of another certificate",
        OF_FILES,
        "a key of another certificate",
    ),
    (
        "proxy: as top key",
        OF_SETTINGS,
        "the section of opencloud.yaml in proxy.yaml",
    ),
    (
        "driver default while role claims arrive",
        OF_USE,
        "role claims that nobody asked for",
    ),
    (
        "issuer changed under existing accounts",
        "another_issuer_over_the_accounts_of_a_former_one_is_told_with_both",
        "",
    ),
    (
        "opaque token where JWTs are wanted",
        OF_USE,
        "an opaque token in jwt mode",
    ),
];

/// Where the cases are.
const CASES: [&str; 2] = [
    include_str!("mistakes.rs"),
    include_str!("directory_mistakes.rs"),
];

#[test]
fn each_of_the_thirty_mistakes_is_made_by_a_test() {
    let function = r"#\[(?:tokio::)?test[^\]]*\]\s+(?:async )?fn ([a-z0-9_]+)";
    let tests = captured(&["tests/it"], &Regex::new(function).unwrap());
    let literal = Regex::new(r#""([^"\n]+)""#).unwrap();
    let cases: BTreeSet<&str> = CASES
        .iter()
        .flat_map(|text| literal.captures_iter(text))
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    for (mistake, test, case) in MISTAKES {
        assert!(tests.contains(test), "{mistake}: no test {test}");
        let is_there = case.is_empty() || cases.contains(case);
        assert!(is_there, "{mistake}: no case {case:?}");
    }
    let different: BTreeSet<_> = MISTAKES.iter().map(|one| (one.1, one.2)).collect();
    assert_eq!(different.len(), MISTAKES.len(), "one case for two mistakes");
}
