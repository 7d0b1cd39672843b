//! What borrows from the arguments cannot be kept.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "global")]
fn load(name: &str) -> &str {
    name
}

#[cached(scope = "global")]
fn named<'a>(name: &'a str) -> Option<std::borrow::Cow<'a, str>> {
    Some(name.into())
}

fn main() {}
