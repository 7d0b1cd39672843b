//! `#[cached]` on whole files: what compiles and runs (`ui/pass`), and what is refused, word for word (`ui/fail`).
//!
//! Golden messages are written anew by `TRYBUILD=overwrite cargo test --test ui`; read the difference.

#[test]
fn functions_compile_and_run_or_are_refused_with_advice() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn service_differs_by_its_attributes_only() {
    let cached = include_str!("ui/pass/service.rs");
    let is_ours =
        |line: &&str| line.trim_start().starts_with("#[cached") || *line == "use strata_cache::cached;";
    let plain: Vec<_> = cached.lines().filter(|line| !is_ours(line)).collect();
    assert_eq!(plain, include_str!("ui/pass/service_plain.rs").lines().collect::<Vec<_>>());
    assert!(cached.lines().filter(is_ours).count() > 20);
}
