//! The checker on small sources that must fail, and on the workspace, which must not.

use super::tokens::{Token, tokens};
use super::*;
use crate::files::File;

const RULE: CrateRule = CrateRule {
    name: "low",
    folder: "low/src",
    uses: &[],
    never: &["tokio"],
    layers: &[&["clock", "event"], &["policy", "scope", "flight"], &["engine"]],
    strangers: &[("policy", "scope")],
    ..PLAIN
};
const HIGH: CrateRule = CrateRule { name: "high", folder: "high/src", uses: &["low"], ..PLAIN };
const MACROS: CrateRule =
    CrateRule { name: "macros", folder: "m/src", expands: Some((&["high", "krate"], "private")), ..PLAIN };
const ALL: &[CrateRule] = &[RULE, HIGH, MACROS];

/// The faults of a crate with these files, each as `place: what`.
#[track_caller]
fn expect(rule: &CrateRule, sources: &[(&str, &str)], expected: &[&str]) {
    let files: Vec<_> =
        sources.iter().map(|(path, text)| File { path: path.into(), text: (*text).into() }).collect();
    let faults = check::faults(rule, ALL, &files);
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.contains(expected), "`{fault}` does not say `{expected}`");
    }
}

const ENGINE: (&str, &str) = ("engine.rs", "");
const SCOPE: (&str, &str) = ("scope/mod.rs", "");

#[test]
fn arrow_upwards_is_caught_in_every_spelling() {
    for source in [
        "use crate::engine::Shard;",
        "use crate::{\n    clock::Moment,\n    engine::{Shard as S},\n};",
        "use super::engine;",
        "use crate::engine::{self};",
        "use self::super::engine::Shard;",
        "fn f() -> crate::engine::Shard { todo() }",
        "fn f(x: &'static crate::engine::Shard) {}",
        "mod inner { use super::super::engine::Shard; }",
        "pub use r#crate::engine::*;",
        "macro_rules! m { () => { $crate::engine::go() } }",
        "fn f() { let c = '\"'; crate::engine::go(\"x\") }",
        "fn f<T>() { g::<crate::engine::Shard>() }",
        "#[cfg(test)] mod tests { use crate::engine::Shard; }",
        "fn f() { br##\"\"# \"##; b'\\''; '\\u{1F}'; 'a'; crate::engine::go() }",
    ] {
        let source = source.replace("r#crate", "crate");
        expect(&RULE, &[ENGINE, ("clock.rs", ""), ("policy.rs", &source)], &["policy lies below engine"]);
    }
}

#[test]
fn arrows_downwards_and_within_a_room_pass() {
    let engine = "use crate::{clock::Moment, policy::*, scope};\nuse self::shard::Shard;\nmod shard;";
    let shard =
        "use super::{Engine, slot};\nuse super::super::policy::Order;\nmod t { use super::super::Engine; }";
    let sources =
        [("engine/mod.rs", engine), ("engine/shard.rs", shard), ("clock.rs", ""), ("policy.rs", ""), SCOPE];
    expect(&RULE, &sources, &[]);
}

#[test]
fn comments_strings_and_lifetimes_are_not_read() {
    let source = "//! crate::engine\n/* crate::engine /* x */ crate::engine */\n/// [`crate::engine`]\n\
        fn f<'crate_>() { \"crate::engine\"; r#\"a\" crate::engine\"#; b\"\\\"crate::engine\"; c\"crate::engine\"; }";
    expect(&RULE, &[ENGINE, ("clock.rs", source)], &[]);
}

#[test]
fn strangers_and_circles_within_a_layer_are_caught() {
    let stranger = ("policy.rs", "use crate::scope::Node;");
    expect(&RULE, &[stranger, SCOPE], &["policy and scope do not know each other"]);
    let circle = [("clock.rs", "use crate::event::E;"), ("event.rs", "use crate::clock::C;")];
    expect(&RULE, &circle, &["rooms in a circle: clock → event (low/src/clock.rs:1), event → clock"]);
    expect(&CrateRule { circles: true, ..RULE }, &circle, &[]);
    let in_tests =
        [("clock.rs", "mod tests { use crate::event::E; }"), ("event/tests.rs", "use crate::clock::C;")];
    expect(&RULE, &in_tests, &[]);
    expect(&RULE, &[("flight.rs", "use crate::scope::Node;"), SCOPE], &[]);
}

#[test]
fn name_from_the_root_counts_as_its_room() {
    let root = ("lib.rs", "pub mod engine;\npub use engine::{Engine, Shard as Part};\npub use log::Level;");
    let uses = ("policy.rs", "use crate::Part;\nuse crate::Level;\nuse crate::Nowhere;\nuse crate::*;");
    let expected = ["policy lies below engine", "`crate::Nowhere`: not found", "a glob of the root"];
    expect(&RULE, &[ENGINE, root, uses], &expected);
    let defines = ("engine.rs", "#[macro_export] macro_rules! shard { () => {} }");
    expect(&RULE, &[defines, ("policy.rs", "fn f() { crate::shard!() }")], &["policy lies below engine"]);
}

#[test]
fn module_without_a_layer_is_caught() {
    expect(&RULE, &[("attic.rs", ""), ("clock.rs", "")], &["module `attic` is in no layer"]);
}

#[test]
fn crates_name_only_those_below_them_and_no_runtime() {
    expect(&RULE, &[("clock.rs", "use high::Cache;")], &["low must not know high"]);
    expect(&RULE, &[("clock.rs", "fn f() { ::high::cache::go() }")], &["low must not know high"]);
    expect(&RULE, &[("lib.rs", "extern crate high;")], &["low must not know high"]);
    expect(&RULE, &[("clock.rs", "use tokio;")], &["low must not know tokio"]);
    expect(&RULE, &[("clock.rs", "fn f() { tokio::spawn(x); }")], &["low must not know tokio"]);
    expect(&RULE, &[("clock.rs", "fn f(tokio: u8, high: u8) { high.tokio() }")], &[]);
    expect(&HIGH, &[("lib.rs", "pub use low::engine::Engine; use high as me;")], &[]);
}

#[test]
fn expansions_name_the_private_module_only() {
    let good = "quote!(#krate::private::start(); ::high::private::go()); let root = quote!(::high);";
    expect(&MACROS, &[("expand.rs", good)], &[]);
    expect(&MACROS, &[("expand.rs", "quote!(#krate::Cache::new())")], &["expansions name `private` only"]);
    expect(&MACROS, &[("expand.rs", "quote!(::high::cache::go())")], &["expansions name `private` only"]);
    expect(&MACROS, &[("expand.rs", "use low::engine::Shard;")], &["macros must not know low"]);
}

#[test]
fn manifest_dependencies_are_arrows_too_and_those_for_tests_are_not() {
    let manifest = "[package]\nname = \"low\"\n[dependencies]\nhigh = { path = \"..\" }\nlog.workspace = true\n\
        [target.'cfg(unix)'.dependencies]\ntokio = \"1\"\n[dependencies.macros]\npath = \"m\"\n\
        [dev-dependencies]\nhigh = \"1\"\ntokio = \"1\"\n[target.'cfg(shuttle)'.dependencies]\nshuttle = \"1\"\n";
    let found = manifest::faults(&RULE, ALL, manifest);
    assert_eq!(found, ["high", "tokio", "macros"].map(|name| format!("low: its manifest depends on {name}")));
    let limited = CrateRule { only: Some(&["syn"]), ..RULE };
    let found = manifest::faults(&limited, ALL, "[dependencies]\nsyn = \"3\"\nheck = \"1\"\n");
    assert_eq!(found, ["low: its manifest depends on heck"]);
}

#[test]
fn tokens_keep_their_lines() {
    let found = tokens("a\n/* x\n */ r#type::b\n\"x\ny\" c");
    let word = |text: &str| Token::Word(text.into());
    let expected = [
        (word("a"), 1),
        (word("type"), 3),
        (Token::Separator, 3),
        (word("b"), 3),
        (Token::Other('"'), 4),
        (word("c"), 5),
    ];
    assert_eq!(found, expected);
}

#[test]
fn workspace_arrows_point_down() {
    task(&[]).unwrap();
}

#[test]
fn workspace_with_an_arrow_upwards_fails_and_one_without_sources_too() {
    let root = std::env::temp_dir().join(format!("strata-arrows-{}", std::process::id()));
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let empty = check_workspace(&root).unwrap_err();
    write("cache-core/src/engine/mod.rs", "use crate::scope::Node;");
    write("cache-core/src/scope/node/deep.rs", "");
    let good = check_workspace(&root).map_err(|failure| failure.to_string());
    write("cache-core/src/scope/node/deep.rs", "\nuse crate::engine::Shard;");
    write("cache-core/Cargo.toml", "[dependencies]\nstrata-cache-storage.workspace = true\n");
    write("cache-core/src/.hidden/x.rs", "use crate::nowhere;");
    let bad = check_workspace(&root).unwrap_err().to_string();
    fs::remove_dir_all(&root).unwrap();

    assert!(empty.to_string().starts_with("no sources"), "{empty}");
    assert_eq!(good, Ok(2));
    assert!(
        bad.contains("cache-core/src/scope/node/deep.rs:2: `crate::engine::Shard`: scope lies below engine"),
        "{bad}"
    );
    assert!(bad.contains("strata_cache_core: its manifest depends on strata-cache-storage"), "{bad}");
    assert!(!bad.contains("hidden"), "{bad}");
}
