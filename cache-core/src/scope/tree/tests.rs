use super::*;

fn faults(builder: ScopeTreeBuilder) -> Vec<String> {
    let error = builder.build().expect_err("the tree should be refused");
    assert_eq!(error.kind(), ErrorKind::InvalidTree);
    error.context().map(|(name, fact)| (assert_eq!(name, "fault"), fact.to_owned()).1).collect()
}

#[track_caller]
fn refused(builder: ScopeTreeBuilder, expected: &[&str]) {
    assert_eq!(faults(builder), expected);
}

fn tree() -> ScopeTreeBuilder {
    ScopeTree::builder()
}

#[test]
fn default_tree_is_org_user_session() {
    let tree = ScopeTree::default();
    assert_eq!(
        format!("{tree:?}"),
        r#"{"org(org_id)", "org/user(user_id)", "org/user/session(session_id)"}"#
    );
    let session = tree.level("session").unwrap();
    assert_eq!(tree.path_names(session), "org/user/session");
    assert_eq!(tree.id_name(session), "session_id");
    assert_eq!(tree.parent(session), tree.level("user"));
    assert_eq!(tree.root_of(session), tree.level("org").unwrap());
    assert!(tree.is_first(tree.root_of(session)) && !tree.is_first(session));
    assert_eq!(tree.parent(tree.root_of(session)), None);
}

#[test]
fn several_roots_and_siblings_that_share_an_id_name_are_one_tree() {
    let tree = tree()
        .child("org", "user", "member_id")
        .child("org", "team", "member_id")
        .level("org", "org_id")
        .level("tenant", "org_id")
        .build()
        .unwrap();
    assert_eq!(tree.known(), "user, team, org, tenant");
    assert_eq!(tree.levels().filter(|&level| tree.is_first(level)).count(), 2);
    let team = tree.level("team").unwrap();
    assert_eq!(tree.path(team), [tree.level("org").unwrap(), team]);
}

#[test]
fn tree_without_levels_knows_only_global() {
    let tree = tree().build().unwrap();
    assert_eq!(tree.levels().len(), 0);
    assert_eq!(tree.known(), "only global");
}

#[test]
fn level_or_id_name_twice_is_refused() {
    refused(tree().level("a", "x").level("a", "y"), &["level a is declared twice"]);
    refused(
        tree().level("a", "x").child("a", "b", "y").child("b", "c", "x"),
        &["levels a and c of one path share the id name x"],
    );
}

#[test]
fn empty_name_is_refused() {
    refused(tree().level("", "x"), &["empty level name in declaration 1"]);
    refused(tree().level("a", ""), &["empty id name in declaration 1"]);
    refused(
        tree().level("", "x").level("", "y"),
        &["empty level name in declaration 1", "empty level name in declaration 2"],
    );
}

#[test]
fn level_called_global_is_refused() {
    refused(tree().level("global", "x"), &["a level cannot be called global: that is the root scope"]);
    assert!(tree().level("Global", "global").build().is_ok());
}

#[test]
fn separators_white_space_and_control_characters_in_names_are_refused() {
    for bad in ['/', ':', '=', ',', '.', ' ', '\t', '\n', '\0', '\u{7f}', '\u{85}', '\u{a0}', '\u{2028}'] {
        let name = format!("a{bad}b");
        for builder in [tree().level(&name, "x"), tree().level("x", &name)] {
            let found = faults(builder);
            assert!(found.len() == 1 && found[0].contains("contains"), "{bad:?}: {found:?}");
            assert!(!found[0].chars().any(char::is_control), "{found:?}");
        }
    }
    assert!(tree().level("größe-1_b", "ид").build().is_ok());
}

#[test]
fn unknown_parent_is_refused() {
    refused(tree().child("orgg", "user", "u"), &["parent orgg of level user is unknown"]);
}

#[test]
fn cycle_of_parents_is_refused_for_each_level_on_it_and_not_below() {
    refused(
        tree().child("c", "a", "x").child("a", "b", "y").child("b", "c", "z").child("c", "d", "w"),
        &["level a is its own ancestor", "level b is its own ancestor", "level c is its own ancestor"],
    );
    refused(tree().child("a", "a", "x"), &["level a is its own ancestor"]);
}

fn chain(depth: usize) -> ScopeTreeBuilder {
    (1..depth).fold(tree().level("l0", "i0"), |builder, i| {
        builder.child(format!("l{}", i - 1), format!("l{i}"), format!("i{i}"))
    })
}

#[test]
fn path_of_sixteen_levels_is_accepted_and_of_seventeen_refused() {
    let deep = chain(MAX_DEPTH).build().unwrap();
    assert_eq!(deep.path(deep.level("l15").unwrap()).len(), MAX_DEPTH);
    refused(chain(MAX_DEPTH + 1), &["level l16 is 17 deep, at most 16 is allowed"]);
}

#[test]
fn tree_of_1024_levels_is_accepted_and_of_1025_refused() {
    let wide = |count| (0..count).fold(tree(), |builder, i| builder.level(format!("l{i}"), "x"));
    let full = wide(MAX_LEVELS).build().unwrap();
    assert_eq!(full.level("l1023").unwrap().index(), 1023);
    assert!(full.known().ends_with("l31, …"), "{}", full.known());
    refused(wide(MAX_LEVELS + 1), &["1025 levels, at most 1024 are allowed"]);
}

#[test]
fn all_faults_come_at_once() {
    refused(
        tree().level("", "x").level("global", "a b").child("nobody", "c", "z").child("d", "d", "z"),
        &[
            "empty level name in declaration 1",
            "id name a\\u{20}b contains ' '",
            "a level cannot be called global: that is the root scope",
            "parent nobody of level c is unknown",
            "level d is its own ancestor",
        ],
    );
}

#[test]
fn unknown_level_is_an_error_that_suggests_the_nearest() {
    let tree = ScopeTree::default();
    let shown = |name: &str| tree.expect_level(name, "get").unwrap_err().to_string();
    assert_eq!(
        shown("usr"),
        "get: unknown level { level: usr, known: org, user, session }: did you mean `user`?"
    );
    assert!(shown("Session").ends_with("did you mean `session`?"));
    for far in ["tenant", "", "xyz", "ab"] {
        assert!(!shown(far).contains("mean"), "{}", shown(far));
    }
    let hostile = shown(&"a\u{1b}[31m\n\u{202e}".repeat(100_000));
    assert!(hostile.len() < 800 && !hostile.chars().any(char::is_control), "{hostile}");
    assert!(!hostile.contains('\u{202e}'));
}

#[cfg(feature = "config-toml")]
mod from_toml {
    use super::*;

    const TREE: &str = r#"
        [[level]]
        name = "user"
        id = "user_id"
        parent = "org"

        [[level]]
        name = "org"
        id = "org_id"
    "#;

    #[test]
    fn levels_are_read_in_any_order() {
        let tree = ScopeTree::from_toml(TREE).unwrap();
        assert_eq!(tree.path_names(tree.level("user").unwrap()), "org/user");
        assert_eq!(ScopeTree::from_toml("").unwrap().levels().len(), 0);
    }

    #[test]
    fn what_is_no_tree_is_refused_with_its_line() {
        for (text, line, part) in [
            ("[[level]]\nname = \"a\"\nid = \"x\"\nparnt = \"b\"", "4", "unknown field `parnt`"),
            ("levels = []", "1", "unknown field `levels`"),
            ("[[level]]\nname = \"a\"", "1", "missing field `id`"),
            ("[[level]]\nname = 3\nid = \"x\"", "2", "invalid type"),
            ("\n\n[[level", "3", ""),
            ("level = 3", "1", "invalid type"),
        ] {
            let error = ScopeTree::from_toml(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidTree);
            assert_eq!(error.context().collect::<Vec<_>>(), [("line", line)], "{text}: {error}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn rules_of_the_builder_hold() {
        let error = ScopeTree::from_toml("[[level]]\nname = \"global\"\nid = \"\"").unwrap_err();
        assert_eq!(error.context().count(), 2, "{error}");
    }
}
