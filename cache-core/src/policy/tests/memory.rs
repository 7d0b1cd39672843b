//! What policies remember, and what that takes.

use super::super::{Adaptive, Lfu, S3Fifo, Sieve, WTinyLfu};
use super::{Bed, EvictionPolicy};

/// Fills a domain, then lets it turn over: each newcomer takes the place of a victim.
fn turned_over<P: EvictionPolicy>(policy: P, members: u32, inserts: u32) -> Bed<P> {
    let mut bed = Bed::with(policy, 0..members);
    for hash in 0..inserts {
        let slot = bed.evict().unwrap();
        bed.insert_hashed(slot, 1_000_000 + hash);
    }
    bed
}

#[test]
fn adaptive_domain_allocates_nothing_while_small_or_never_full() {
    assert_eq!(turned_over(Adaptive::default(), 15, 100).policy.bytes(), 0);
    assert_eq!(Bed::with(Adaptive::default(), 0..4_000).policy.bytes(), 0);
    assert!(turned_over(Adaptive::default(), 16, 1).policy.bytes() > 0);
}

#[test]
fn memory_per_member_is_what_the_header_says() {
    for (members, least, most) in [(16, 24, 48), (100, 24, 30), (512, 12, 14), (4_000, 6, 9)] {
        let bytes = turned_over(Adaptive::default(), members, 1).policy.bytes() / members as usize;
        assert!((least..=most).contains(&bytes), "{members}: {bytes}");
    }
}

#[test]
fn memory_follows_a_domain_that_shrinks_and_grows() {
    let mut bed = turned_over(Adaptive::default(), 4_000, 10);
    let large = bed.policy.bytes();
    (0..3_500).for_each(|_| assert!(bed.evict().is_some()));
    assert!(bed.policy.bytes() < large / 2);
    (0..3_500).for_each(|slot| {
        bed.insert(slot);
    });
    bed.victim();
    assert!(bed.policy.bytes() > large / 2);
}

/// The two ways to go, and what it means to come back soon after each.
#[test]
fn window_widens_for_the_rejected_and_narrows_for_the_evicted() {
    let mut bed = turned_over(Adaptive::default(), 400, 400);
    let before = bed.policy.share();
    for _ in 0..50 {
        // Nobody is ever hit, so all newcomers are rejected; the last one comes back.
        let slot = bed.evict().unwrap();
        let hash = bed.warmth.0[slot as usize].1.get();
        bed.insert_hashed(slot, hash);
    }
    let wide = bed.policy.share();
    assert!(wide > before + before / 10, "{before} to {wide}");
}

#[test]
fn s3_fifo_lets_a_ghost_straight_into_the_main_queue() {
    let mut bed = turned_over(S3Fifo::default(), 100, 300);
    let slot = bed.evict().unwrap();
    let hash = bed.warmth.0[slot as usize].1.get();
    bed.insert_hashed(slot, hash);
    assert_eq!(bed.orders.of(&mut bed.heads).list_of(super::SlotId(slot)), Some(1));
    let other = bed.evict().unwrap();
    bed.insert_hashed(other, 77);
    assert_eq!(bed.orders.of(&mut bed.heads).list_of(super::SlotId(other)), Some(0));
}

#[test]
fn w_tiny_lfu_keeps_what_was_seen_often_against_what_is_new() {
    let mut bed = turned_over(WTinyLfu::default(), 200, 50);
    bed.touch(&(0..200).collect::<Vec<_>>());
    bed.touch(&(0..200).collect::<Vec<_>>());
    let old = |bed: &Bed<WTinyLfu>| (0..200).filter(|slot| bed.warmth.0[*slot].1.get() < 2_000_000).count();
    for hash in 0..1_000 {
        let slot = bed.evict().unwrap();
        bed.insert_hashed(slot, 2_000_000 + hash);
    }
    assert!(old(&bed) > 150, "{} of 200", old(&bed));
}

/// A cache whose members were all hit must not walk through all of them in one call.
#[test]
fn one_question_looks_at_a_bounded_number_of_members() {
    fn cooled<P: EvictionPolicy>(policy: P) -> usize {
        let mut bed = Bed::with(policy, 0..4_000);
        let limit = bed.policy.heat_limit();
        (0..4_000).for_each(|slot| bed.warmth.0[slot].0.set(limit));
        let order = |bed: &mut Bed<P>| -> Vec<Option<super::SlotId>> {
            let order = bed.orders.of(&mut bed.heads);
            (0..4_000).map(|slot| order.prev(super::SlotId(slot))).collect()
        };
        let before = order(&mut bed);
        bed.victim();
        let moved = order(&mut bed).iter().zip(&before).filter(|(a, b)| a != b).count();
        moved + (0..4_000).filter(|slot| bed.warmth.0[*slot].0.get() < limit).count()
    }
    let looks = [
        cooled(Sieve::default()),
        cooled(S3Fifo::default()),
        cooled(Lfu::default()),
        cooled(WTinyLfu::default()),
        cooled(Adaptive::default()),
    ];
    assert!(looks.iter().all(|looks| *looks <= 140), "{looks:?}");
}
