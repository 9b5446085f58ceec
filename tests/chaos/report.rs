//! Lines of figures.

use std::time::Duration;

/// One figure beside the wanted one, both as text.
pub(crate) fn row(fault: &str, what: &str, figure: &str, wanted: &str, met: bool) {
    let verdict = if met { "ok" } else { "MISSED" };
    println!("{fault:<5} {what:<66} {figure:>14}   wanted {wanted:<16} {verdict}");
}

/// A time that is to be at most another.
pub(crate) fn at_most(fault: &str, what: &str, took: Duration, wanted: Duration) {
    row(
        fault,
        what,
        &milliseconds(took),
        &format!("<= {}", milliseconds(wanted)),
        took <= wanted,
    );
}

/// A count that has to be exactly another: the promise that is kept or broken.
#[track_caller]
pub(crate) fn exactly(fault: &str, what: &str, count: usize, wanted: usize) {
    row(
        fault,
        what,
        &count.to_string(),
        &wanted.to_string(),
        count == wanted,
    );
    assert_eq!(count, wanted, "{fault}: {what}");
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The time that this part of them (0.99) stays below.
pub(crate) fn quantile(times: impl IntoIterator<Item = Duration>, part: f64) -> Duration {
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into some thousand samples"
    )]
    let index = (times.len() as f64 * part) as usize;
    times
        .get(index)
        .or(times.last())
        .copied()
        .unwrap_or_default()
}
