//! Behaviours of what goes: one entry, a subtree, everything; and how much of it there was.

use crate::storage::Count;
use crate::suite::subject::{Path, Subject, same};
use crate::suite::{Behaviour, Outcome, behaviours};

pub(super) const ALL: &[Behaviour] = behaviours! {
    |_| true => {
        remove_takes_one_entry_and_leaves_its_neighbours
        removed_key_can_be_put_again
        evict_scope_takes_the_scope_and_all_below_in_every_region
        evict_scope_leaves_parents_siblings_and_look_alikes
        evict_scope_compares_levels_too
        evict_scope_of_the_root_takes_everything
        evict_scope_of_nothing_is_no_error
        evicted_scope_can_be_filled_again
        clear_takes_everything
        cleared_storage_can_be_filled_again
    }
    |capability| capability.counts() && capability.keeps() => {
        removals_count_exactly_what_went
    }
    |capability| capability.counts() => {
        removals_of_nothing_count_zero
    }
    |capability| !capability.counts() => {
        removals_are_reported_as_unknown
    }
};

/// What lies inside org `a`, several regions and depths.
const INSIDE: [Path<'static>; 4] = [
    &[("org", "a")],
    &[("org", "a"), ("user", "b")],
    &[("org", "a"), ("user", "b"), ("session", "c")],
    &[("org", "a"), ("team", "")],
];

/// What lies outside it, chosen to be mistaken for it.
const OUTSIDE: [Path<'static>; 14] = [
    &[],
    &[("org", "")],
    &[("org", "ab")],
    &[("org", "a/b")],
    &[("org", "a/user:b")],
    &[("user", "b")],
    &[("org", "A")],
    &[("org", "a\0")],
    &[("org", "a%")],
    &[("org", "b"), ("org", "a")],
    &[("org", "b"), ("user", "a")],
    &[("orga", "")],
    &[("tenant", "a")],
    &[("tenant", "a"), ("user", "b")],
];

async fn fill(subject: &Subject) -> Outcome {
    for path in INSIDE.iter().chain(&OUTSIDE) {
        for region in ["r", "a"] {
            subject.put_in(path, region, b"k", b"1").await?;
            subject.put_in(path, region, b"a", b"2").await?;
        }
    }
    Ok(())
}

/// Every entry of `fill` under these paths is there, or none is.
async fn expect_all(subject: &Subject, paths: &[Path<'_>], there: bool) -> Outcome {
    for path in paths {
        for region in ["r", "a"] {
            subject.expect_in(path, region, b"k", there.then_some(b"1")).await?;
            subject.expect_in(path, region, b"a", there.then_some(b"2")).await?;
        }
    }
    Ok(())
}

async fn remove_takes_one_entry_and_leaves_its_neighbours(subject: &Subject) -> Outcome {
    fill(subject).await?;
    subject.remove_in(INSIDE[1], "r", b"k").await?;
    subject.expect_in(INSIDE[1], "r", b"k", None).await?;
    subject.expect_in(INSIDE[1], "r", b"a", Some(b"2")).await?;
    subject.expect_in(INSIDE[1], "a", b"k", Some(b"1")).await?;
    expect_all(subject, &[INSIDE[0], INSIDE[2], INSIDE[3]], true).await?;
    expect_all(subject, &OUTSIDE, true).await
}

async fn removed_key_can_be_put_again(subject: &Subject) -> Outcome {
    for value in [&b"first"[..], b"second"] {
        subject.put(INSIDE[1], value).await?;
        subject.expect(INSIDE[1], Some(value)).await?;
        subject.remove_in(INSIDE[1], "r", b"k").await?;
        subject.expect(INSIDE[1], None).await?;
    }
    Ok(())
}

async fn evict_scope_takes_the_scope_and_all_below_in_every_region(subject: &Subject) -> Outcome {
    fill(subject).await?;
    subject.evict(INSIDE[0]).await?;
    expect_all(subject, &INSIDE, false).await
}

async fn evict_scope_leaves_parents_siblings_and_look_alikes(subject: &Subject) -> Outcome {
    fill(subject).await?;
    subject.evict(INSIDE[1]).await?;
    expect_all(subject, &INSIDE[1..3], false).await?;
    expect_all(subject, &[INSIDE[0], INSIDE[3]], true).await?;
    expect_all(subject, &OUTSIDE, true).await?;
    subject.evict(INSIDE[0]).await?;
    expect_all(subject, &OUTSIDE, true).await
}

async fn evict_scope_compares_levels_too(subject: &Subject) -> Outcome {
    fill(subject).await?;
    subject.evict(&[("team", "a")]).await?;
    subject.evict(&[("org", "a"), ("team", "b")]).await?;
    expect_all(subject, &INSIDE, true).await?;
    expect_all(subject, &OUTSIDE, true).await?;
    subject.evict(&[("tenant", "a")]).await?;
    expect_all(subject, &INSIDE, true).await?;
    expect_all(subject, &OUTSIDE[12..], false).await
}

async fn evict_scope_of_the_root_takes_everything(subject: &Subject) -> Outcome {
    fill(subject).await?;
    subject.evict(&[]).await?;
    expect_all(subject, &INSIDE, false).await?;
    expect_all(subject, &OUTSIDE, false).await
}

async fn evict_scope_of_nothing_is_no_error(subject: &Subject) -> Outcome {
    subject.evict(INSIDE[0]).await?;
    subject.put(INSIDE[0], b"1").await?;
    subject.evict(INSIDE[2]).await?;
    subject.expect(INSIDE[0], Some(b"1")).await
}

async fn evicted_scope_can_be_filled_again(subject: &Subject) -> Outcome {
    for _ in 0..2 {
        fill(subject).await?;
        expect_all(subject, &INSIDE, true).await?;
        subject.evict(INSIDE[0]).await?;
        expect_all(subject, &INSIDE, false).await?;
    }
    Ok(())
}

async fn clear_takes_everything(subject: &Subject) -> Outcome {
    fill(subject).await?;
    subject.clear().await?;
    expect_all(subject, &INSIDE, false).await?;
    expect_all(subject, &OUTSIDE, false).await
}

async fn cleared_storage_can_be_filled_again(subject: &Subject) -> Outcome {
    subject.clear().await?;
    fill(subject).await?;
    subject.clear().await?;
    fill(subject).await?;
    expect_all(subject, &INSIDE, true).await
}

async fn removals_count_exactly_what_went(subject: &Subject) -> Outcome {
    fill(subject).await?;
    fill(subject).await?;
    let (inside, outside) = (4 * INSIDE.len() as u64, 4 * OUTSIDE.len() as u64);
    same("count of a remove", subject.remove_in(INSIDE[0], "r", b"k").await?, Count::Known(1))?;
    same("count of a user", subject.evict(INSIDE[1]).await?, Count::Known(8))?;
    same("count of an org", subject.evict(INSIDE[0]).await?, Count::Known(inside - 9))?;
    same("count of a clear", subject.clear().await?, Count::Known(outside))?;
    fill(subject).await?;
    same("count of the root", subject.evict(&[]).await?, Count::Known(inside + outside))
}

async fn removals_of_nothing_count_zero(subject: &Subject) -> Outcome {
    fill(subject).await?;
    subject.clear().await?;
    same("count of a remove", subject.remove_in(INSIDE[0], "r", b"k").await?, Count::Known(0))?;
    same("count of an eviction", subject.evict(INSIDE[0]).await?, Count::Known(0))?;
    same("count of a clear", subject.clear().await?, Count::Known(0))
}

async fn removals_are_reported_as_unknown(subject: &Subject) -> Outcome {
    fill(subject).await?;
    same("count of a remove", subject.remove_in(INSIDE[0], "r", b"k").await?, Count::Unknown)?;
    same("count of an eviction", subject.evict(INSIDE[0]).await?, Count::Unknown)?;
    same("count of a clear", subject.clear().await?, Count::Unknown)
}
