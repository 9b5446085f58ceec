//! The last hour by minutes: requests, errors, and refusals by reason. Counters only ever rise, so a minute is the difference
//! of two looks at them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::Metrics;
use super::metrics::{METHODS, WorkerShard};
use crate::model::Reason;

/// Minutes that are kept, the one that runs not counted.
const KEPT: usize = 59;

/// What was counted at one moment, since the start.
#[derive(Debug, Clone)]
struct Totals {
    requests: u64,
    errors: u64,
    refusals: Vec<u64>,
}

/// The looks of the last hour, latest last. Clones of the metrics share none.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<VecDeque<Totals>>);

impl History {
    /// A minute is over.
    pub(crate) fn minute(&self, metrics: &Metrics) {
        let now = Totals::of(metrics);
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.push_back(now);
        // One more than minutes: the first one is where the oldest minute begins.
        while looks.len() > KEPT + 1 {
            looks.pop_front();
        }
    }

    /// The minutes as JSON, oldest first; the last one still runs.
    pub(crate) fn json(&self, metrics: &Metrics) -> Value {
        let mut looks = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if looks.len() <= KEPT {
            // Everything before the first look is of the first minute.
            looks.push_front(Totals::zero());
        }
        looks.push_back(Totals::of(metrics));
        let minutes = |of: &dyn Fn(&Totals) -> u64| -> Vec<u64> {
            let pairs = looks.iter().zip(looks.iter().skip(1));
            pairs
                .map(|(before, after)| of(after).saturating_sub(of(before)))
                .collect()
        };
        let mut refusals = Map::new();
        for (at, reason) in Reason::ALL.iter().enumerate() {
            let of_reason = minutes(&|totals| totals.refusals.get(at).copied().unwrap_or_default());
            if of_reason.iter().any(|count| *count > 0) {
                refusals.insert(reason.code().to_owned(), json!(of_reason));
            }
        }
        json!({
            "requests": minutes(&|totals| totals.requests),
            "errors": minutes(&|totals| totals.errors),
            "refusals": refusals,
        })
    }
}

impl Totals {
    fn zero() -> Self {
        Self {
            requests: 0,
            errors: 0,
            refusals: vec![0; Reason::ALL.len()],
        }
    }

    fn of(metrics: &Metrics) -> Self {
        let mut totals = Self::zero();
        for worker in &metrics.inner.workers {
            totals.add(worker);
        }
        totals
    }

    fn add(&mut self, worker: &WorkerShard) {
        use std::sync::atomic::Ordering::Relaxed;
        for method in worker.methods.iter().take(METHODS.len()) {
            self.requests += method.duration.count();
            self.errors += method.errors.load(Relaxed);
        }
        for (sum, count) in self.refusals.iter_mut().zip(&worker.refusals) {
            *sum += count.load(Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config::Flavor;

    #[test]
    fn each_minute_has_its_own_counts_for_an_hour() {
        let metrics = Metrics::new(Flavor::OpenCloud, "1", 2, Arc::default());
        let history = History::default();
        let worker = metrics.worker(1);
        let request = |status| {
            worker.request_started();
            worker.request_finished("GET", status, Duration::ZERO);
        };
        request(200);
        history.minute(&metrics);
        request(502);
        request(200);
        worker.refused(Reason::BackendUnreachable);
        let json = history.json(&metrics);
        assert_eq!(json["requests"], json!([1, 2]));
        assert_eq!(json["errors"], json!([0, 1]));
        assert_eq!(json["refusals"], json!({"backend_unreachable": [0, 1]}));
        for _ in 0..KEPT {
            history.minute(&metrics);
        }
        let json = history.json(&metrics);
        assert_eq!(json["requests"].as_array().unwrap().len(), KEPT + 1);
        assert_eq!(json["requests"][0], 2, "the hour before is forgotten");
        history.minute(&metrics);
        assert_eq!(history.json(&metrics)["refusals"], json!({}));
    }
}
