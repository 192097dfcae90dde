//! The store without sockets: a raise, a clear, a list, a look. Process durability: the disk is measured elsewhere.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails must stop")]

mod alarms;

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use fm_agent::config::{Domain, Durability};
use fm_agent::metrics::Metrics;
use fm_agent::store::{Batch, KeepRejected, Limits, Op, Store, StoreOptions, Unknown};
use uuid::Uuid;

use alarms::alarm;

fn raise(number: usize) -> Op {
    Op::Raise { domain: Domain::Platform, alarm: Box::new(alarm(number)) }
}

fn batch(ops: Vec<Op>) -> Batch {
    Batch { token: Some(*Uuid::new_v4().as_bytes()), origin: None, ops }
}

fn store(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions {
        state_dir: directory.path().to_owned(),
        durability: Durability::Process,
        domains: [(Domain::Platform, false)].into(),
        max_events: 100,
        rejected: KeepRejected { most: 100, age: Duration::from_hours(1) },
        limits: Limits { max_bytes: 1 << 40, max_requests: 100_000_000, high_water: 1.0 },
        metrics: Arc::new(Metrics::new().unwrap()),
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let commit =
        |ops| runtime.block_on(async { store.writer.submit(batch(ops)).await.unwrap().committed().await });
    let mut next = 0;
    criterion.bench_function("raise", |bencher| {
        bencher.iter(|| {
            next += 1;
            commit(vec![raise(next)]).unwrap()
        });
    });
    criterion.bench_function("raise a list of 1000", |bencher| {
        bencher.iter(|| {
            next += 1000;
            commit((next..next + 1000).map(raise).collect()).unwrap()
        });
    });
    let key = alarm(1).key();
    criterion.bench_function("look at an alarm", |bencher| {
        bencher.iter(|| runtime.block_on(store.reader.find(key.clone())).unwrap());
    });
    criterion.bench_function("raise and clear", |bencher| {
        bencher.iter(|| {
            commit(vec![raise(1)]).unwrap();
            commit(vec![Op::Clear { key: key.clone(), unknown: Unknown::Tell }]).unwrap()
        });
    });
    runtime.block_on(store.writer.stop()).unwrap();
}

criterion_group!(benches, store);
criterion_main!(benches);
