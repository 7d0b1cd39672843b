//! A reader who stays where readers are pinned, in the `Clone` of a value: memory stays bounded, and nothing old is served.

use std::sync::{Arc, Barrier};

use strata_cache::{Cache, Maintenance, Region, Scope, scope};

use crate::support::{Census, Member, Outcome, alone};

/// More writes than a shard keeps waiting for readers.
const WRITES: u64 = 6_000;

/// A counted value, whose clone may wait twice: when it begins, and until it may end.
struct Slow {
    version: u64,
    member: Member,
    gate: Option<Arc<Barrier>>,
}

impl Clone for Slow {
    fn clone(&self) -> Self {
        if let Some(gate) = &self.gate {
            gate.wait();
            gate.wait();
        }
        Self { version: self.version, member: self.member.clone(), gate: None }
    }
}

/// A cache of ten entries in which somebody reads key 0 while `write` runs, and until it has run.
fn held(write: impl FnOnce(&Cache, &Region<u64, Slow>, &Scope, &Census) -> Outcome) -> Outcome {
    let cache = Cache::builder().capacity(10).maintenance(Maintenance::Manual).build()?;
    let (region, census) = (cache.region::<u64, Slow>("slow")?, Census::default());
    let acme = cache.scope(scope!(org = "acme"))?;
    let gate = Arc::new(Barrier::new(2));
    let first = Slow { version: 0, member: census.member(), gate: Some(Arc::clone(&gate)) };
    region.set(&acme, 0, first).wait()?;
    std::thread::scope(|threads| {
        let reader =
            threads.spawn(|| region.get_now(&acme, &0).map(|found| found.map(|value| value.version)));
        gate.wait();
        let written = write(&cache, &region, &acme, &census);
        gate.wait();
        let read = reader.join().expect("no clone panics")?;
        assert_eq!(read, Some(0), "what was found stays whole");
        written
    })?;
    // The reader has left, which a write that is given up finds out for the next; then everything is as ever.
    region.set(&acme, 0, version(&census, 0)).wait()?;
    for key in 0..10 {
        region.set(&acme, key, version(&census, key + 1)).wait()?;
        assert_eq!(region.get_now(&acme, &key)?.map(|value| value.version), Some(key + 1));
    }
    cache.maintain();
    assert_eq!(census.count(), 10, "what waited for the reader is dropped");
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.inserts - stats.evicted), (10, 10));
    assert_eq!(acme.evict_by_scope().wait()?.entries, 10);
    cache.maintain();
    assert_eq!((census.count(), cache.stats().entries), (0, 0));
    drop(acme);
    assert_eq!(cache.stats().scopes, 0, "no shard holds a scope that it has no entries of");
    Ok(())
}

fn version(census: &Census, version: u64) -> Slow {
    Slow { version, member: census.member(), gate: None }
}

#[test]
fn overwrites_while_a_reader_stays_are_evicted_in_the_end_and_never_leave_the_old_value() -> Outcome {
    alone(
        "held::overwrites_while_a_reader_stays_are_evicted_in_the_end_and_never_leave_the_old_value",
        || {
            held(|cache, region, acme, census| {
                let mut dropped = 0;
                for write in 1..=WRITES {
                    region.set(acme, 0, version(census, write)).wait()?;
                    let read = region.get_now(acme, &0)?.map(|value| value.version);
                    assert!(read.is_none_or(|read| read == write), "{read:?} after {write}");
                    dropped += u64::from(read.is_none());
                    let entries = acme.preview_evict().wait()?.entries;
                    assert_eq!(entries, u64::from(read.is_some()), "after {write}");
                }
                assert!(census.count() < 4_200, "{} values at once", census.count());
                assert!(dropped > 1_000, "{dropped} of {WRITES} writes were given up");
                let stats = cache.stats();
                // The first that was given up took the old value along; each later one was an entry for no time.
                assert_eq!((stats.evicted, stats.inserts, stats.entries), (dropped, dropped, 0));
                assert_eq!(stats.replaced, WRITES - dropped);
                Ok(())
            })
        },
    )
}

#[test]
fn inserts_into_a_full_cache_while_a_reader_stays_keep_its_counts_exact() -> Outcome {
    alone("held::inserts_into_a_full_cache_while_a_reader_stays_keep_its_counts_exact", || {
        held(|cache, region, acme, census| {
            for key in 1..=WRITES {
                region.set(acme, key, version(census, key)).wait()?;
                let entries = acme.preview_evict().wait()?.entries;
                assert!((1..=10).contains(&entries), "{entries} entries");
            }
            assert!(census.count() < 4_200, "{} values at once", census.count());
            let found = (0..=WRITES)
                .filter(|key| region.contains(acme, key).wait().is_ok_and(|is| is))
                .count() as u64;
            let stats = cache.stats();
            assert_eq!((stats.inserts, stats.entries), (WRITES + 1, found));
            assert_eq!(stats.evicted, WRITES + 1 - found);
            assert_eq!(acme.preview_evict().wait()?.entries, found);
            assert!(found < 10, "the last was given up, and whom it displaced is gone");
            Ok(())
        })
    })
}
