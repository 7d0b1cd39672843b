use std::collections::HashMap;

use super::*;

/// Ids, levels, regions and keys made to be mistaken for one another: empty, separators, tags, lengths.
const PARTS: [&str; 9] = ["", "a", "ab", "a/b", "b", "\0", "\u{1}", "1/user:2", "\0\0\0\u{1}a"];

/// Every key with up to two segments over `PARTS` (a few hundred thousand would add nothing but time).
fn hostile_keys(mut each: impl FnMut(StorageKey<'_>)) {
    let segments: Vec<_> =
        ["a", "ab"].iter().flat_map(|level| PARTS.map(|id| Segment::new(level, id))).collect();
    let mut paths: Vec<Vec<Segment<'_>>> = vec![vec![]];
    paths.extend(segments.iter().map(|one| vec![*one]));
    paths.extend(segments.iter().flat_map(|one| segments.iter().map(|two| vec![*one, *two])));
    for path in &paths {
        for region in ["", "a", "\0"] {
            for key in PARTS {
                each(StorageKey::new(path, region, key.as_bytes()));
            }
        }
    }
}

#[test]
fn different_keys_have_different_bytes_and_each_reads_back() {
    let mut seen = HashMap::new();
    hostile_keys(|key| {
        let bytes = key.encode().unwrap();
        let decoded = DecodedKey::decode(&bytes).unwrap();
        assert_eq!(decoded.as_key(), key);
        assert_eq!(seen.insert(bytes, format!("{:?}{:?}", key.scope.len(), key.key)), None, "{key:?}");
    });
    assert_eq!(seen.len(), (1 + 18 + 18 * 18) * 3 * 9);
}

#[test]
fn byte_prefix_and_containment_are_the_same() {
    let ids = PARTS.map(|id| [Segment::new("a", id)]);
    let nested = PARTS.map(|id| [Segment::new("a", "a"), Segment::new("ab", id)]);
    let scopes: Vec<&[Segment<'_>]> = ids
        .iter()
        .map(|path| &path[..])
        .chain(nested.iter().map(|path| &path[..]))
        .chain([&[][..]])
        .collect();
    hostile_keys(|key| {
        let bytes = key.encode().unwrap();
        for path in &scopes {
            let prefix = StorageKey::encode_scope(path).unwrap();
            assert_eq!(bytes.starts_with(&prefix), key.is_within(path), "{key:?} in {path:?}");
        }
    });
}

#[test]
fn bytes_cut_short_or_lengthened_are_malformed() {
    let path = [Segment::new("org", "acme"), Segment::new("user", "42")];
    let whole = StorageKey::new(&path, "reports", b"2026").encode().unwrap();
    for end in 0..whole.len() {
        assert_eq!(
            DecodedKey::decode(&whole[..end]).unwrap_err().kind(),
            ErrorKind::Malformed,
            "cut at {end}"
        );
    }
    let longer = [&whole[..], b"x"].concat();
    assert_eq!(DecodedKey::decode(&longer).unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn any_changed_byte_is_malformed_or_another_key() {
    let path = [Segment::new("org", "acme"), Segment::new("user", "é")];
    let key = StorageKey::new(&path, "reports", b"2026");
    let whole = key.encode().unwrap();
    for at in 0..whole.len() {
        for change in 1..=u8::MAX {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            match DecodedKey::decode(&bytes) {
                Ok(other) => {
                    assert_ne!(other.as_key(), key);
                    assert_eq!(other.as_key().encode().unwrap(), bytes, "one form only");
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Malformed),
            }
        }
    }
}

#[test]
fn claimed_lengths_and_depths_cost_nothing() {
    let huge = [&[VERSION, SEGMENT][..], &u32::MAX.to_be_bytes(), b"org"].concat();
    assert_eq!(DecodedKey::decode(&huge).unwrap_err().kind(), ErrorKind::Malformed);

    let deep = [&[VERSION][..], &[SEGMENT, 0, 0, 0, 0, 0, 0, 0, 0].repeat(1_000_000)].concat();
    assert_eq!(DecodedKey::decode(&deep).unwrap_err().to_string(), "decode: malformed: deeper than any path");
}

#[test]
fn path_deeper_than_the_tree_is_refused_and_the_deepest_is_not() {
    let path = [Segment::new("level", "id"); StorageKey::MAX_DEPTH + 1];
    assert_eq!(StorageKey::new(&path, "r", b"").encode().unwrap_err().kind(), ErrorKind::InvalidKey);
    let deepest = StorageKey::new(&path[1..], "r", b"");
    assert_eq!(DecodedKey::decode(&deepest.encode().unwrap()).unwrap().as_key(), deepest);
}

#[test]
fn bytes_of_the_first_version_stay_readable() {
    let bytes = b"\x01\x01\0\0\0\x03org\0\0\0\x04acme\0\0\0\0\x01r\0\0\0\x01k";
    let path = [Segment::new("org", "acme")];
    assert_eq!(DecodedKey::decode(bytes).unwrap().as_key(), StorageKey::new(&path, "r", b"k"));
}
