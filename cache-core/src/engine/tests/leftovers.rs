//! What is left when entries have gone: tables that were outgrown, and the memory of slots.

use super::support;
use crate::clock::TestClock;
use crate::engine::*;
use crate::epoch;
use crate::event::RemovalCause;
use crate::scope::ScopePath;

fn world<V: Value>() -> (Arc<Engine>, Arc<Store<u64, V>>, ScopePath) {
    let engine = support::small(&TestClock::new(), 100_000);
    let store = engine.regions().open(&engine, RegionKey::Programmatic, "things", support::options);
    let path = ScopePath::global(engine.registry().tree());
    (engine, store.expect("it is the first"), path)
}

#[test]
fn tables_that_were_outgrown_do_not_pile_up_without_maintenance() {
    let (engine, store, path) = world::<Box<u64>>();
    let before = epoch::pieces();
    for round in 0..300 {
        for key in 0..100 {
            store.insert(&engine, &path, key, Box::new(round), Write::default()).expect("a good write");
        }
        let node = path.find(engine.registry()).expect("a path").expect("it is there");
        for key in 0..100 {
            store.remove(&engine, &node, &key, RemovalCause::Removed, |_| true);
        }
    }
    assert!(epoch::pieces() - before < 100, "{} pieces wait", epoch::pieces() - before);
}

#[test]
fn region_that_was_cleared_gives_the_memory_of_plain_values_back() {
    let (engine, store, path) = world::<u64>();
    for key in 0..50_000 {
        store.insert(&engine, &path, key, 1, Write::default()).expect("a good write");
    }
    let node = path.find(engine.registry()).expect("a path").expect("it is there");
    engine.evict(&node);
    for _ in 0..4 {
        engine.maintain();
    }
    let span: usize = store.shards.iter().map(|shard| shard.lock().view().span()).sum();
    assert_eq!(span, 0, "slots that are kept");
}
