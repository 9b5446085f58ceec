//! Programs that Debian has not, or not in the release that is needed: wheels, which tests/scripts/install-test-tools puts
//! into a folder outside of the repository.

use std::path::PathBuf;

/// The program of this name among them.
#[expect(clippy::disallowed_methods, reason = "where the tools of tests are")]
pub(crate) fn wheel(name: &str) -> PathBuf {
    let folder = std::env::var("DAVGATE_TEST_TOOLS").map_or_else(
        |_| PathBuf::from(std::env::var("HOME").unwrap()).join(".cache/davgate-tests"),
        PathBuf::from,
    );
    let program = folder.join("wheels/bin").join(name);
    assert!(program.exists(), "no {name}: run `make tools`");
    program
}
