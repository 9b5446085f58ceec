//! The defects of docs/design/contract.md 10: each has a row in docs/defects.md, and every test that a row names is there.

use std::collections::BTreeSet;

use regex::Regex;

use crate::support::sources::captured;

#[test]
fn every_known_defect_has_a_row_and_its_tests() {
    let page = include_str!("../../docs/defects.md");
    let row = Regex::new(r"(?m)^\| (N?[0-9]+) \| ([^|]+) \| ([^|]+) \|$").unwrap();
    let named = Regex::new(r"`([a-z0-9_]+)`").unwrap();
    let test = Regex::new(r"#\[(?:tokio::)?test[^\]]*\]\s+(?:async )?fn ([a-z0-9_]+)").unwrap();
    let tests = captured(&["src", "tests/it"], &test);
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for cells in row.captures_iter(page) {
        found.push(cells[1].to_owned());
        let names: BTreeSet<&str> = named
            .captures_iter(&cells[3])
            .map(|name| name.extract::<1>().1[0])
            .collect();
        assert!(!names.is_empty(), "{} names no test", &cells[1]);
        let gone = names.iter().filter(|name| !tests.contains(**name));
        missing.extend(gone.map(|name| format!("{}: {name}", &cells[1])));
    }
    assert!(missing.is_empty(), "no such test: {missing:#?}");
    let numbers = (1..=52).map(|number| number.to_string());
    let further = (1..=9).map(|number| format!("N{number}"));
    let wanted: Vec<String> = numbers.chain(further).collect();
    assert_eq!(found, wanted);
}
