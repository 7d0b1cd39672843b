use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::*;

#[test]
fn blocks_are_rounded_as_glibc_rounds() {
    for (asked, block) in [(0, 0), (1, 32), (24, 32), (25, 48), (40, 48), (41, 64), (1_000, 1_008)] {
        assert_eq!(allocated(asked), block, "{asked}");
    }
    assert!(allocated(usize::MAX) > usize::MAX / 2, "saturates");
}

#[test]
fn plain_types_own_nothing_and_compounds_what_their_parts_do() {
    assert_eq!((7_u64, 'x', true, 1.5).heap_bytes(), 0);
    assert_eq!((Duration::ZERO, "static", ()).heap_bytes(), 0);
    let text = || String::from("a text of twenty-five by.");
    assert_eq!(text().heap_bytes(), 48);
    assert_eq!((Some(text()).heap_bytes(), None::<String>.heap_bytes()), (48, 0));
    assert_eq!((Ok::<_, u8>(text()).heap_bytes(), Err::<String, _>(1_u8).heap_bytes()), (48, 0));
    assert_eq!([text(), text()].heap_bytes(), 96);
    assert_eq!((text(), 1, text()).heap_bytes(), 96);
    assert_eq!((Cow::Borrowed("abc").heap_bytes(), Cow::<str>::Owned(text()).heap_bytes()), (0, 48));
    assert_eq!(PathBuf::from(text()).heap_bytes(), 48);
}

#[test]
fn one_block_is_counted_with_its_capacity_and_what_lies_in_it() {
    assert_eq!(Vec::<u64>::new().heap_bytes(), 0);
    assert_eq!(Vec::<u64>::with_capacity(10).heap_bytes(), allocated(80));
    assert_eq!(vec![(); 9].heap_bytes(), 0);
    assert_eq!(vec![String::from("a"), String::new()].heap_bytes(), allocated(48) + 32);
    assert_eq!(VecDeque::from([1_u8; 100]).heap_bytes(), allocated(100));
    assert_eq!(Box::<str>::from("0123456789").heap_bytes(), 32);
    assert_eq!(Box::<[u8]>::from([0; 100]).heap_bytes(), allocated(100));
    assert_eq!(Box::new(7_u64).heap_bytes(), 32);
    let shared: Arc<[u8]> = Arc::from([0; 100]);
    assert_eq!([Arc::clone(&shared), shared].heap_bytes(), 2 * allocated(120), "once a handle");
    assert_eq!(Rc::<str>::from("0123456789").heap_bytes(), allocated(32));
    assert_eq!(Arc::new(String::from("a")).heap_bytes(), allocated(40) + 32);
}

/// Against tables as std makes them: their capacity tells the buckets.
#[test]
fn hash_tables_are_counted_with_their_free_buckets() {
    let table = |entries: u64| (0..entries).map(|key| (key, key)).collect::<HashMap<_, _>>().heap_bytes();
    assert_eq!(table(0), 0);
    assert_eq!(table(3), allocated(4 * 16 + 4 + 16));
    assert_eq!(table(100), allocated(128 * 16 + 128 + 16));
    assert_eq!((0..1_000_u16).collect::<HashSet<u16>>().heap_bytes(), allocated(2048 * 2 + 2048 + 16));
    let named = HashMap::from([(String::from("k"), String::from("v"))]);
    assert_eq!(named.heap_bytes(), allocated(4 * 48 + 4 + 16) + 64);
}

#[test]
fn trees_are_counted_by_nodes() {
    assert_eq!(BTreeMap::<u8, u8>::new().heap_bytes(), 0);
    let leaf = 11 * 16 + 8 + 4;
    assert_eq!(BTreeMap::from([(1_u64, 1_u64)]).heap_bytes(), allocated(leaf + 4));
    let many = (0..10_000_u64).collect::<BTreeSet<_>>().heap_bytes();
    assert!((10_000 * 8..10_000 * 24).contains(&many), "{many}");
}

#[test]
fn weight_of_an_entry_saturates() {
    struct Liar;
    impl HeapSize for Liar {
        fn heap_bytes(&self) -> usize {
            usize::MAX
        }
    }
    assert_eq!(entry_bytes(&Liar, &vec![Liar, Liar]), u64::MAX);
    assert_eq!(entry_bytes(&1_u64, &1_u64), (16 + entry_overhead::<u64, u64>()) as u64);
}
