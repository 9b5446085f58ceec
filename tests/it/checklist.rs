//! The check-list of docs/design/contract.md 11 and 13 to 19 of its addendum: where each line is tested. A line without a
//! test, and a test that is not there any more, fail here.

use regex::Regex;

use crate::support::sources::captured;

/// Line of the list, and the tests that show it.
const LINES: &[(u32, &[&str])] = &[
    // In the place of the proxy: backends by the registry and by a static table.
    (
        1,
        &[
            "nodes_are_found_and_an_orderly_stop_counts_at_once",
            "without_a_registry_the_gateway_starts_and_the_operators_addresses_count",
        ],
    ),
    // Login by the built-in provider, refresh, logout, and its event.
    (
        2,
        &[
            "the_built_in_provider_names_the_account_itself",
            "i7_lico_with_ps256_dotted_claims_and_refresh_tokens",
            "a_logout_by_session_ends_its_tokens_and_streams_and_no_others",
            "a_login_is_told_of_once_and_so_is_the_end_of_a_session",
        ],
    ),
    // A first login gets its role, a second one writes nothing.
    (
        3,
        &[
            "fifty_first_logins_at_once_make_one_account_with_one_role_and_one_home",
            "a_second_login_with_unchanged_claims_writes_nothing",
        ],
    ),
    // Bearer, basic, app passwords; both challenges.
    (
        4,
        &[
            "a_password_is_checked_once_and_its_session_serves_on",
            "an_app_passwords_identity_is_its_own_and_never_the_accounts",
            "a_wrong_password_is_401_without_a_word_of_tokens_and_guessing_is_slow",
        ],
    ),
    // Through /data, unbuffered, while backends call back.
    (
        5,
        &[
            "a_backend_stores_a_file_with_the_token_it_was_given",
            "large_bodies_arrive_whole_both_ways",
            "two_gibibytes_go_up_in_constant_memory",
        ],
    ),
    // Public links, their archives, apps opened from them.
    (
        6,
        &[
            "a_public_link_is_let_in_on_its_own_paths_with_its_own_identity",
            "a_links_password_on_its_own_path_is_the_backends_business",
            "a_link_is_named_by_a_header_or_the_query_and_on_its_own_paths_only",
        ],
    ),
    // Signed URLs.
    (
        7,
        &[
            "recorded_urls_fare_as_at_the_stock_proxy_but_where_its_fallback_fails",
            "row_111_a_url_changed_in_any_place_is_refused",
            "an_empty_or_missing_key_lets_nothing_pass",
        ],
    ),
    // The policies service says no, or nothing.
    (
        8,
        &[
            "what_the_policies_refuse_is_403_and_goes_nowhere",
            "policies_that_cannot_be_asked_have_not_said_yes",
        ],
    ),
    // REPORT on every path.
    (
        9,
        &[
            "default_routes_lead_where_the_contract_says",
            "row_58_methods_without_routes_of_their_own_use_the_others",
        ],
    ),
    // NATS and backends that restart, entries that expire.
    (
        10,
        &[
            "the_registry_may_come_after_the_gateway_and_go_and_come_again",
            "a_killed_node_fails_no_request_while_its_entry_lasts_and_its_successor_is_found",
        ],
    ),
    // What clients forge.
    (
        11,
        &[
            "row_31_no_token_passes_where_a_login_is_needed_or_another_identity_told",
            "row_48_dot_segments_are_refused",
            "the_clients_request_id_is_kept_and_a_bad_one_replaced",
            "row_58_every_method_gets_a_status_and_unknown_ones_only_dav",
        ],
    ),
    // The debug listener.
    (
        12,
        &[
            "healthz_and_readyz_answer_without_a_token_and_health_reads_them",
            "without_a_token_set_metrics_are_open_and_the_configuration_is_not_there",
        ],
    ),
    // Uploads to data servers that are told to clients, and to the old route.
    (
        13,
        &[
            "an_upload_begins_at_the_backend_and_goes_on_at_its_data_server",
            "a_token_leads_nowhere_but_to_a_data_server_and_only_if_it_is_ours",
        ],
    ),
    // Webfinger with a client for each platform.
    (14, &["a_known_platform_gets_its_client_and_scopes"]),
    // URLs that servers sign.
    (
        15,
        &[
            "a_servers_signature_is_good_for_its_address_and_method",
            "a_servers_signature_needs_an_end_a_person_and_the_one_algorithm",
        ],
    ),
    // The example for calendars.
    (16, &["the_example_for_calendars_loads_in_both_spellings"]),
    // Logout tokens with `sid`, `sub`, both; a token that was refreshed.
    (
        17,
        &[
            "a_logout_of_session_and_subject_ends_that_session_and_no_other_of_the_person",
            "a_logout_of_the_subject_ends_all_sessions_of_the_person",
            "row_94_a_logout_ends_every_token_of_the_session_seen_or_not",
        ],
    ),
    // oCIS: the second factor; the file of the content security policy.
    (
        18,
        &[
            "backends_always_hear_whether_there_was_a_second_factor",
            "a_policy_file_merges_or_replaces_as_the_release_does",
        ],
    ),
    // Lists of audiences.
    (
        19,
        &["audiences_count_in_aud_and_the_other_list_in_azp_too"],
    ),
];

#[test]
fn every_line_of_the_check_list_has_its_tests() {
    let test = Regex::new(r"#\[(?:tokio::)?test[^\]]*\]\s+(?:async )?fn ([a-z0-9_]+)").unwrap();
    let names = captured(&["src", "tests/it"], &test);
    let mut missing = Vec::new();
    for (line, tests) in LINES {
        let of_line = tests.iter().filter(|test| !names.contains(**test));
        missing.extend(of_line.map(|test| format!("line {line}: {test}")));
    }
    assert!(missing.is_empty(), "no such test: {missing:#?}");
    let lines: Vec<u32> = LINES.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, Vec::from_iter(1..=19));
}
