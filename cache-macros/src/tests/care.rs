//! The options by which loads are cared for: how each is written, and what they ask of one another and of the function.

use proc_macro2::TokenStream;
use quote::quote;

use super::{faults, options, says};
use crate::attribute;

/// The faults of options of a function of an org.
fn org(args: TokenStream) -> Vec<String> {
    options(quote!(scope = "org", #args))
}

/// The faults of a function with these options, whose argument `x` is of this type and not part of the key.
fn with(args: &TokenStream, qualifier: &TokenStream, ty: &TokenStream) -> Vec<String> {
    let item = quote!(#qualifier fn f(org_id: u64, x: #ty) -> Result<u8, E> { body() });
    faults(attribute(quote!(scope = "org", skip(x), #args), item))
}

#[test]
fn all_options_of_care_are_read_in_each_of_their_forms() {
    for good in [
        quote!(stale = "30s"),
        quote!(stale = 30),
        quote!(stale = STALE),
        quote!(on_error = stale),
        quote!(on_error = stale("1h")),
        quote!(on_error = stale(3600)),
        quote!(on_error = stale(Duration::from_secs(5))),
        quote!(refresh = 0.8),
        quote!(refresh = "80%"),
        quote!(refresh = "0.5%"),
        quote!(refresh = early),
        quote!(refresh = early(2.0)),
        quote!(refresh = early(2)),
        quote!(hard = "5s"),
        quote!(breaker = 5),
        quote!(breaker(failures = 5)),
        quote!(breaker(failures = 5, cool_down = "10s")),
        quote!(breaker(cool_down = COOL_DOWN, failures = 5)),
        quote!(on_error = stale, soft = "200ms"),
        quote!(on_error = stale, soft = "200ms", hard = "201ms"),
        quote!(on_error = stale, soft = SOFT, hard = "1s"),
        quote!(on_error = stale("31s"), stale = "30s", soft = "1s"),
        quote!(on_error = stale, stale = "30s", soft = "1s"),
        quote!(stale = "30s", throttle = "5s"),
        quote!(on_error = stale, throttle = "5s"),
        quote!(refresh = early, throttle = "5s"),
        quote!(ttl = "1m", jitter = "10%", stale = "30s", refresh = 0.8),
        quote!(coalesce = off, stale = "30s"),
        quote!(coalesce = detached, hard = "5s"),
        quote!(ttl = "never", hard = "5s", breaker = 1),
        quote!(idle = "5m", hard = "5s", breaker = 1),
    ] {
        says(org(good), &[]);
    }
}

#[test]
fn times_of_care_have_a_beginning_and_an_end() {
    let others = quote!(on_error = stale);
    for option in ["stale", "soft", "hard", "throttle"] {
        let name = quote::format_ident!("{option}");
        says(org(quote!(#others, #name = 0)), &[&format!("`{option}` must be greater than zero")]);
        says(org(quote!(#others, #name = "never")), &[&format!("`{option}` has an end; leave it out")]);
        says(org(quote!(#others, #name = "soon")), &["cannot read `soon` as a time"]);
        says(org(quote!(#others, #name = 0.5)), &[&format!("`{option}` is whole seconds")]);
        says(org(quote!(#others, #name("5s"))), &[&format!("write `{option} = ")]);
    }
}

#[test]
fn on_error_is_stale_and_for_how_long() {
    says(org(quote!(on_error = never)), &["unknown `on_error = never`; known: `stale`"]);
    says(org(quote!(on_error = stal)), &["unknown `on_error = stal`; did you mean `stale`?"]);
    says(org(quote!(on_error = "stale")), &["write `on_error = stale`, without quotes"]);
    says(org(quote!(on_error("1h"))), &["write `on_error = stale(\"1h\")`"]);
    says(org(quote!(on_error = stale("never"))), &["`on_error` has an end; leave it out"]);
    says(org(quote!(on_error = stale(0))), &["`on_error` must be greater than zero"]);
    says(org(quote!(on_error = stale("soon"))), &["cannot read `soon` as a time"]);
    says(org(quote!(on_error = stale("1h", "2h"))), &["`stale` is given one time"]);
    says(org(quote!(on_error = stale())), &["`stale` is given one time"]);
}

#[test]
fn refresh_is_a_part_or_by_chance() {
    for none in [
        quote!(0),
        quote!(0.0),
        quote!("0%"),
        quote!(off),
        quote!(1.0),
        quote!(1),
        quote!("100%"),
        quote!(-0.5),
        quote!(1.5),
        quote!("0.8"),
        quote!("NaN%"),
        quote!(early()),
        quote!(early(0)),
        quote!(early(0.0)),
        quote!(early(-1.0)),
        quote!(early(1, 2)),
        quote!(early(FACTOR)),
        quote!(early("2.0")),
        quote!(erly),
        quote!(late(2.0)),
        quote!(PART),
    ] {
        says(org(quote!(refresh = #none)), &["above 0 and below 1"]);
    }
    says(org(quote!(refresh("80%"))), &["write `refresh = 0.8`"]);
}

#[test]
fn breaker_counts_failures() {
    for none in [quote!(0), quote!(-1), quote!("5"), quote!(5u32), quote!(0.5), quote!(FAILURES)] {
        says(org(quote!(breaker = #none)), &["1 at least: write `breaker = 5`"]);
        says(org(quote!(breaker(failures = #none))), &["1 at least: write `breaker = 5`"]);
    }
    for wrong in [
        quote!(),
        quote!(5),
        quote!(cool_down = "1s"),
        quote!(failures = 5, failures = 6),
        quote!(failures = 5, cooldown = "1s"),
    ] {
        says(org(quote!(breaker(#wrong))), &["write `breaker = 5`, or `breaker(failures = 5"]);
    }
    says(org(quote!(breaker(failures = 5, cool_down = 0))), &["`cool_down` must be greater than zero"]);
    says(org(quote!(breaker(failures = 5, cool_down = "never"))), &["`cool_down` has an end"]);
}

#[test]
fn options_of_care_come_with_those_that_they_are_about() {
    says(org(quote!(soft = "1s")), &["for how long that is with `on_error = stale(\"1h\")`"]);
    says(org(quote!(soft = "1s", stale = "30s")), &["for how long that is with `on_error"]);
    for (soft, hard) in [("1s", "1s"), ("2s", "1s")] {
        says(org(quote!(on_error = stale, soft = #soft, hard = #hard)), &["shorter than `hard`"]);
    }
    says(org(quote!(soft = "5s", hard = "1s")), &["shorter than `hard`", "for how long that is"]);
    for on_error in ["30s", "29s"] {
        let both = quote!(stale = "30s", on_error = stale(#on_error));
        says(org(both.clone()), &[]);
        says(org(quote!(#both, soft = "1s")), &["make `on_error` longer than that"]);
    }
    says(org(quote!(soft = "1s", on_error = fresh)), &["unknown `on_error = fresh`"]);
    says(org(quote!(throttle = "1s", stale = 0)), &["`stale` must be greater than zero"]);
    says(org(quote!(throttle = "1s")), &["it comes with `stale`, `on_error` or `refresh`"]);
    says(org(quote!(throttle = "1s", hard = "5s")), &["it comes with `stale`, `on_error` or `refresh`"]);
}

#[test]
fn value_without_an_end_is_never_stale_and_an_unused_one_is_not_kept() {
    let all = quote!(stale = "30s", on_error = stale, refresh = 0.8);
    says(
        org(quote!(ttl = "never", #all)),
        &["begins where `ttl` ends", "a value is stale where `ttl` ends", "`refresh` is a part of `ttl`"],
    );
    says(org(quote!(idle = "5m", #all)), &["leave `idle` out"; 3]);
    says(org(quote!(idle = "5m", refresh = early)), &["leave `idle` out"]);
}

#[test]
fn run_in_the_background_owns_what_it_needs() {
    for option in [
        quote!(stale = "30s"),
        quote!(refresh = early),
        quote!(on_error = stale, soft = "1s"),
        quote!(coalesce = detached, hard = "5s"),
    ] {
        for qualifier in [quote!(), quote!(async)] {
            says(with(&option, &qualifier, &quote!(&mut u8)), &["may outlive its caller, and `x` is lent"]);
            says(with(&option, &qualifier, &quote!(Context<'_>)), &["`x` borrows inside its type"]);
            for owned in [quote!(&Pool), quote!(Pool), quote!(Option<&str>), quote!(&[u8]), quote!(&&str)] {
                says(with(&option, &qualifier, &owned), &[]);
            }
        }
        let of_a_trait = quote!(impl Load for Pg {
            #[cached(scope = "org", receiver = (), #option)]
            fn f(&self, org_id: u64) -> Result<u8, E> {
                body()
            }
        });
        says(faults(attribute(quote!(), of_a_trait)), &["has its body beside the impl"]);
    }
    for option in [quote!(on_error = stale, throttle = "1s"), quote!(hard = "5s"), quote!(breaker = 5)] {
        for ty in [quote!(&mut u8), quote!(Context<'_>)] {
            says(with(&option, &quote!(), &ty), &[]);
        }
    }
}

#[test]
fn sync_function_is_detached_where_its_caller_may_go() {
    let sync = |option| with(&option, &quote!(), &quote!(&mut u8));
    says(sync(quote!(coalesce = detached)), &["or with `hard`, after which it can"]);
    says(sync(quote!(coalesce = detached, hard = "5s")), &["a detached run may outlive its caller"]);
    says(
        sync(quote!(coalesce = detached, stale = "30s")),
        &["or with `hard`, after which it can", "a run in the background may outlive its caller"],
    );
}

#[test]
fn faults_of_care_come_at_once() {
    let args = quote!(
        ttl = "never",
        idle = "5m",
        stale = "1s",
        on_error = fresh,
        refresh = 2,
        soft = "5s",
        hard = "1s",
        throttle = 0,
        breaker = 0,
        limit = 8
    );
    says(
        with(&args, &quote!(), &quote!(&mut u8)),
        &[
            "unknown `on_error = fresh`",
            "above 0 and below 1",
            "`throttle` must be greater than zero",
            "a breaker opens after",
            "`limit` is not yet available",
            "`stale` begins where `ttl` ends",
            "a value is stale where `ttl` ends",
            "`refresh` is a part of `ttl`",
            "shorter than `hard`",
            "leave `idle` out",
            "leave `idle` out",
            "leave `idle` out",
            "`x` is lent to it",
        ],
    );
}

#[test]
fn error_of_the_cache_is_asked_of_the_return_type_where_one_may_be_returned() {
    let text = |args: TokenStream| {
        attribute(
            args,
            quote!(
                fn f(org_id: u64) -> u8 {
                    1
                }
            ),
        )
        .to_string()
    };
    for option in [quote!(hard = "5s"), quote!(breaker = 5), quote!(without_scope = error)] {
        let text = text(quote!(scope = "org", #option));
        assert!(text.contains("refusable") && text.contains("strata_refusing"), "{text}");
    }
    let without = text(quote!(scope = "org", stale = "30s", on_error = stale, soft = "1s", refresh = early));
    assert!(!without.contains("refusable"), "{without}");
}
