//! Times-to-live: what is read, what is refused and how, and that printing and reading agree.

use proptest::prelude::*;

use super::*;

fn read_as(text: &str, time: Duration) {
    assert_eq!(Ttl::parse(text).unwrap().duration(), Some(time), "{text}");
}

fn refused(given: impl IntoTtl) -> String {
    let error = given.into_ttl().expect_err("this is no time-to-live");
    assert_eq!(error.kind(), ErrorKind::InvalidTtl);
    error.to_string()
}

#[test]
fn text_is_seconds_or_numbers_with_units() {
    read_as("600", Duration::from_secs(600));
    read_as("007", Duration::from_secs(7));
    read_as("5m", Duration::from_secs(300));
    read_as("1h30m", Duration::from_secs(5_400));
    read_as("250ms", Duration::from_millis(250));
    read_as("1d", Duration::from_secs(86_400));
    read_as("1d2h3m4s5ms6us7ns", Duration::new(93_784, 5_006_007));
    read_as("90m", Duration::from_secs(5_400));
    read_as("0h5m", Duration::from_secs(300));
    assert_eq!("2h".parse::<Ttl>().unwrap(), "120m".into_ttl().unwrap());
}

#[test]
fn text_that_is_no_time_is_refused_with_advice() {
    for (text, advice) in [
        ("", "empty"),
        ("5x", "unknown unit; known units: d, h, m, s, ms, us, ns"),
        ("5M", "unknown unit"),
        ("5min", "unknown unit"),
        ("1h5µs", "unknown unit"),
        ("1h30", "a number without a unit stands alone"),
        ("30m1h", "large to small"),
        ("1m1m", "at most once"),
        ("1.5h", "whole number"),
        ("5 m", "whole number"),
        (" 5m", "whole number"),
        ("5m ", "whole number"),
        ("5\n", "whole number"),
        ("m", "whole number"),
        ("+5s", "whole number"),
        ("5-", "whole number"),
        ("-", "whole number"),
        ("٥s", "whole number"),
        ("Never", "`never`"),
        ("forever", "`never`"),
    ] {
        let error = refused(text);
        assert!(
            error.starts_with("ttl: invalid ttl { ttl: `") && error.contains(advice),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn zero_is_refused() {
    for text in ["0", "0s", "0h0m", "000ms"] {
        assert!(refused(text).contains("zero"), "{text}");
    }
    assert!(refused(0).contains("zero") && refused(0u64).contains("zero"));
    assert!(refused(Duration::ZERO).contains("zero"));
}

#[test]
fn negative_is_refused_and_says_so() {
    for error in [refused("-5s"), refused("-0"), refused(-1), refused(i64::MIN)] {
        assert!(error.contains("cannot be negative"), "{error}");
    }
}

#[test]
fn overlong_is_refused_and_never_clamped() {
    let most = u64::MAX - 1;
    assert_eq!(
        Ttl::try_from(Duration::from_nanos(most)).unwrap().duration(),
        Some(Duration::from_nanos(most))
    );
    read_as(&format!("{most}ns"), Duration::from_nanos(most));
    for error in [
        refused(Duration::from_nanos(u64::MAX)),
        refused(Duration::MAX),
        refused(u64::MAX),
        refused(i64::MAX),
        refused("18446744073709551615ns"),
        refused("18446744073709551616ns"),
        refused("99999999999999999999999999s"),
        refused("600y".replace('y', "000d")),
        refused("213503d23h34m33s709ms551us615ns"),
        refused("18446744073709551615d"),
    ] {
        assert!(error.contains("longer than the clock can count"), "{error}");
    }
}

#[test]
fn never_is_written_as_such() {
    let never = Ttl::parse("never").unwrap();
    assert!(never.is_never() && never == Ttl::never() && never.to_string() == "never");
    assert_eq!(never.duration(), None);
    assert_eq!(never.deadline(Moment::from_nanos(7)).unwrap(), Moment::NEVER);
    assert!(never > Ttl::parse("200000d").unwrap());
}

#[test]
fn seconds_of_every_integer_type_agree() {
    let minute = Ttl::parse("1m").unwrap();
    // A bare literal, whose type nothing else decides.
    assert_eq!(60.into_ttl().unwrap(), minute);
    assert_eq!(60u32.into_ttl().unwrap(), minute);
    assert_eq!(60u64.into_ttl().unwrap(), minute);
    assert_eq!(60i64.into_ttl().unwrap(), minute);
    assert_eq!(Duration::from_secs(60).into_ttl().unwrap(), minute);
    assert_eq!(minute.into_ttl().unwrap(), minute);
}

#[test]
fn deadline_is_now_and_the_time_or_an_error() {
    let second = Ttl::parse("1s").unwrap();
    assert_eq!(second.deadline(Moment::from_nanos(5)).unwrap(), Moment::from_nanos(1_000_000_005));
    let late = Moment::from_nanos(u64::MAX - 1_000_000_000);
    let error = second.deadline(late).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTtl);
    assert!(error.to_string().contains("`1s`"), "{error}");
    assert!(second.deadline(Moment::from_nanos(late.nanos() - 1)).unwrap() < Moment::NEVER);
}

#[test]
fn hostile_text_is_shown_short_and_escaped() {
    for text in ["\u{1b}[31m5s".to_owned(), "9".repeat(1 << 20), format!("1{}", "x".repeat(1 << 20))] {
        let error = refused(text);
        assert!(error.len() < 300 && !error.contains('\u{1b}'), "{error}");
    }
}

proptest! {
    #[test]
    fn ttl_reads_back_what_it_prints(nanos in prop_oneof![1..u64::MAX, 1..100_000u64]) {
        let ttl = Ttl::try_from(Duration::from_nanos(nanos)).unwrap();
        prop_assert_eq!(Ttl::parse(&ttl.to_string()).unwrap(), ttl);
    }

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "[0-9dhmsun. µ-]{0,24}|.{0,12}") {
        if let Ok(ttl) = Ttl::parse(&text) {
            prop_assert!(ttl.is_never() || ttl.duration().unwrap() > Duration::ZERO);
        }
    }
}
