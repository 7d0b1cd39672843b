//! `#[cached]` on whole files: what compiles and runs (`ui/pass`), and what is refused, word for word (`ui/fail`).
//!
//! Golden messages are written anew by `TRYBUILD=overwrite cargo test --test ui`; read the difference.

#[test]
fn functions_compile_and_run_or_are_refused_with_advice() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
