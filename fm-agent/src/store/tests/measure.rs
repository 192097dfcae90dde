//! What a million waiting requests cost. Prints figures and holds the budgets; run it by itself:
//! `cargo test --release -p fm-agent --lib store::tests::measure -- --ignored --nocapture`.

use std::fs;
use std::time::Instant;

use super::*;

const WAITING: usize = 1_000_000;
const LIST: usize = 1000;

fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn fault(number: usize, reason: &str) -> Alarm {
    let mut alarm = alarm("100.103", reason);
    alarm.entity_instance_id = format!("host=compute-{}.port=eth{}", number / 10, number % 10);
    alarm.proposed_repair_action = "Check the memory use of the host and move what is not needed.".to_owned();
    alarm
}

/// Latencies of single calls, in microseconds: median, 99th percentile, greatest.
async fn latencies(bed: &Bed, count: usize, op: impl Fn(usize) -> Op) -> (u128, u128, u128) {
    let mut taken = Vec::new();
    for number in 0..count {
        let ops = vec![op(number)];
        let started = Instant::now();
        bed.try_submit(None, ops).await.unwrap();
        taken.push(started.elapsed().as_micros());
    }
    taken.sort_unstable();
    (taken[count / 2], taken[count * 99 / 100], taken[count - 1])
}

#[tokio::test]
#[ignore = "takes minutes and wants a release build"]
async fn a_million_waiting() {
    let mut bed = Bed::delivering();
    bed.options.limits = Limits { max_bytes: 4 << 30, max_requests: 1_100_000, high_water: 1.0 };
    bed.options.durability = Durability::Power;
    bed.reopen();
    println!("empty: set {:?} µs", latencies(&bed, 1000, |n| raise(Platform, &fault(n, "hot"))).await);
    let started = Instant::now();
    for list in 1..WAITING / LIST {
        let ops = (0..LIST).map(|n| raise(Platform, &fault(list * LIST + n, "hot"))).collect();
        bed.all(ops).await;
    }
    let rate = WAITING * 1000 / usize::try_from(started.elapsed().as_millis()).unwrap();
    let bytes = bed.store().reader.bytes().unwrap();
    println!("filled at {rate}/s; {bytes} bytes, {} a request", bytes / WAITING as u64);
    println!(
        "full: new set {:?} µs",
        latencies(&bed, 1000, |n| raise(Platform, &fault(WAITING + n, "x"))).await
    );
    println!(
        "full: set again {:?} µs",
        latencies(&bed, 1000, |n| raise(Platform, &fault(n * 997, "hotter"))).await
    );

    drop(bed.store.take());
    let before = resident_mib();
    let started = Instant::now();
    bed.store = Some(Store::open(&bed.options).unwrap());
    let opened = started.elapsed();
    println!("opened in {opened:?}; resident {before} MiB before, {} MiB after", resident_mib());
    assert!(opened.as_millis() < 1000);

    // Above high water, with something to fold for each set, then with nothing.
    bed.options.limits.high_water = 0.5;
    bed.reopen();
    println!(
        "high water: set again {:?} µs",
        latencies(&bed, 1000, |n| raise(Platform, &fault(n * 499, "hottest"))).await
    );
    let list = (0..LIST).map(|n| raise(Platform, &fault(n * 491, "burning"))).collect();
    let started = Instant::now();
    bed.all(list).await;
    println!(
        "high water: list of {LIST} in {:?}; folded {}",
        started.elapsed(),
        bed.store().reader.meter().folded()
    );
    println!(
        "high water: nothing left {:?} µs",
        latencies(&bed, 1000, |n| raise(Platform, &fault(2 * WAITING + n, "x"))).await
    );
    let started = Instant::now();
    bed.one(clear_all("host=compute-77", Unknown::Deliver(Platform), &[Platform])).await;
    println!("clear-all of 10 in {:?}", started.elapsed());
    let started = Instant::now();
    let count = bed.store().reader.count_waiting(Platform).await.unwrap();
    println!("count of {} in {:?}; resident {} MiB", count.requests, started.elapsed(), resident_mib());
    assert!(resident_mib() <= 64);

    // Logs that go.
    let logs = 20;
    for _ in 0..logs {
        let ops = (0..LIST).map(|n| log(Platform, &fault(n, "log"))).collect();
        bed.all(ops).await;
    }
    println!(
        "high water: shedding {:?} µs",
        latencies(&bed, 1000, |n| raise(Platform, &fault(3 * WAITING + n, "x"))).await
    );
}
