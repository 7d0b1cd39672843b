//! `scope!` works through a re-export, under another name, and among names that could be taken for its own.
#![cfg(not(shuttle))]

use strata_cache_core::scope::{Locate, ScopePath, ScopeTree};

/// As the facade re-exports it.
mod facade {
    pub(crate) use strata_cache_core::scope;
    pub(crate) use strata_cache_core::scope as place;
}

fn shown(place: impl Locate) -> String {
    let tree = ScopeTree::builder()
        .level("org", "org_id")
        .child("org", "type", "type_id")
        .build()
        .expect("the tree obeys the rules");
    ScopePath::of(&tree, &place, "test").expect("the place is a path of the tree").to_string()
}

#[test]
fn scope_macro_works_through_a_re_export() {
    assert_eq!(shown(facade::scope!(org = "acme")), "org:acme");
    assert_eq!(shown(facade::place!(org = "acme", type = 3,)), "org:acme/type:3");
    assert_eq!(shown(facade::place!(global)), "global");
}

#[test]
fn scope_macro_is_not_confused_by_names_at_the_call() {
    #[allow(dead_code)]
    mod core {}
    #[allow(dead_code)]
    mod scope {}
    #[allow(dead_code)]
    fn owned_text() {}
    let (org, plain) = ("acme", 7u8);
    assert_eq!(shown(facade::scope!(org = org, type = plain)), "org:acme/type:7");
}

#[test]
fn scope_macro_takes_any_id_expression_and_leaves_it_usable() {
    let name = String::from("acme");
    let made = facade::scope!(org = format!("{name}-{}", 1), type = if name.is_empty() { 1 } else { 2 });
    assert_eq!(shown(made), "org:acme-1/type:2");
    assert_eq!(shown(facade::scope!(org = name)), format!("org:{name}"));
}
