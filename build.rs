//! Static x86-64 binaries get faster `memcpy` and its like than musl's: see deploy/musl/memory.c.

use std::env;

const SOURCE: &str = "deploy/musl/memory.c";

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells the target by variables"
)]
fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("ENV") != "musl" || target("ARCH") != "x86_64" {
        return;
    }
    cc::Build::new()
        .file(SOURCE)
        .opt_level(2)
        .flag("-ffreestanding")
        .flag("-fno-builtin")
        .flag("-fno-tree-loop-distribute-patterns")
        // Ahead of musl's, which are then not linked at all.
        .link_lib_modifier("+whole-archive")
        .compile("davgate_memory");
}
