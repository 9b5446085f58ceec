//! A histogram of durations on atomics alone: `prometheus_client`'s own takes a mutex per observation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in seconds; the default buckets of the existing service.
pub(super) const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

const BOUNDS_NANOS: [u64; 11] = [
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Counts per bucket, and their sum. All adds are relaxed: a scrape may see half of one observation.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// One per bound, and one for everything above.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_nanos: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub(super) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NANOS
            .iter()
            .position(|bound| nanos <= *bound)
            .unwrap_or(BOUNDS_NANOS.len());
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Observations so far.
    pub(super) fn count(&self) -> u64 {
        let counts = self.buckets.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Adds this shard to a sum.
    pub(super) fn add_to(&self, total: &mut Snapshot) {
        for (sum, bucket) in total.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        total.sum_nanos += self.sum_nanos.load(Ordering::Relaxed);
    }
}

/// The sum of several shards of one histogram.
#[derive(Debug, Default, Clone)]
pub(super) struct Snapshot {
    buckets: [u64; BOUNDS.len() + 1],
    sum_nanos: u64,
}

impl Snapshot {
    /// Observations in all.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Seconds in all.
    pub(super) fn sum_seconds(&self) -> f64 {
        self.sum_nanos as f64 / 1e9
    }

    /// Upper bound and own (not cumulative) count of each bucket; the encoder adds them up.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        BOUNDS
            .into_iter()
            .chain([f64::INFINITY])
            .zip(self.buckets)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_counts_below_it_and_shards_add_up() {
        let (a, b) = (Histogram::default(), Histogram::default());
        a.observe(Duration::from_millis(5));
        a.observe(Duration::from_secs(60));
        b.observe(Duration::from_millis(6));
        let mut total = Snapshot::default();
        a.add_to(&mut total);
        b.add_to(&mut total);
        let counts: Vec<u64> = total
            .buckets()
            .into_iter()
            .map(|(_, count)| count)
            .collect();
        assert_eq!(counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(total.count(), 3);
        assert!((total.sum_seconds() - 60.011).abs() < 1e-9);
    }

    #[test]
    fn the_bounds_in_seconds_and_nanoseconds_are_the_same() {
        for (seconds, nanos) in BOUNDS.into_iter().zip(BOUNDS_NANOS) {
            assert!((seconds * 1e9 - nanos as f64).abs() < 0.5);
        }
    }
}
