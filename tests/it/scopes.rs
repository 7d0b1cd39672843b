//! Who an entry belongs to: paths and bags of ids, hostile ids, custom trees, handles, exact counts.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use strata_cache::IdText;
use strata_cache::{Cache, ErrorKind, Evicted, Ids, Region, Scope, ScopeId, ScopePath, ScopeTree, scope};

use crate::support::{Outcome, kind, small, still};

fn counted(evicted: Evicted) -> (u64, u64) {
    (evicted.entries, evicted.weight)
}

fn read(scope: &Scope, key: &str) -> Option<String> {
    scope.get::<String>(key).wait().expect("a text can be read").map(|value| (*value).clone())
}

// -------------------------------------------------------------------------------------------------------- paths

#[test]
fn path_and_bag_and_handle_name_one_scope() -> Outcome {
    let (cache, _) = small(100)?;
    cache.set(scope!(org = "acme", user = 42), "k", 1).wait()?;
    let ids = Ids::new().with("org_id", "acme").with("user_id", "42").with("session_id", "s");
    let handle = cache.scope(("user", &ids))?;
    assert!(cache.contains(("user", &ids), "k").wait()?, "surplus ids are ignored by a read");
    assert!(handle.contains("k").wait()?);
    assert!(cache.contains(handle.path(), "k").wait()?, "a path is a place too");
    assert!(cache.contains(&handle, "k").wait()?);
    assert!(cache.contains(&&handle, "k").wait()?);
    assert_eq!(handle.to_string(), "org:acme/user:42");
    assert!(cache.scope(scope!(org = "acme", user = 42))?.path() == handle.path());
    Ok(())
}

#[test]
fn each_level_is_a_scope_of_its_own() -> Outcome {
    let (cache, _) = small(100)?;
    let ids = Ids::new().with("org_id", "1").with("user_id", "1").with("session_id", "1");
    let scopes: Vec<Scope> = ["global", "org", "user", "session"]
        .map(|level| cache.scope((level, &ids)))
        .into_iter()
        .collect::<Result<_, _>>()?;
    for scope in &scopes {
        assert_eq!(read(scope, "k"), None, "{scope}");
        scope.set("k", scope.to_string()).wait()?;
    }
    for scope in &scopes {
        assert_eq!(read(scope, "k"), Some(scope.to_string()));
    }
    assert_eq!(cache.stats().entries, 4);
    Ok(())
}

#[test]
fn wrong_paths_are_typed_errors_that_name_the_level() -> Outcome {
    let (cache, _) = small(100)?;
    let cases = [
        (kind(cache.scope(scope!(user = 42))), ErrorKind::InvalidPath),
        (kind(cache.scope(scope!(user = 42, org = 1))), ErrorKind::InvalidPath),
        (kind(cache.scope(scope!(org = 1, session = 2))), ErrorKind::InvalidPath),
        (kind(cache.scope(scope!(org = 1, org = 2))), ErrorKind::InvalidPath),
        (kind(cache.scope(scope!(tenant = 1))), ErrorKind::UnknownLevel),
        (kind(cache.scope(("usr", &Ids::new()))), ErrorKind::UnknownLevel),
        (kind(cache.scope(("user", &Ids::new().with("org_id", 1)))), ErrorKind::MissingId),
        (kind(cache.scope(("user", &Ids::new().with("user_id", 1)))), ErrorKind::MissingId),
        (kind(cache.scope(scope!(org = ""))), ErrorKind::InvalidId),
        (kind(cache.scope(scope!(org = "", user = 1))), ErrorKind::InvalidId),
    ];
    for (place, (found, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found, Some(expected), "case {place}");
    }
    let missing = cache.scope(("session", &Ids::new().with("org_id", 1).with("session_id", 2)));
    let missing = missing.expect_err("the user is missing").to_string();
    assert!(missing.contains("level: user") && missing.contains("id: user_id"), "{missing}");
    let unknown = cache.scope(("usr", &Ids::new())).expect_err("no such level").to_string();
    assert!(unknown.contains("did you mean `user`?") && unknown.contains("org, user, session"), "{unknown}");
    Ok(())
}

#[test]
fn missing_id_falls_back_to_nothing_in_any_verb() -> Outcome {
    let (cache, _) = small(100)?;
    cache.set(scope!(global), "k", 1).wait()?;
    cache.set(scope!(org = 1), "k", 1).wait()?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let ids = Ids::new().with("org_id", 1).with("session_id", 1);
    let place = ("session", &ids);
    let refused = [
        kind(cache.get::<i32>(place, "k").wait()),
        kind(cache.peek::<i32>(place, "k").wait()),
        kind(cache.contains(place, "k").wait()),
        kind(cache.set(place, "k", 2).wait()),
        kind(cache.remove(place, "k").wait()),
        kind(cache.invalidate(place, "k").wait()),
        kind(cache.pop::<i32>(place, "k").wait()),
        kind(cache.evict_by_scope(place).wait()),
        kind(cache.preview_evict(place).wait()),
        kind(cache.scope(place)),
        kind(cache.stats_of(place)),
        kind(region.get_now(place, &1)),
        kind(region.get(place, &1).wait()),
        kind(region.peek(place, &1).wait()),
        kind(region.contains(place, &1).wait()),
        kind(region.set(place, 1, 1).wait()),
        kind(region.remove(place, &1).wait()),
        kind(region.invalidate(place, &1).wait()),
        kind(region.pop(place, &1).wait()),
        kind(region.invalidate_scope(place).wait()),
    ];
    for (verb, refused) in refused.into_iter().enumerate() {
        assert_eq!(refused, Some(ErrorKind::MissingId), "verb {verb}");
    }
    let loader = || -> Result<i32, ()> { panic!("a loader without a scope is not run") };
    assert!(cache.get_or_load_with(place, "k", loader).wait().is_err());
    let stats = cache.stats();
    assert_eq!(
        (stats.entries, stats.invalidated, stats.removed, stats.scopes),
        (2, 0, 0, 1),
        "nothing changed"
    );
    Ok(())
}

// --------------------------------------------------------------------------------------------------------- bags

#[test]
fn bag_may_be_of_many_types() -> Outcome {
    let (cache, _) = small(100)?;
    cache.set(scope!(org = 7, user = 42), "k", ()).wait()?;
    let pairs = [("org_id", "7"), ("user_id", "42")];
    assert!(cache.contains(("user", &pairs), "k").wait()?);
    assert!(cache.contains(("user", &pairs[..]), "k").wait()?);
    assert!(cache.contains(("user", &pairs.to_vec()), "k").wait()?);
    assert!(cache.contains(("user", &HashMap::from(pairs)), "k").wait()?);
    assert!(cache.contains(("user", &BTreeMap::from(pairs)), "k").wait()?);
    let owned: HashMap<String, u64> = [("org_id".to_owned(), 7), ("user_id".to_owned(), 42)].into();
    assert!(cache.contains(("user", &owned), "k").wait()?);
    assert!(cache.contains(("user", &Ids::new().with("org_id", 7u8).with("user_id", 42i128)), "k").wait()?);
    assert!(cache.contains(("global", &Ids::new()), "k").wait().is_ok());
    Ok(())
}

#[test]
fn surplus_ids_are_ignored_by_reads_and_refused_by_what_destroys() -> Outcome {
    let (cache, _) = small(100)?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let ids = Ids::new().with("org_id", 1).with("user_id", 2).with("trace_id", 3);
    cache.set(("org", &ids), "k", 1).wait()?;
    region.set(("org", &ids), 1, 1).wait()?;
    assert_eq!(cache.get::<i32>(scope!(org = 1), "k").wait()?.as_deref(), Some(&1), "never deeper");
    assert!(!cache.contains(scope!(org = 1, user = 2), "k").wait()?);
    let refused = [
        kind(cache.remove(("org", &ids), "k").wait()),
        kind(cache.invalidate(("org", &ids), "k").wait()),
        kind(cache.pop::<i32>(("org", &ids), "k").wait()),
        kind(cache.evict_by_scope(("org", &ids)).wait()),
        kind(cache.preview_evict(("org", &ids)).wait()),
        kind(cache.evict_by_scope(("global", &ids)).wait()),
        kind(region.remove(("org", &ids), &1).wait()),
        kind(region.invalidate(("org", &ids), &1).wait()),
        kind(region.pop(("org", &ids), &1).wait()),
        kind(region.invalidate_scope(("org", &ids)).wait()),
    ];
    for (verb, refused) in refused.into_iter().enumerate() {
        assert_eq!(refused, Some(ErrorKind::InvalidPath), "verb {verb}");
    }
    let said = cache.evict_by_scope(("org", &ids)).wait().expect_err("a level was forgotten").to_string();
    assert!(said.contains("user_id"), "{said}");
    assert_eq!(cache.stats().entries, 2, "nothing went");
    let exact = Ids::new().with("org_id", 1).with("trace_id", 3);
    assert_eq!(
        cache.evict_by_scope(("org", &exact)).wait()?.entries,
        2,
        "ids of no level are nobody's business"
    );
    Ok(())
}

// -------------------------------------------------------------------------------------------------- hostile ids

/// Ids that would reach each other if anything joined, split, trimmed, normalised or shortened them.
fn hostile() -> Vec<String> {
    let mut ids: Vec<String> = [
        "1",
        "2",
        "1/user:2",
        "1/user:",
        "1/",
        "/1",
        "//",
        "/",
        "..",
        ".",
        "../1",
        "./1",
        "1/../2",
        "org:1",
        ":",
        "%",
        "%2F",
        "1%2Fuser%3A2",
        "\\",
        "1\\",
        "*",
        "1*",
        "?",
        "[1]",
        "1 ",
        " 1",
        " ",
        "\t",
        "\n",
        "1\n",
        "\r\n",
        "\0",
        "1\0",
        "\u{0}01",
        "\u{1}",
        "\u{7f}",
        "\u{1b}[31m",
        "global",
        "null",
        "None",
        "-1",
        "+1",
        "01",
        "1.0",
        "0x1",
        "１",
        "Ⅰ",
        "а",
        "a",
        "A",
        "é",
        "e\u{301}",
        "\u{200b}1",
        "1\u{200d}",
        "\u{feff}1",
        "\u{202e}1",
        "ß",
        "ss",
        "İ",
        "i",
        "I",
        "ı",
        "ﬁ",
        "fi",
        "'",
        "\"",
        "' OR 1=1 --",
        "${1}",
        "{1}",
        "1,2",
        "1;2",
        "1=2",
        "1&user_id=2",
        "org_id",
        "user_id",
    ]
    .map(str::to_owned)
    .into();
    ids.extend([40, 41, 1023, 1024].map(|length| "x".repeat(length)));
    ids.extend([40, 1024].map(|length| "x".repeat(length - 1) + "y"));
    ids
}

#[test]
fn hostile_ids_reach_nobody_else() -> Outcome {
    let (cache, _) = small(100_000)?;
    let ids = hostile();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    let mut places: Vec<Scope> = Vec::new();
    for id in &ids {
        places.push(cache.scope(scope!(org = id))?);
        places.push(cache.scope(scope!(org = 1, user = id))?);
        places.push(cache.scope(scope!(org = id, user = 2))?);
    }
    // `org:1/user:2` is named twice.
    let names: HashSet<String> = places.iter().map(Scope::to_string).collect();
    assert_eq!(names.len(), places.len() - 1, "paths print differently, so logs cannot be forged");
    assert!(names.iter().all(|name| !name.chars().any(|c| c.is_control() || c == '\u{202e}')));
    for place in &places {
        place.set("owner", place.to_string()).wait()?;
    }
    for place in &places {
        assert_eq!(read(place, "owner"), Some(place.to_string()));
    }
    assert_eq!(cache.stats().entries, names.len() as u64);
    // Of `1` everything under it goes, and nothing of `1/…`, `1 `, `01` or `１`.
    assert_eq!(cache.evict_by_scope(scope!(org = "1")).wait()?.entries, 1 + ids.len() as u64);
    for place in &places {
        let gone = place.path().parts().next() == Some(("org", "1"));
        assert_eq!(read(place, "owner").is_none(), gone, "{place}");
    }
    for id in ids.iter().filter(|id| *id != "1") {
        assert_eq!(cache.evict_by_scope(scope!(org = id)).wait()?.entries, 2, "{id:?}");
    }
    assert_eq!(cache.stats().entries, 0);
    Ok(())
}

#[test]
fn id_that_is_empty_or_too_long_is_refused_by_every_verb_and_makes_nothing() -> Outcome {
    let (cache, _) = small(100)?;
    for id in [String::new(), "x".repeat(1025), "é".repeat(513), "x".repeat(1 << 20)] {
        let place = || scope!(org = 1, user = &id);
        let bag = Ids::new().with("org_id", 1).with("user_id", &id);
        let refused = [
            kind(cache.scope(place())),
            kind(cache.set(place(), "k", 1).wait()),
            kind(cache.set(("user", &bag), "k", 1).wait()),
            kind(cache.get::<i32>(place(), "k").wait()),
            kind(cache.remove(place(), "k").wait()),
            kind(cache.evict_by_scope(place()).wait()),
            kind(cache.evict_by_scope(("user", &bag)).wait()),
            kind(cache.stats_of(place())),
        ];
        assert_eq!(refused, [Some(ErrorKind::InvalidId); 8], "{} bytes", id.len());
        let said = cache.scope(place()).expect_err("the id is refused").to_string();
        assert!(said.len() < 200 && said.contains("level: user"), "{said}");
    }
    assert_eq!(cache.stats().scopes, 0);
    cache.set(scope!(org = "x".repeat(1024)), "k", 1).wait()?;
    Ok(())
}

#[test]
fn errors_never_repeat_an_id() -> Outcome {
    let (cache, _) = small(100)?;
    let secret = "secret".repeat(300);
    let bag = Ids::new().with("org_id", "hidden").with("user_id", "hidden");
    let errors = [
        cache.scope(scope!(org = secret)).map(drop),
        cache.scope(scope!(user = "hidden")).map(drop),
        cache.scope(("session", &bag)).map(drop),
        cache.evict_by_scope(("org", &bag)).wait().map(drop),
    ];
    for error in errors {
        let said = format!("{:?}", error.expect_err("each is wrong"));
        assert!(!said.contains("secret") && !said.contains("hidden"), "{said}");
    }
    assert!(!format!("{bag:?}").contains("hidden"), "nor does a bag");
    Ok(())
}

/// An id of the user's own.
struct OrgId(u32);

impl ScopeId for OrgId {
    fn id_text(&self) -> IdText<'_> {
        IdText::display(format_args!("org-{}", self.0))
    }
}

#[test]
fn integers_and_texts_that_look_alike_are_one_id() -> Outcome {
    let (cache, _) = small(100)?;
    cache.set(scope!(org = 42), "k", ()).wait()?;
    assert!(cache.contains(scope!(org = "42"), "k").wait()?);
    assert!(cache.contains(scope!(org = 42u128), "k").wait()?);
    assert!(cache.contains(scope!(org = Cow::from("42")), "k").wait()?);
    assert!(cache.contains(scope!(org = &String::from("42")), "k").wait()?);
    assert!(!cache.contains(scope!(org = -42), "k").wait()?);
    assert!(!cache.contains(scope!(org = "042"), "k").wait()?);
    cache.set(scope!(org = OrgId(42)), "k", ()).wait()?;
    assert!(cache.contains(scope!(org = "org-42"), "k").wait()?);
    Ok(())
}

// -------------------------------------------------------------------------------------------------- custom trees

fn over(tree: ScopeTree) -> Result<Cache, strata_cache::Error> {
    still().0.scopes(tree).build()
}

const FOREST: &str = r#"
    [[level]]
    name = "org"
    id = "org_id"

    [[level]]
    name = "user"
    id = "user_id"
    parent = "org"

    [[level]]
    name = "team"
    id = "team_id"
    parent = "org"

    [[level]]
    name = "tenant"
    id = "tenant_id"

    [[level]]
    name = "project"
    id = "project_id"
    parent = "tenant"
"#;

fn forest() -> Result<ScopeTree, strata_cache::Error> {
    ScopeTree::builder()
        .level("org", "org_id")
        .child("org", "user", "user_id")
        .child("org", "team", "team_id")
        .level("tenant", "tenant_id")
        .child("tenant", "project", "project_id")
        .build()
}

#[test]
fn siblings_and_roots_are_apart_in_trees_from_code_and_from_toml() -> Outcome {
    for tree in [forest()?, ScopeTree::from_toml(FOREST)?] {
        let cache = over(tree)?;
        let places = [
            cache.scope(scope!(org = 1))?,
            cache.scope(scope!(org = 1, user = 1))?,
            cache.scope(scope!(org = 1, team = 1))?,
            cache.scope(scope!(tenant = 1))?,
            cache.scope(scope!(tenant = 1, project = 1))?,
            cache.scope(scope!(global))?,
        ];
        for place in &places {
            place.set("owner", place.to_string()).wait()?;
        }
        for place in &places {
            assert_eq!(read(place, "owner"), Some(place.to_string()));
        }
        assert_eq!(kind(cache.scope(scope!(tenant = 1, user = 1))), Some(ErrorKind::InvalidPath));
        assert_eq!(kind(cache.scope(scope!(session = 1))), Some(ErrorKind::UnknownLevel));
        assert_eq!(cache.evict_by_scope(scope!(org = 1, user = 1)).wait()?.entries, 1);
        assert!(read(&places[2], "owner").is_some(), "a sibling stays");
        assert_eq!(cache.evict_by_scope(scope!(org = 1)).wait()?.entries, 2);
        assert!(
            read(&places[3], "owner").is_some() && read(&places[4], "owner").is_some(),
            "another root stays"
        );
        assert_eq!(cache.clear().wait()?.entries, 3);
    }
    Ok(())
}

#[test]
fn ids_of_another_root_are_not_surplus_but_a_siblings_are() -> Outcome {
    let cache = over(forest()?)?;
    let both = Ids::new().with("org_id", 1).with("tenant_id", 1).with("project_id", 1);
    cache.set(("org", &both), "k", ()).wait()?;
    assert_eq!(cache.evict_by_scope(("org", &both)).wait()?.entries, 1);
    let siblings = Ids::new().with("org_id", 1).with("user_id", 1).with("team_id", 1);
    assert_eq!(kind(cache.evict_by_scope(("user", &siblings)).wait()), Some(ErrorKind::InvalidPath));
    assert_eq!(kind(cache.evict_by_scope(("global", &both)).wait()), Some(ErrorKind::InvalidPath));
    Ok(())
}

#[test]
fn keywords_are_levels() -> Outcome {
    let cache = over(ScopeTree::builder().level("type", "type_id").child("type", "fn", "fn_id").build()?)?;
    cache.set(scope!(r#type = 1, r#fn = 2), "k", ()).wait()?;
    let ids = Ids::new().with("type_id", 1).with("fn_id", 2);
    assert!(cache.contains(("fn", &ids), "k").wait()?);
    assert!(cache.contains(scope!(type = 1, fn = 2), "k").wait()?, "also plainly");
    assert_eq!(cache.scope(("fn", &ids))?.to_string(), "type:1/fn:2");
    Ok(())
}

#[test]
fn tree_without_levels_has_the_root_scope_only() -> Outcome {
    let cache = over(ScopeTree::builder().build()?)?;
    cache.set(scope!(global), "k", ()).wait()?;
    assert_eq!(kind(cache.set(scope!(org = 1), "k", ()).wait()), Some(ErrorKind::UnknownLevel));
    assert_eq!(cache.evict_by_scope(scope!(global)).wait()?.entries, 1);
    Ok(())
}

#[test]
fn tree_of_sixteen_levels_works_and_of_seventeen_is_refused() -> Outcome {
    let deep = |depth: usize| {
        let first = ScopeTree::builder().level("l0", "l0_id");
        (1..depth).fold(first, |tree, level| {
            tree.child(format!("l{}", level - 1), format!("l{level}"), format!("l{level}_id"))
        })
    };
    let cache = over(deep(16).build()?)?;
    let ids = (0..16).fold(Ids::new(), |ids, level| ids.with(format!("l{level}_id"), level));
    cache.set(("l15", &ids), "k", ()).wait()?;
    assert_eq!(cache.stats().scopes, 16);
    assert_eq!(cache.evict_by_scope(("l0", &Ids::new().with("l0_id", 0))).wait()?.entries, 1);
    assert_eq!(kind(deep(17).build()), Some(ErrorKind::InvalidTree));
    Ok(())
}

#[test]
fn bad_tree_is_one_error_with_all_faults() {
    let error = ScopeTree::builder()
        .level("org", "org_id")
        .level("org", "other_id")
        .level("", "empty_id")
        .level("a/b", "a_id")
        .level("nul\0", "nul_id")
        .level("global", "global_id")
        .child("org", "user", "org_id")
        .child("nobody", "orphan", "orphan_id")
        .level("noid", "")
        .build()
        .expect_err("the tree is bad");
    assert_eq!(error.kind(), ErrorKind::InvalidTree);
    let faults: Vec<&str> =
        error.context().filter(|(name, _)| *name == "fault").map(|(_, fault)| fault).collect();
    for part in [
        "org is declared twice",
        "empty level name",
        "a/b",
        "nul",
        "global",
        "share the id name org_id",
        "nobody",
        "empty id name",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
    }
    assert_eq!(faults.len(), 8, "{faults:?}");
    for text in ["[[level]]", "level = 1", "[[level]]\nname = \"a\"\nid = \"b\"\ntypo = 1", "not toml"] {
        assert_eq!(kind(ScopeTree::from_toml(text)), Some(ErrorKind::InvalidTree), "{text}");
    }
}

// ------------------------------------------------------------------------------------------------------ handles

#[test]
fn handle_of_another_cache_is_refused() -> Outcome {
    let ((cache, _), (other, _)) = (small(10)?, small(10)?);
    let foreign = other.scope(scope!(org = 1))?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let refused = [
        kind(cache.get::<i32>(&foreign, "k").wait()),
        kind(cache.set(&foreign, "k", 1).wait()),
        kind(cache.contains(&foreign, "k").wait()),
        kind(cache.remove(&foreign, "k").wait()),
        kind(cache.pop::<i32>(&foreign, "k").wait()),
        kind(cache.evict_by_scope(&foreign).wait()),
        kind(cache.preview_evict(&foreign).wait()),
        kind(cache.stats_of(&foreign)),
        kind(cache.scope(&foreign)),
        kind(region.get_now(&foreign, &1)),
        kind(region.set(&foreign, 1, 1).wait()),
        kind(region.invalidate_scope(&foreign).wait()),
    ];
    for (verb, refused) in refused.into_iter().enumerate() {
        assert_eq!(refused, Some(ErrorKind::Foreign), "verb {verb}");
    }
    // A path is names and ids only, good wherever the tree has them.
    cache.set(foreign.path(), "k", 1).wait()?;
    assert!(cache.contains(scope!(org = 1), "k").wait()?);
    assert_eq!(
        kind(over(ScopeTree::builder().build()?)?.contains(foreign.path(), "k").wait()),
        Some(ErrorKind::UnknownLevel)
    );
    Ok(())
}

#[test]
fn handles_find_their_scope_again_after_any_eviction() -> Outcome {
    let (cache, _) = small(100)?;
    let org = cache.scope(scope!(org = 1))?;
    let user = cache.scope(scope!(org = 1, user = 2))?;
    let clone = user.clone();
    for round in 0..3 {
        for evict in
            [&|| user.evict_by_scope(), &|| org.evict_by_scope(), &|| cache.clear()] as [&dyn Fn() -> _; 3]
        {
            assert_eq!(read(&user, "k"), None);
            user.set("k", format!("{round}")).wait()?;
            assert_eq!(read(&clone, "k"), Some(format!("{round}")), "a clone sees the same");
            assert_eq!(evict().wait()?.entries, 1);
            assert_eq!((read(&user, "k"), read(&clone, "k")), (None, None));
            assert!(!user.remove("k").wait()?);
        }
    }
    org.set("k", ()).wait()?;
    assert_eq!(org.clear().wait()?.entries, 1, "a scope's clear is its eviction");
    Ok(())
}

#[test]
fn lookups_create_no_scope() -> Outcome {
    let (cache, _) = small(100)?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    // A handle would hold on to what a look-up had made before it.
    let mut handles = Vec::new();
    for user in 0..100 {
        let place = || scope!(org = 1, user = user);
        cache.get::<i32>(place(), "k").wait()?;
        cache.peek::<i32>(place(), "k").wait()?;
        cache.contains(place(), "k").wait()?;
        cache.remove(place(), "k").wait()?;
        cache.pop::<i32>(place(), "k").wait()?;
        cache.invalidate(place(), "k").wait()?;
        cache.evict_by_scope(place()).wait()?;
        cache.preview_evict(place()).wait()?;
        cache.stats_of(place())?;
        region.get_now(place(), &1)?;
        region.invalidate_scope(place()).wait()?;
        let handle = cache.scope(place())?;
        handle.get::<i32>("k").wait()?;
        handles.push(handle);
    }
    assert_eq!(cache.stats().scopes, 0);
    assert_eq!(cache.stats().misses, 300);
    Ok(())
}

#[test]
fn handle_keeps_no_more_than_its_own_path() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity(100).track_lookups(["user"]).build()?;
    let user = cache.scope(scope!(org = 1, user = 2))?;
    user.set("k", ()).wait()?;
    cache.set(scope!(org = 3), "k", ()).wait()?;
    cache.clear().wait()?;
    user.contains("k").wait()?;
    assert_eq!(cache.stats().scopes, 0, "a look after the eviction lets the old scope go");
    user.set("k", ()).wait()?;
    user.remove("k").wait()?;
    assert_eq!(cache.stats().scopes, 2, "a scope with a handle keeps its counters");
    assert_eq!(user.stats()?.removed, 1);
    drop(user);
    assert_eq!(cache.stats().scopes, 0);
    Ok(())
}

// -------------------------------------------------------------------------------------------------------- counts

#[test]
fn eviction_counts_what_preview_said_and_takes_nothing_else() -> Outcome {
    let (cache, _) = small(10_000)?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    for org in 0..4 {
        for user in 0..5 {
            for key in 0..3u64 {
                cache.set(scope!(org = org, user = user), &key.to_string(), ()).weight(10).wait()?;
                region.set(scope!(org = org, user = user), key, key).weight(5).wait()?;
            }
        }
        cache.set(scope!(org = org), "k", ()).weight(1).wait()?;
    }
    assert_eq!(counted(cache.preview_evict(scope!(org = 0)).wait()?), (31, 226));
    assert_eq!(counted(cache.preview_evict(scope!(global)).wait()?), (124, 904));
    assert_eq!(counted(cache.evict_by_scope(scope!(org = 0, user = 0)).wait()?), (6, 45));
    assert_eq!(counted(cache.evict_by_scope(scope!(org = 0, user = 0)).wait()?), (0, 0), "once");
    assert_eq!(counted(cache.preview_evict(scope!(org = 0)).wait()?), (25, 181));
    assert_eq!(counted(cache.evict_by_scope(scope!(org = 0)).wait()?), (25, 181), "not again what was gone");
    assert_eq!(counted(cache.evict_by_scope(scope!(org = 9)).wait()?), (0, 0), "of a scope nobody used");
    for org in 1..4 {
        assert_eq!(cache.stats_of(scope!(org = org))?.entries, 31, "others keep theirs");
    }
    assert_eq!(counted(cache.clear().wait()?), (93, 678));
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.invalidated, stats.inserts), (0, 124, 124));
    Ok(())
}

#[test]
fn verbs_that_take_trust_away_act_at_the_call() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    for key in ["removed", "popped", "invalidated", "evicted"] {
        acme.set(key, 1).wait()?;
    }
    for key in 0..5 {
        region.set(&acme, key, 1).wait()?;
    }
    drop((acme.remove("removed"), acme.pop::<i32>("popped"), acme.invalidate("invalidated")));
    drop((region.remove(&acme, &0), region.pop(&acme, &1), region.invalidate(&acme, &2)));
    assert_eq!(acme.preview_evict().wait()?.entries, 3);
    drop(region.invalidate_scope(&acme));
    assert_eq!(acme.preview_evict().wait()?.entries, 1);
    drop(acme.evict_by_scope());
    assert_eq!(acme.preview_evict().wait()?.entries, 0);
    acme.set("cleared", 1).wait()?;
    drop(cache.clear());
    assert!(!acme.contains("cleared").wait()?);
    Ok(())
}

#[test]
#[expect(unused_must_use, reason = "that nothing happens is what is tested")]
fn verbs_that_give_or_keep_do_nothing_until_they_are_waited_for() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    acme.set("k", 1);
    acme.get::<i32>("k");
    acme.get_or_load_with("k", || -> Result<i32, ()> { panic!("nobody waits for this") });
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.lookups(), stats.loads, stats.scopes), (0, 0, 0, 0));
    Ok(())
}

#[test]
fn invalidated_region_of_a_scope_spares_other_regions_scopes_and_what_is_below() -> Outcome {
    let (cache, _) = small(10_000)?;
    let (one, two): (Region<u64, u64>, Region<u64, u64>) = (cache.region("one")?, cache.region("two")?);
    let (org, user) = (cache.scope(scope!(org = 1))?, cache.scope(scope!(org = 1, user = 1))?);
    for region in [&one, &two] {
        for place in [&org, &user] {
            for key in 0..2_000 {
                region.set(place, key, key).weight(2).wait()?;
            }
        }
    }
    assert_eq!(counted(one.invalidate_scope(&org).wait()?), (2_000, 4_000), "more than one slice");
    assert_eq!(counted(one.invalidate_scope(&org).wait()?), (0, 0));
    assert_eq!((one.stats().entries, two.stats().entries), (2_000, 4_000));
    assert_eq!(one.get_now(&user, &1)?, Some(1));
    Ok(())
}

#[test]
fn path_compares_and_contains_by_whole_segments() -> Outcome {
    let (cache, _) = small(10)?;
    let path = |place: Scope| -> ScopePath { place.path().clone() };
    let org = path(cache.scope(scope!(org = "a"))?);
    let user = path(cache.scope(scope!(org = "a", user = "b"))?);
    let longer = path(cache.scope(scope!(org = "ab"))?);
    let forged = path(cache.scope(scope!(org = "a/user:b"))?);
    assert!(user.is_within(&org) && user.is_within(&user) && !org.is_within(&user));
    assert!(!longer.is_within(&org) && !forged.is_within(&org));
    assert!(forged != user && forged.to_string() != user.to_string());
    assert_eq!(forged.to_string(), "org:a%2Fuser%3Ab");
    Ok(())
}
