//! The binary; everything it does stands in the library.

use std::process::ExitCode;

/// musl's own allocator is slow with several threads.
#[cfg(any(target_env = "musl", feature = "mimalloc"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    davgate::run()
}
