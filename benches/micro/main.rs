//! The micro-benchmarks: one list of cases, measured twice.
//!
//! `make bench` has criterion take their times. `make bench-check` has callgrind count their instructions, which a busy
//! machine does not change: with `--count` each case runs in [`counted_case`], where benches/instructions.sh tells callgrind
//! to count, and the names go to standard output in the order of the counts.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench has nobody to report to but its terminal"
)]

mod admission;
#[path = "../crowd.rs"]
mod crowd;
mod headers;
#[path = "../many_routes.rs"]
mod many_routes;
mod routes;
mod sessions;
mod tokens;

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;

/// Something that is measured again and again.
struct Case {
    name: String,
    run: Box<dyn FnMut()>,
}

impl Case {
    fn new<T>(name: impl Into<String>, mut run: impl FnMut() -> T + 'static) -> Self {
        Self {
            name: name.into(),
            run: Box::new(move || {
                black_box(run());
            }),
        }
    }
}

/// Runs of a case in one count; benches/instructions.sh divides by it.
const COUNTED_RUNS: usize = 20;

/// Counts of a case, of which the least is taken: now and then the system's allocator tidies up, which took 13,000
/// instructions of a case that has 1,600.
const COUNTS: usize = 5;

fn main() {
    let cases = [
        headers::cases(),
        routes::cases(),
        admission::cases(),
        sessions::cases(),
        tokens::cases(),
    ];
    let cases = cases.into_iter().flatten();
    if std::env::args().any(|argument| argument == "--count") {
        cases.for_each(count);
        return;
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for mut case in cases {
        criterion.bench_function(&case.name, |bencher| bencher.iter(&mut case.run));
    }
    criterion.final_summary();
}

fn count(mut case: Case) {
    // What is done only once, at the first use, does not count.
    (case.run)();
    for _ in 0..COUNTS {
        println!("{} {COUNTED_RUNS}", case.name);
        counted_case(&mut *case.run);
    }
}

/// Callgrind knows it by its name.
#[inline(never)]
fn counted_case(run: &mut dyn FnMut()) {
    for _ in 0..COUNTED_RUNS {
        run();
    }
}
