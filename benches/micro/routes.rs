//! What finding a route costs with 10, 100 and 1,000 routes: it must not grow with their number (docs/design/design.md 4).

use std::hint::black_box;

use davgate::door::routes::{NormalPath, Root};
use http::Method;

use super::Case;
use super::many_routes::table;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for count in [10, 100, 1_000] {
        for (name, path) in [
            ("plain", "/dav/spaces/some-space/folder/file.txt"),
            (
                "escaped",
                "/dav/spaces/storage%24space/folder/file%20one.txt",
            ),
            ("application", "/apps/application-4/page"),
            ("fallback", "/files/spaces/personal"),
        ] {
            let (table, root) = (table(count), Root::default());
            cases.push(Case::new(format!("route_{count}_{name}"), move || {
                let path = NormalPath::parse(black_box(path), None, &root).unwrap();
                let found = table.find(&Method::GET, &path);
                found.map(|found| found.settings().identity).is_ok()
            }));
        }
    }
    cases
}
