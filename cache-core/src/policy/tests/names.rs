//! The choice of a policy by name.

use super::super::{Fifo, Policy, Touches};
use super::{Bed, EvictionPolicy as _};
use crate::error::ErrorKind;

#[test]
fn only_policies_that_order_by_use_want_touches() {
    for policy in Policy::BUILT_IN {
        let wanted = if matches!(policy, Policy::Lru) { Touches::Latest } else { Touches::None };
        assert_eq!(policy.build().touches(), wanted, "{policy}");
    }
}

#[test]
fn every_built_in_policy_is_read_by_the_name_it_shows() {
    for policy in Policy::BUILT_IN {
        assert_eq!(policy.name().to_uppercase().parse::<Policy>().unwrap().name(), policy.name());
    }
}

#[test]
fn policy_is_read_by_name_in_any_case() {
    for (text, name) in [
        ("lru", "lru"),
        ("LFU", "lfu"),
        ("Fifo", "fifo"),
        ("S3FIFO", "s3-fifo"),
        ("s3-fifo", "s3-fifo"),
        ("w-TinyLFU", "w-tinylfu"),
        ("wtinylfu", "w-tinylfu"),
        ("tinylfu", "w-tinylfu"),
    ] {
        assert_eq!(text.parse::<Policy>().unwrap().to_string(), name);
    }
    assert!(matches!(Policy::default(), Policy::Adaptive));
    let own = Policy::custom("mine", || Box::new(Fifo));
    assert_eq!((own.to_string(), own.clone().name()), ("mine".to_owned(), "mine"));
    assert_eq!(format!("{own:?}"), "Custom(\"mine\")");
    assert_eq!(Bed::with(own.build(), [5, 6]).drain(), [5, 6]);
}

#[test]
fn unknown_policy_is_an_error_that_lists_the_known() {
    let error = "clock-9".parse::<Policy>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let text = error.to_string();
    assert!(
        text.contains("policy: `clock-9`, known: adaptive, lru, lfu, fifo, sieve, s3-fifo, w-tinylfu"),
        "{text}"
    );
    assert!(!text.contains("did you mean"), "{text}");
    assert_eq!("".parse::<Policy>().unwrap_err().kind(), ErrorKind::InvalidConfig);
    assert!(" lru".parse::<Policy>().is_err());
}

#[test]
fn near_name_of_a_policy_is_suggested() {
    for (text, meant) in [
        ("lr", "lru"),
        ("lrru", "lru"),
        ("lxu", "lru"),
        ("slru2", "lru"),
        ("fiffo", "fifo"),
        ("s3-fif", "s3-fifo"),
        ("siev", "sieve"),
        ("adaptiv", "adaptive"),
    ] {
        let error = text.parse::<Policy>().unwrap_err().to_string();
        assert!(error.ends_with(&format!("did you mean `{meant}`?")), "{error}");
    }
}

#[test]
fn hostile_name_of_a_policy_is_shown_short_and_escaped() {
    let error = format!("\u{1b}[31m{}", "x".repeat(1 << 20)).parse::<Policy>().unwrap_err().to_string();
    assert!(error.len() < 300 && !error.contains('\u{1b}'), "{error}");
}
