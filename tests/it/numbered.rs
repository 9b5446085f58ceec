//! Every fixture and trap of a provider, every fault of issuer, directory and backend, and every row of forged headers,
//! paths, bad tokens, answers, logouts and claims has a test with its number in its name: `i1_...`, `t1_...`, `l1_...`,
//! `f6_...`, `row_66_...`, `rows_99_to_103_...`.

use std::collections::BTreeSet;

use regex::Regex;

use crate::support::sources::captured;

/// What is numbered, and which numbers there are.
const NUMBERED: &[(&str, &[u32])] = &[
    ("i", &[1, 2, 4, 5, 6, 7, 9, 11]),
    ("t", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    ("l", &[1, 2, 3, 4, 5]),
    (
        "f",
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 30],
    ),
];
const ROWS: [std::ops::RangeInclusive<u32>; 2] = [31..=118, 125..=125];

#[test]
fn every_number_has_a_test() {
    let names = captured(&["src", "tests/it", "tests/chaos"], &function());
    let found = |kind: &str| -> BTreeSet<u32> {
        let numbers = names.iter().map(|name| numbers(name, kind));
        numbers.flatten().collect()
    };
    for (kind, wanted) in NUMBERED {
        let found = found(kind);
        let missing: Vec<_> = wanted.iter().filter(|n| !found.contains(n)).collect();
        assert!(missing.is_empty(), "no test is named {kind}{missing:?}");
    }
    let found = found("row");
    let missing: Vec<_> = ROWS
        .into_iter()
        .flatten()
        .filter(|row| !found.contains(row))
        .collect();
    assert!(missing.is_empty(), "no test is named row_{missing:?}");
}

/// The faults that trials from outside found, and their kinds.
const TRIALS: std::ops::RangeInclusive<u32> = 1..=30;

#[test]
fn every_kind_of_fault_that_trials_found_has_a_test() {
    let names = captured(&["src", "tests/it"], &function());
    let number = Regex::new(r"issue_15_([0-9]+)_(?:and_([0-9]+)_)?").unwrap();
    let mut found = BTreeSet::new();
    for name in &names {
        for of_name in number.captures_iter(name) {
            let numbers = of_name.iter().skip(1).flatten();
            found.extend(numbers.map(|number| number.as_str().parse::<u32>().unwrap()));
        }
    }
    let missing: Vec<_> = TRIALS.filter(|number| !found.contains(number)).collect();
    assert!(missing.is_empty(), "no test is named issue_15_{missing:?}");
}

#[test]
fn numbers_are_found_in_every_form() {
    assert_eq!(numbers("l5_rows_92_and_93_bad", "row"), [92, 93]);
    assert_eq!(numbers("rows_99_to_101_names", "row"), [99, 100, 101]);
    assert_eq!(numbers("t9_and_row_88_token", "t"), [9]);
    assert_eq!(numbers("l1_to_l3_good", "l"), [1, 2, 3]);
    assert!(numbers("a_row_of_101_things", "row").is_empty());
}

/// The numbers that the name of a test bears: `row_7`, `rows_7_to_9`, `t7`, `l1_to_l4`.
fn numbers(name: &str, kind: &str) -> Vec<u32> {
    let number = |word: &str| word.strip_prefix(kind).unwrap_or(word).parse::<u32>();
    let mut numbers = Vec::new();
    let mut words = name.split('_').peekable();
    while let Some(word) = words.next() {
        let starts = match kind {
            "row" => word == "row" || word == "rows",
            _ if word.starts_with(kind) => number(word).map(|first| numbers.push(first)).is_ok(),
            _ => false,
        };
        if !starts {
            continue;
        }
        let mut to = false;
        while let Some(word) = words.peek() {
            match (*word, number(word)) {
                ("to", _) => to = true,
                ("and", _) => {}
                (_, Ok(last)) => {
                    let first = if to {
                        numbers.last().unwrap() + 1
                    } else {
                        last
                    };
                    numbers.extend(first..=last);
                    to = false;
                }
                _ => break,
            }
            words.next();
        }
    }
    numbers
}

fn function() -> Regex {
    Regex::new(r"\bfn ([a-z0-9_]+)").unwrap()
}
