//! Behaviours of single entries: what identifies one, what a put and a get do.

use std::future::poll_fn;
use std::task::Poll;

use crate::error::ErrorKind;
use crate::key::{Segment, StorageKey};
use crate::storage::{Storage, Value};
use crate::suite::subject::{Path, Subject, same, segments, together};
use crate::suite::{Behaviour, Outcome, behaviours};

pub(super) const ALL: &[Behaviour] = behaviours! {
    |_| true => {
        absent_key_is_none_and_no_error
        put_is_readable_at_once_and_byte_for_byte
        empty_value_differs_from_absent
        put_replaces_the_whole_old_value
        scopes_that_look_alike_share_nothing
        levels_are_part_of_identity
        regions_that_look_alike_share_nothing
        keys_that_look_alike_share_nothing
        parts_cannot_be_shifted_between_scope_region_and_key
        long_parts_are_not_cut
        path_deeper_than_any_tree_is_refused
        concurrent_puts_of_many_keys_all_arrive
        concurrent_puts_of_one_key_leave_one_of_the_values
        dropped_put_leaves_the_old_or_the_new_value
    }
    |capability| capability.largest_value().is_some() => {
        value_above_the_limit_is_refused_and_changes_nothing
    }
};

/// Texts made to be mistaken for one another.
const LOOK_ALIKES: [&str; 17] = [
    "", "a", "ab", "a/b", "a:b", "A", "a ", " a", "a\0", "\0", "a%", "a_", "a*", "1/user:2", "../a", "ä",
    "a\u{308}",
];

async fn absent_key_is_none_and_no_error(subject: &Subject) -> Outcome {
    subject.expect(&[], None).await?;
    subject.expect(&[("org", "a"), ("user", "b")], None).await?;
    subject.put(&[("org", "a"), ("user", "b")], b"1").await?;
    subject.expect(&[("org", "a")], None).await?;
    subject.expect(&[("org", "a"), ("user", "b"), ("session", "c")], None).await
}

async fn put_is_readable_at_once_and_byte_for_byte(subject: &Subject) -> Outcome {
    let all_bytes: Vec<u8> = (0..=u8::MAX).cycle().take(70_000).collect();
    let long = subject.capability().largest_value().map_or(all_bytes.len(), |most| most.min(all_bytes.len()));
    for (path, value) in [(&[][..], &all_bytes[..long]), (&[("org", "a")], &all_bytes[..long.min(7)])] {
        subject.put(path, value).await?;
        subject.expect(path, Some(value)).await?;
        subject.expect(path, Some(value)).await?;
    }
    Ok(())
}

async fn empty_value_differs_from_absent(subject: &Subject) -> Outcome {
    subject.put(&[("org", "a")], b"").await?;
    subject.expect(&[("org", "a")], Some(b"")).await?;
    subject.expect(&[("org", "b")], None).await
}

async fn put_replaces_the_whole_old_value(subject: &Subject) -> Outcome {
    for value in [&b"a long first value"[..], b"short", b"", b"again"] {
        subject.put(&[("org", "a")], value).await?;
        subject.expect(&[("org", "a")], Some(value)).await?;
    }
    Ok(())
}

async fn scopes_that_look_alike_share_nothing(subject: &Subject) -> Outcome {
    let mut paths: Vec<Vec<(&str, &str)>> = vec![vec![]];
    for id in LOOK_ALIKES {
        paths.push(vec![("org", id)]);
        paths.push(vec![("org", "a"), ("user", id)]);
    }
    paths.push(vec![("org", "1"), ("user", "2")]);
    distinct(subject, paths.iter().map(|path| (&path[..], "r", &b"k"[..]))).await
}

async fn levels_are_part_of_identity(subject: &Subject) -> Outcome {
    let paths: [Path<'_>; 6] = [
        &[("org", "a")],
        &[("user", "a")],
        &[("org", "a"), ("user", "b")],
        &[("org", "a"), ("team", "b")],
        &[("user", "a"), ("org", "b")],
        &[("or", "ga")],
    ];
    distinct(subject, paths.into_iter().map(|path| (path, "r", &b"k"[..]))).await
}

async fn regions_that_look_alike_share_nothing(subject: &Subject) -> Outcome {
    distinct(subject, LOOK_ALIKES.iter().map(|region| (&[("org", "a")][..], *region, &b"k"[..]))).await
}

async fn keys_that_look_alike_share_nothing(subject: &Subject) -> Outcome {
    let not_text: [&[u8]; 5] = [b"\xff", b"\xfe", b"\xff\xfe", b"\xc3\x28", b"\0\0"];
    let keys = LOOK_ALIKES.iter().map(|key| key.as_bytes()).chain(not_text);
    distinct(subject, keys.map(|key| (&[("org", "a")][..], "r", key))).await
}

async fn parts_cannot_be_shifted_between_scope_region_and_key(subject: &Subject) -> Outcome {
    let entries: [(Path<'_>, &str, &[u8]); 8] = [
        (&[("org", "a")], "b", b"c"),
        (&[("org", "a")], "", b"bc"),
        (&[("org", "a")], "bc", b""),
        (&[("org", "ab")], "", b"c"),
        (&[("org", "")], "ab", b"c"),
        (&[("org", "a"), ("b", "")], "", b"c"),
        (&[], "a", b"bc"),
        (&[], "orga", b"bc"),
    ];
    distinct(subject, entries.into_iter()).await
}

async fn long_parts_are_not_cut(subject: &Subject) -> Outcome {
    let base = "x".repeat(1_023);
    let (one, two) = (format!("{base}1"), format!("{base}2"));
    let paths = [[("org", one.as_str())], [("org", two.as_str())]];
    distinct(subject, paths.iter().map(|path| (&path[..], "r", &b"k"[..]))).await?;
    let long = base.repeat(4);
    let (one, two) = (format!("{long}1"), format!("{long}2"));
    distinct(subject, [&one, &two].into_iter().map(|key| (&[][..], "r", key.as_bytes()))).await
}

/// Puts a different value under each identity, then reads all of them back.
async fn distinct<'a>(
    subject: &Subject,
    entries: impl Iterator<Item = (Path<'a>, &'a str, &'a [u8])> + Clone,
) -> Outcome {
    for (n, (path, region, key)) in entries.clone().enumerate() {
        subject.expect_in(path, region, key, None).await?;
        subject.put_in(path, region, key, format!("value {n}").as_bytes()).await?;
    }
    for (n, (path, region, key)) in entries.enumerate() {
        subject.expect_in(path, region, key, Some(format!("value {n}").as_bytes())).await?;
    }
    Ok(())
}

async fn path_deeper_than_any_tree_is_refused(subject: &Subject) -> Outcome {
    let deep = [Segment::new("level", "id"); StorageKey::MAX_DEPTH + 1];
    let key = StorageKey::new(&deep, "r", b"k");
    let deepest = StorageKey::new(&deep[1..], "r", b"k");
    let storage = &subject.storage;
    storage.put(deepest, Value::from(*b"1")).await.map_err(|error| format!("deepest path: {error}"))?;
    let kinds = [
        storage.put(key, Value::from(*b"2")).await.err(),
        storage.get(key).await.err(),
        storage.remove(key).await.err(),
        storage.evict_scope(&deep).await.err(),
    ];
    for error in kinds {
        same("kind of error", error.map(|error| error.kind()), Some(ErrorKind::InvalidKey))?;
    }
    subject.expect(&[("level", "id"); StorageKey::MAX_DEPTH], Some(b"1")).await
}

async fn concurrent_puts_of_many_keys_all_arrive(subject: &Subject) -> Outcome {
    let ids: Vec<String> = (0..64).map(|n| n.to_string()).collect();
    let puts = ids.iter().map(|id| -> crate::BoxFuture<'_, Outcome> {
        Box::pin(async move { subject.put(&[("org", id)], id.as_bytes()).await })
    });
    together(puts.collect()).await.into_iter().collect::<Outcome>()?;
    for id in &ids {
        subject.expect(&[("org", id)], Some(id.as_bytes())).await?;
    }
    Ok(())
}

async fn concurrent_puts_of_one_key_leave_one_of_the_values(subject: &Subject) -> Outcome {
    let values: Vec<Vec<u8>> = (1..=16).rev().map(|n| vec![n; usize::from(n)]).collect();
    let puts = values.iter().map(|value| -> crate::BoxFuture<'_, Outcome> {
        Box::pin(async move { subject.put(&[("org", "a")], value).await })
    });
    together(puts.collect()).await.into_iter().collect::<Outcome>()?;
    match subject.get_in(&[("org", "a")], "r", b"k").await? {
        Some(found) if values.iter().any(|value| **value == *found) => Ok(()),
        None if !subject.capability().keeps() => Ok(()),
        found => Err(format!("{:?} bytes that nobody put", found.map(|found| found.len()))),
    }
}

async fn dropped_put_leaves_the_old_or_the_new_value(subject: &Subject) -> Outcome {
    subject.put(&[("org", "a")], b"old value").await?;
    let path = segments(&[("org", "a")]);
    let key = StorageKey::new(&path, "r", b"k");
    // Straight at the twin: an `async fn` around it would hide what the backend does before its first poll.
    drop((*subject.storage).put_dyn(key, Value::from(*b"never polled")));
    subject.expect(&[("org", "a")], Some(b"old value")).await?;

    let mut put = Box::pin(subject.storage.put(key, Value::from(*b"new")));
    let done = poll_fn(|context| Poll::Ready(put.as_mut().poll(context).is_ready())).await;
    drop(put);
    match subject.get_in(&[("org", "a")], "r", b"k").await?.as_deref() {
        Some(b"new") => Ok(()),
        Some(b"old value") if !done => Ok(()),
        None if !subject.capability().keeps() => Ok(()),
        found => Err(format!("value after a dropped put was {found:?}")),
    }
}

async fn value_above_the_limit_is_refused_and_changes_nothing(subject: &Subject) -> Outcome {
    let Some(most) = subject.capability().largest_value() else {
        return Ok(());
    };
    let (fits, above) = (vec![7; most], vec![8; most + 1]);
    subject.put(&[("org", "a")], &fits).await?;
    let path = segments(&[("org", "a")]);
    let refused = subject.storage.put(StorageKey::new(&path, "r", b"k"), above.into()).await;
    same("kind of error", refused.err().map(|error| error.kind()), Some(ErrorKind::TooLarge))?;
    subject.expect(&[("org", "a")], Some(&fits)).await
}
