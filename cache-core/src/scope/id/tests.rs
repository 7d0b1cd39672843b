use std::collections::{BTreeMap, HashMap};

#[cfg(not(shuttle))]
use proptest::prelude::*;

use super::*;

fn text(id: impl ScopeId) -> String {
    id.id_text().into_owned().as_str().to_owned()
}

#[test]
fn ids_of_equal_text_are_one_id_whatever_their_type() {
    assert_eq!(42u64.id_text(), "42".id_text());
    assert_eq!(text(String::from("a")), "a");
    assert_eq!(text(Cow::Borrowed("a")), "a");
    assert_eq!(text(Box::<str>::from("a")), "a");
    assert_eq!(text(Arc::<str>::from("a")), "a");
    assert_eq!(text(std::num::NonZeroU8::MAX), "255");
    assert_eq!(text(-7i8), "-7");
}

#[test]
fn integers_are_written_as_display_writes_them() {
    let powers = (0..20).map(|power| 10u64.pow(power));
    for number in powers.flat_map(|power| [power - 1, power, power + 1]).chain([u64::MAX, 1_234_567_890]) {
        assert_eq!(text(number), number.to_string());
        assert_eq!(text(u128::from(number)), number.to_string());
        assert_eq!(text(-i128::from(number)), (-i128::from(number)).to_string());
    }
    assert_eq!(text(std::num::NonZeroI32::MIN), i32::MIN.to_string());
    for number in 0..20_000 {
        assert_eq!(text(number), number.to_string());
        assert_eq!(text(99_980_000 + number), (99_980_000 + number).to_string());
    }
}

/// Numbers of all lengths, one as often as the other.
#[cfg(not(shuttle))]
fn of_all_lengths() -> impl Strategy<Value = u128> {
    (0..u128::BITS, any::<u128>()).prop_map(|(shift, number)| number >> shift)
}

#[cfg(not(shuttle))]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn integers_of_every_type_are_written_as_display_writes_them(number in of_all_lengths()) {
        macro_rules! check {
            ($($integer:ident),+) => {$(
                let number = number as $integer;
                let id = number.id_text();
                let shown = number.to_string();
                prop_assert_eq!(id.as_str(), &*shown);
                // What identities are compared by, too.
                prop_assert_eq!(id.brief(), Brief::of(shown.as_bytes()));
                prop_assert_eq!(&id, &IdText::borrowed(&shown));
            )+};
        }
        check!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
        let (powers, near) = (10_u64.checked_pow(number as u32 % 20), number as u64 >> 57);
        for number in powers.into_iter().flat_map(|power| [power.wrapping_sub(near), power.wrapping_add(near)]) {
            let (id, shown) = (number.id_text(), number.to_string());
            prop_assert_eq!(id.as_str(), &*shown);
        }
    }
}

#[test]
fn longest_integers_fit_the_stack() {
    assert_eq!(text(u128::MAX), u128::MAX.to_string());
    assert_eq!(text(i128::MIN), i128::MIN.to_string());
    assert!(matches!(i128::MIN.id_text().0, Repr::Inline { .. }));
}

#[test]
fn owned_text_is_inline_up_to_forty_bytes_and_whole_beyond() {
    let is_inline = |id: &IdText<'_>| matches!(id.0, Repr::Short { .. } | Repr::Inline { .. });
    for length in [0, 1, 7, 8, 15, 16, 17, 39, 40, 41, 2000] {
        let given = "ü".repeat(length / 2) + &"x".repeat(length % 2);
        let kept = IdText::borrowed(&given).into_owned();
        assert_eq!(kept.as_str(), given);
        assert_eq!(is_inline(&kept), length <= INLINE);
        assert_eq!(kept.brief(), Brief::of(given.as_bytes()));
        let shown = IdText::display(&given);
        assert_eq!(shown.as_str(), given);
        assert_eq!(is_inline(&shown), length <= INLINE);
    }
}

#[test]
fn display_in_pieces_spills_without_losing_any() {
    let pieces = format_args!("{}-{}-{}", "a".repeat(30), "b".repeat(30), 5).to_string();
    assert_eq!(IdText::display(format_args!("{}-{}-{}", "a".repeat(30), "b".repeat(30), 5)).as_str(), pieces);
}

#[test]
fn id_that_is_empty_or_too_long_is_refused_without_being_repeated() {
    assert!(check("x".id_text(), "org", "get").is_ok());
    assert!(check("x".repeat(MAX_ID_BYTES).id_text(), "org", "get").is_ok());
    for hostile in [String::new(), "s3cret".repeat(200_000), "y".repeat(MAX_ID_BYTES + 1)] {
        let error = check(hostile.id_text(), "org", "get").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidId);
        let shown = error.to_string();
        assert!(shown.contains("level: org") && shown.contains(&hostile.len().to_string()), "{shown}");
        assert!(shown.len() < 200 && !shown.contains("s3cret") && !shown.contains("yy"), "{shown}");
    }
}

#[test]
fn bags_of_every_shape_answer_by_name() {
    fn check(bag: &(impl ScopeIds + ?Sized)) {
        assert_eq!(bag.id("org_id").map(|id| id.as_str().to_owned()).as_deref(), Some("7"));
        assert!(bag.id("org").is_none());
    }
    check(&[("org_id", 7)]);
    check([("org_id", 7)].as_slice());
    check(&vec![(String::from("org_id"), "7")]);
    check(&HashMap::from([("org_id", 7u128)]));
    check(&HashMap::from([(String::from("org_id"), "7")]));
    check(&BTreeMap::from([(String::from("org_id"), "7")]));
    check(&&[("org_id", 7)]);
    check(&Ids::new().with("org_id", "old").with("user_id", "bob").with("org_id", 7));
    check(&[("org_id", "7"), ("org_id", "8")]);
}

#[test]
fn bag_debug_shows_names_only() {
    assert_eq!(format!("{:?}", Ids::new().with("user_id", "bob")), "{\"user_id\"}");
}
