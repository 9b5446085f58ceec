//! The binary; everything it does stands in the library.

use std::process::ExitCode;

/// musl's own allocator is slow with several threads, and glibc's takes twice the instructions for what a request needs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    davgate::run()
}
