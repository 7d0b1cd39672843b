//! Behaviours of batches: they mean what the single verbs mean, in order.

use crate::key::{Segment, StorageKey};
use crate::storage::{Storage, Value};
use crate::suite::subject::{Subject, same};
use crate::suite::{Behaviour, Outcome, behaviours};

pub(super) const ALL: &[Behaviour] = behaviours! {
    |_| true => {
        get_many_answers_each_key_in_its_place
        put_many_stores_every_entry
        put_many_of_one_key_twice_keeps_the_later
        empty_batches_do_nothing
    }
};

const SCOPES: [&[Segment<'static>]; 4] = [
    &[],
    &[Segment::new("org", "a")],
    &[Segment::new("org", "a"), Segment::new("user", "b")],
    &[Segment::new("org", "a/user:b")],
];

async fn get_many_answers_each_key_in_its_place(subject: &Subject) -> Outcome {
    subject.put(&[], b"root").await?;
    subject.put(&[("org", "a"), ("user", "b")], b"user").await?;
    let keys = [2, 1, 0, 2, 3].map(|n: usize| StorageKey::new(SCOPES[n], "r", b"k"));
    let found = subject.storage.get_many(&keys).await.map_err(|error| format!("get_many failed: {error}"))?;
    let found: Vec<_> = found.iter().map(Option::as_deref).collect();
    let mut expected: Vec<Option<&[u8]>> = vec![Some(b"user"), None, Some(b"root"), Some(b"user"), None];
    if !subject.capability().keeps() && found.len() == expected.len() {
        for (value, found) in expected.iter_mut().zip(&found) {
            *value = value.and(*found).and(*value);
        }
    }
    same("values", found, expected)
}

async fn put_many_stores_every_entry(subject: &Subject) -> Outcome {
    let entries: Vec<_> = SCOPES
        .iter()
        .enumerate()
        .map(|(n, scope)| (StorageKey::new(scope, "r", b"k"), Value::from([n as u8])))
        .collect();
    put_many(subject, &entries).await?;
    subject.expect(&[], Some(&[0])).await?;
    subject.expect(&[("org", "a")], Some(&[1])).await?;
    subject.expect(&[("org", "a"), ("user", "b")], Some(&[2])).await?;
    subject.expect(&[("org", "a/user:b")], Some(&[3])).await
}

async fn put_many_of_one_key_twice_keeps_the_later(subject: &Subject) -> Outcome {
    let key = StorageKey::new(SCOPES[1], "r", b"k");
    put_many(subject, &[(key, Value::from(*b"first")), (key, Value::from(*b"later"))]).await?;
    subject.expect(&[("org", "a")], Some(b"later")).await
}

async fn empty_batches_do_nothing(subject: &Subject) -> Outcome {
    subject.put(&[], b"root").await?;
    put_many(subject, &[]).await?;
    let found = subject.storage.get_many(&[]).await.map_err(|error| format!("get_many failed: {error}"))?;
    same("values of no keys", found, Vec::new())?;
    subject.expect(&[], Some(b"root")).await
}

async fn put_many(subject: &Subject, entries: &[(StorageKey<'_>, Value)]) -> Outcome {
    subject.storage.put_many(entries).await.map_err(|error| format!("put_many failed: {error}"))
}
