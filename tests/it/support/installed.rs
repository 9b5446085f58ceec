//! Where tests/scripts/install-test-tools puts servers that are no packages of Debian.

use std::path::{Path, PathBuf};

/// The path of one, which has to be there.
#[expect(
    clippy::disallowed_methods,
    reason = "where `make tools` puts things is no setting of the gateway"
)]
pub(crate) fn installed(name: &str) -> PathBuf {
    let cache = std::env::var_os("DAVGATE_TEST_TOOLS").map_or_else(
        || {
            let home = std::env::var_os("HOME").expect("HOME");
            Path::new(&home).join(".cache/davgate-tests")
        },
        PathBuf::from,
    );
    let path = cache.join(name);
    assert!(
        path.exists(),
        "{} is missing: run `make tools`",
        path.display()
    );
    path
}
