//! Keys that collide, by a bad `Hash` or by an attack: right, bounded, slower at most.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use strata_cache::{Cache, Region, scope};

type Outcome = Result<(), strata_cache::Error>;

const KEYS: u64 = 3_000;
const CAPACITY: u64 = 2_000;

/// A key whose every value has the same hash.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Same(u64);

impl Hash for Same {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[test]
fn keys_that_all_collide_are_told_apart_and_bounded() -> Outcome {
    let cache = Cache::builder().capacity(CAPACITY).build()?;
    let region: Region<Same, u64> = cache.region("colliding")?;
    let orgs = [cache.scope(scope!(org = 1))?, cache.scope(scope!(org = 2))?];
    for key in 0..KEYS {
        let scope = &orgs[(key % 2) as usize];
        region.set(scope, Same(key), key).wait()?;
        assert_eq!(region.get_now(scope, &Same(key))?, Some(key), "one's own insert");
        assert!(region.stats().entries <= CAPACITY);
    }
    let mut held = 0;
    for key in 0..KEYS {
        let (own, other) = (&orgs[(key % 2) as usize], &orgs[1 - (key % 2) as usize]);
        assert_eq!(region.get_now(other, &Same(key))?, None, "another scope's");
        if let Some(value) = region.get_now(own, &Same(key))? {
            assert_eq!(value, key);
            held += 1;
        }
    }
    assert_eq!(held, region.stats().entries);
    assert!(held >= CAPACITY / 100, "collisions may cost room, not all of it: {held}");
    // What collides is loaded, overwritten and taken out as anything else.
    let newest = KEYS - 1;
    assert!(region.remove(&orgs[1], &Same(newest)).wait()?);
    assert_eq!(region.get_now(&orgs[1], &Same(newest))?, None);
    let loaded = region.get_or_load_with(&orgs[1], &Same(newest), || Ok::<_, ()>(7)).wait();
    assert_eq!(loaded.expect("loads"), 7);
    region.set(&orgs[1], Same(newest), 8).wait()?;
    assert_eq!(region.get_now(&orgs[1], &Same(newest))?, Some(8));
    orgs[1].clear().wait()?;
    assert_eq!(region.get_now(&orgs[1], &Same(newest))?, None);
    Ok(())
}

static COMPARED: AtomicU64 = AtomicU64::new(0);

/// A key that counts comparisons.
#[derive(Debug, Clone, Eq)]
struct Counted(u64, u64);

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.fetch_add(1, Relaxed);
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0);
        hasher.write_u64(self.1);
    }
}

const FACTOR: u64 = 0x517c_c1b7_2722_0a95;

/// One step of a multiplicative hasher without a key, as compilers use them.
fn step(state: u64, word: u64) -> u64 {
    (state.rotate_left(5) ^ word).wrapping_mul(FACTOR)
}

/// Two words that all bring such a hasher, begun at zero, to the same state.
fn crafted(number: u64) -> Counted {
    Counted(number, step(0, number).rotate_left(5) ^ 0xdead_beef)
}

#[test]
fn keys_crafted_against_a_hasher_without_a_key_do_not_collide_here() -> Outcome {
    let state = |key: &Counted| step(step(0, key.0), key.1);
    assert!(
        (1..KEYS).all(|number| state(&crafted(number)) == state(&crafted(0))),
        "they collide where they should"
    );
    let cache = Cache::builder().capacity(2 * KEYS).build()?;
    let region: Region<Counted, u64> = cache.region("attacked")?;
    let scope = cache.scope(scope!(org = 1))?;
    for number in 0..KEYS {
        region.set(&scope, crafted(number), number).wait()?;
    }
    let inserting = COMPARED.swap(0, Relaxed);
    for number in 0..KEYS {
        assert_eq!(region.get_now(&scope, &crafted(number))?, Some(number));
    }
    let hitting = COMPARED.swap(0, Relaxed);
    for number in KEYS..2 * KEYS {
        assert_eq!(region.get_now(&scope, &crafted(number))?, None);
    }
    let missing = COMPARED.load(Relaxed);
    // A hit compares once; collisions of tags may add a few. Were all in one place, each would compare thousands.
    assert!(inserting <= KEYS, "{inserting} comparisons");
    assert!((KEYS..=KEYS + KEYS / 2).contains(&hitting), "{hitting} comparisons");
    assert!(missing <= KEYS, "{missing} comparisons");
    Ok(())
}
