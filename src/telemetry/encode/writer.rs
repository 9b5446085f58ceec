//! Whole families in the text form; an empty one is left out.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::telemetry::families::{Family, Kind};
use crate::telemetry::histogram::Snapshot;

/// Writes families one after the other.
pub(super) struct Writer<'a>(pub(super) DescriptorEncoder<'a>);

type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// The family's labels with these values.
fn labels<'a, const N: usize>(family: &Family, values: [&'a str; N]) -> Labels<'a, N> {
    let mut names = family.labels.iter().copied();
    values.map(|value| (names.next().unwrap_or_default(), value))
}

impl Writer<'_> {
    /// Counters, each with the values of its labels.
    pub(super) fn counters<'a, const N: usize>(
        &mut self,
        family: Family,
        values: impl IntoIterator<Item = ([&'a str; N], u64)>,
    ) -> fmt::Result {
        let values = values.into_iter();
        self.family(family, values, |encoder, labels, value| {
            if labels.is_empty() {
                return encoder.encode_counter::<NoLabelSet, _, u64>(&value, None);
            }
            let mut one = encoder.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// The only counter of its family.
    pub(super) fn counter(&mut self, family: Family, value: u64) -> fmt::Result {
        self.counters(family, [([], value)])
    }

    /// The only counter of its family, of fractions.
    pub(super) fn seconds(&mut self, family: Family, value: f64) -> fmt::Result {
        self.family(family, std::iter::once(([], value)), |encoder, _, value| {
            encoder.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }

    /// Gauges, each with the values of its labels.
    pub(super) fn gauges<'a, const N: usize>(
        &mut self,
        family: Family,
        values: impl IntoIterator<Item = ([&'a str; N], i64)>,
    ) -> fmt::Result {
        let values = values.into_iter();
        self.family(family, values, |encoder, labels, value| {
            if labels.is_empty() {
                return encoder.encode_gauge(&value);
            }
            encoder.encode_family(&labels)?.encode_gauge(&value)
        })
    }

    /// The only gauge of its family.
    pub(super) fn gauge(&mut self, family: Family, value: i64) -> fmt::Result {
        self.gauges(family, [([], value)])
    }

    /// The only gauge of its family, where it is known.
    pub(super) fn known(&mut self, family: Family, value: Option<u64>) -> fmt::Result {
        self.gauges(family, value.map(|value| ([], signed(value))))
    }

    /// Histograms, each with the values of its labels.
    pub(super) fn histograms<'a, const N: usize>(
        &mut self,
        family: Family,
        values: impl IntoIterator<Item = ([&'a str; N], Snapshot)>,
    ) -> fmt::Result {
        let values = values.into_iter();
        self.family(family, values, |encoder, labels, sum| {
            let mut one = encoder.encode_family(&labels)?;
            let (seconds, count) = (sum.sum_seconds(), sum.count());
            one.encode_histogram::<NoLabelSet>(seconds, count, &sum.buckets(), None)
        })
    }

    fn family<'a, const N: usize, V>(
        &mut self,
        family: Family,
        values: impl Iterator<Item = ([&'a str; N], V)>,
        encode: impl Fn(&mut MetricEncoder<'_>, Labels<'a, N>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let kind = match family.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let mut encoder = self
            .0
            .encode_descriptor(family.name, family.help, None, kind)?;
        for (one, value) in values {
            let labels = labels(&family, one);
            encode(&mut encoder, labels, value)?;
        }
        Ok(())
    }
}

/// A count as a gauge has it.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
