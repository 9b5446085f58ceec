//! The samples of the pages about identity providers.

use std::fs;
use std::path::PathBuf;

/// The folder of the pages.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/identity-providers")
}

/// The environment that a page gives davgate: the block of it that names an issuer.
pub(crate) fn sample(page: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder().join(format!("{page}.md"))).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let mut blocks = blocks.map(|block| block.split("```").next().unwrap());
    let block = blocks
        .find(|block| block.contains("OC_OIDC_ISSUER="))
        .unwrap_or_else(|| panic!("{page} has no sample"));
    let pairs = block.lines().map(|line| {
        line.split_once('=')
            .unwrap_or_else(|| panic!("{page}: {line}"))
    });
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The same for a gateway in a test, whose issuer and method the test names itself.
pub(crate) fn sample_without(page: &str, names: &[&str]) -> Vec<(String, String)> {
    let mut all = sample(page);
    all.retain(|(name, _)| name != "OC_OIDC_ISSUER" && !names.contains(&name.as_str()));
    all
}
