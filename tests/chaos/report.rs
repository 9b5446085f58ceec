//! Lines of figures, for the eye while it runs and for the table at the end.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

/// One figure beside the wanted one, both as text. A figure that is missed is shown and fails nothing: it says as much
/// about the machine as about the gateway.
pub(crate) fn row(fault: &str, what: &str, figure: &str, wanted: &str, met: bool) {
    let verdict = match met {
        true => "ok",
        false if cfg!(debug_assertions) => "not judged",
        false => "missed",
    };
    write(fault, what, figure, wanted, verdict);
}

/// A line, also into the file that `CHAOS_TABLE` names.
#[expect(
    clippy::disallowed_methods,
    reason = "no setting of the gateway: the script that runs the groups collects their lines"
)]
fn write(fault: &str, what: &str, figure: &str, wanted: &str, verdict: &str) {
    let line = format!("{fault:<5} {what:<68} {wanted:>18} {figure:>14}  {verdict}");
    println!("{line}");
    if let Some(table) = std::env::var_os("CHAOS_TABLE") {
        let mut table = OpenOptions::new()
            .create(true)
            .append(true)
            .open(table)
            .unwrap();
        writeln!(table, "{line}").unwrap();
    }
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
    let verdict = if count == wanted { "ok" } else { "FAILED" };
    write(
        fault,
        what,
        &count.to_string(),
        &wanted.to_string(),
        verdict,
    );
    assert_eq!(count, wanted, "{fault}: {what}");
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// A count that may not be above another: a promise too.
#[track_caller]
pub(crate) fn no_more_than(fault: &str, what: &str, count: usize, most: usize) {
    let verdict = if count <= most { "ok" } else { "FAILED" };
    let wanted = format!("<= {most}");
    write(fault, what, &count.to_string(), &wanted, verdict);
    assert!(count <= most, "{fault}: {what}: {count}");
}

/// What is only told.
pub(crate) fn told(fault: &str, what: &str, figure: &str) {
    write(fault, what, figure, "-", "");
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
