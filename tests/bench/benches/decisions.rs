//! What is decided for each alarm without any disk: which entities a filter means, and who owns an alarm.

mod alarms;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fm_agent::config::{Domain, RouteRule};
use fm_agent::route::Router;
use fm_common::entity::EntityMatch;

use alarms::alarm;

fn entities(criterion: &mut Criterion) {
    let entities: Vec<String> = (0..1000).map(|number| alarm(number).entity_instance_id).collect();
    for (name, rule) in [("component", EntityMatch::Component), ("prefix", EntityMatch::Prefix)] {
        criterion.bench_function(&format!("match 1000 entities by {name}"), |bencher| {
            bencher.iter(|| {
                entities.iter().filter(|entity| rule.covers(black_box("host=compute-1"), entity)).count()
            });
        });
    }
}

fn routing(criterion: &mut Criterion) {
    let rule = |number: usize| RouteRule {
        alarm_id: Some(format!("9{number:02}.*")),
        entity_type_id: None,
        entity_instance_id: Some("host=storage-*".to_owned()),
        domain: Domain::Openstack,
    };
    for rules in [0, 20] {
        let router = Router::new((0..rules).map(rule).collect(), Domain::ALL.into());
        let alarm = alarm(1);
        criterion.bench_function(&format!("owner of an alarm, {rules} rules"), |bencher| {
            bencher.iter(|| router.owner(black_box(&alarm)));
        });
        let key = alarm.key();
        criterion.bench_function(&format!("owner of a key, {rules} rules"), |bencher| {
            bencher.iter(|| router.owner_of_key(black_box(&key)));
        });
    }
}

criterion_group!(benches, entities, routing);
criterion_main!(benches);
