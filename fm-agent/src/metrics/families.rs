//! How the families of the metrics are made, and the counters that others keep.
//!
//! Invariant: what is made here is on the list; a name that is on it already, or that is none, is an error.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::MetricsError;

/// A counter that another module keeps, one after the other, and this one shows.
#[derive(Debug)]
pub(super) struct Carried {
    counter: IntCounter,
    /// What those before have counted.
    before: AtomicU64,
}

impl Carried {
    /// Brings it up to date.
    pub(super) fn show(&self, counted: u64) {
        let now = self.before.load(Ordering::Relaxed) + counted;
        self.counter.inc_by(now.saturating_sub(self.counter.get()));
    }

    /// What was counted until now stays; the next one begins anew.
    pub(super) fn carry(&self, counted: u64) {
        self.before.fetch_add(counted, Ordering::Relaxed);
    }
}

/// Makes families and puts them on the list.
pub(super) struct Families(pub(super) Registry);

impl Families {
    pub(super) fn add<C: prometheus::core::Collector + Clone + 'static>(
        &self,
        family: C,
    ) -> Result<C, MetricsError> {
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        self.add(IntCounter::new(name, help)?)
    }

    pub(super) fn carried(&self, name: &str, help: &str) -> Result<Carried, MetricsError> {
        Ok(Carried { counter: self.counter(name, help)?, before: AtomicU64::new(0) })
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, MetricsError> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        self.add(IntGauge::new(name, help)?)
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, MetricsError> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn seconds(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, MetricsError> {
        self.add(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, MetricsError> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, MetricsError> {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }
}
