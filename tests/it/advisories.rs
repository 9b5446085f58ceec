//! The list of advisories that stands in the repository finds what it speaks of, without the network.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::files::Folder;
use crate::support::tools::{lines, run};

/// What the check says of a Cargo.lock with these crates.
async fn checked(crates: &[(&str, &str)]) -> (bool, String) {
    let folder = Folder::new("advisories");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "tests/lint/advisories",
        "tests/data/advisories.tsv",
        "deny.toml",
    ] {
        let copy = folder.0.join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root.join(file), copy).unwrap();
    }
    let package = |(name, version): &(&str, &str)| {
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"registry+https://a\"\n"
        )
    };
    let lock: String = crates.iter().map(package).collect();
    fs::write(folder.0.join("Cargo.lock"), format!("version = 4\n{lock}")).unwrap();
    let mut command = Command::new("python3");
    command.arg(folder.0.join("tests/lint/advisories"));
    let output = run(command).await;
    (output.status.success(), lines(&output).join("\n"))
}

#[tokio::test]
async fn issue_15_30_a_crate_with_an_advisory_is_found_without_the_network() {
    let (fine, told) = checked(&[("lru", "0.18.2"), ("itoa", "1.0.0")]).await;
    assert!(fine, "{told}");
    for (name, version) in [("lru", "0.16.0"), ("abi_stable", "0.9.0"), ("h2", "0.3.0")] {
        let (fine, told) = checked(&[("itoa", "1.0.0"), (name, version)]).await;
        assert!(
            !fine && told.contains(name) && told.contains("RUSTSEC-"),
            "{told}"
        );
    }
}
