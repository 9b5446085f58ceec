//! The pages about identity providers: each says what it rests on, has a sample that davgate takes as it stands, and names
//! reasons that there are.

use std::collections::HashMap;
use std::fs;

use davgate::door::config::{Config, LoadOptions};
use regex::Regex;

use crate::support::sample::{folder, sample};

/// Names of the pages, without their ending.
fn pages() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".md").to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    names
}

fn text(page: &str) -> String {
    fs::read_to_string(folder().join(format!("{page}.md"))).unwrap()
}

#[test]
fn each_page_says_first_what_it_rests_on_and_is_named_by_the_overview() {
    let overview = fs::read_to_string(folder().with_extension("md")).unwrap();
    for page in pages() {
        let text = text(&page);
        let first = text.lines().nth(2).unwrap();
        let evidence = [
            "**Run**",
            "**Partly run**",
            "**Run by hand**",
            "**Seen by hand**",
            "**Read, not run**",
        ];
        assert!(
            evidence.iter().any(|words| first.starts_with(words)),
            "{page}: {first}"
        );
        let link = format!("(identity-providers/{page}.md)");
        assert!(overview.contains(&link), "no link to {page}");
        for heading in [
            "## 2. davgate",
            "Logout, and how fast somebody is out",
            "What goes wrong",
        ] {
            assert!(text.contains(heading), "{page}: {heading}");
        }
        for client in ["web", "desktop", "android", "ios", "rclone"] {
            assert!(text.to_lowercase().contains(client), "{page}: {client}");
        }
    }
}

#[test]
fn each_sample_is_a_configuration_without_mistakes_and_without_words_nobody_knows() {
    for page in pages() {
        let mut variables: HashMap<String, String> = sample(&page).into_iter().collect();
        // What every deployment has beside it.
        for (name, value) in [
            ("OC_MACHINE_AUTH_API_KEY", "a-machine-key"),
            ("OC_SERVICE_ACCOUNT_ID", "a-service-account"),
            ("OC_SERVICE_ACCOUNT_SECRET", "its-secret"),
            ("OC_JWT_SECRET", "a-secret-of-at-least-thirty-two-bytes"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let empty = std::env::temp_dir().join(format!("davgate-none-{}", uuid::Uuid::new_v4()));
        let options = LoadOptions {
            config_dir: Some(empty),
            ..LoadOptions::default()
        };
        let loaded =
            Config::load(&options, &variables).unwrap_or_else(|errors| panic!("{page}: {errors}"));
        for warning in &loaded.warnings {
            for word in ["unknown", "no effect", "placeholder", "not encrypted"] {
                assert!(!warning.contains(word), "{page}: {warning}");
            }
        }
    }
}

#[test]
fn each_reason_that_a_page_explains_is_one_that_there_is() {
    let known = fs::read_to_string(folder().with_file_name("troubleshooting.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z_]+)`").unwrap();
    for page in pages() {
        let text = text(&page);
        let (_, wrong) = text.split_once("What goes wrong").unwrap();
        let mut explained = 0;
        for found in row.captures_iter(wrong) {
            let heading = format!("## `{}`\n", &found[1]);
            assert!(known.contains(&heading), "{page}: {}", &found[1]);
            explained += 1;
        }
        assert!(explained > 2, "{page} explains {explained} reasons");
    }
}
