use std::collections::HashMap;

use super::*;
use crate::scope::Ids;

fn tree() -> ScopeTree {
    ScopeTree::builder()
        .level("org", "org_id")
        .child("org", "user", "user_id")
        .child("user", "session", "session_id")
        .child("org", "team", "team_id")
        .level("tenant", "tenant_id")
        .child("tenant", "type", "type_id")
        .build()
        .unwrap()
}

fn shown(place: impl Locate) -> String {
    ScopePath::of(&tree(), &place, "get").map_or_else(|error| error.to_string(), |path| path.to_string())
}

fn kind(place: impl Locate) -> ErrorKind {
    ScopePath::of(&tree(), &place, "get").expect_err("the place should be refused").kind()
}

#[test]
fn exact_path_resolves_and_prints() {
    let (name, number) = (String::from("acme"), 42u8);
    assert_eq!(shown(scope!(org = "acme", user = 42)), "org:acme/user:42");
    assert_eq!(shown(scope!(org = name, user = &number,)), "org:acme/user:42");
    assert_eq!(name, "acme");
    assert_eq!(shown(scope!(global)), "global");
    assert_eq!(shown(scope!(tenant = 1, type = 3)), "tenant:1/type:3");
    assert_eq!(shown(scope!(tenant = 1, r#type = 3)), "tenant:1/type:3");
    let place = scope!(org = 1);
    assert_eq!(shown(&place), shown(place.clone()));
}

#[test]
fn what_is_not_a_path_of_the_tree_is_refused_with_the_path_that_is() {
    assert_eq!(
        shown(scope!(user = 42)),
        "get: invalid path { given: user, known: org, user, session, team, tenant, type }: \
         the path of `user` is `org/user`"
    );
    for wrong in [
        kind(scope!(user = 42, org = 1)),
        kind(scope!(org = 1, session = 2)),
        kind(scope!(org = 1, org = 1)),
        kind(scope!(tenant = 1, user = 2)),
        kind(scope!(org = 1, user = 2, team = 3)),
        kind(PathIds::new(&["user"], ["1".id_text()])),
    ] {
        assert_eq!(wrong, ErrorKind::InvalidPath);
    }
    assert_eq!(kind(scope!(org = 1, usr = 2)), ErrorKind::UnknownLevel);
    assert!(shown(scope!(orgg = 1, user = 2)).ends_with("did you mean `org`?"));
    assert_eq!(kind(scope!(global = 1)), ErrorKind::UnknownLevel);
}

#[test]
fn borrowed_path_equals_the_exact_one() {
    let ids = PathIds::new(&["org", "user"], ["acme".id_text(), 42.id_text()]);
    assert_eq!(shown(ids), shown(scope!(org = "acme", user = 42)));
    assert_eq!(shown(PathIds::new(&[], [])), "global");
}

#[test]
fn bag_resolves_exactly_the_level_asked_for_whatever_else_it_holds() {
    let ids = Ids::new()
        .with("org_id", 1)
        .with("user_id", 2)
        .with("session_id", 3)
        .with("tenant_id", 4)
        .with("unrelated", 5);
    assert_eq!(shown(("org", &ids)), "org:1");
    assert_eq!(shown(("user", &ids)), "org:1/user:2");
    assert_eq!(shown(("tenant", &ids)), "tenant:4");
    assert_eq!(shown(("global", &ids)), "global");
    assert_eq!(shown(("user", &HashMap::from([("user_id", "2"), ("org_id", "1")]))), "org:1/user:2");
}

#[test]
fn missing_id_names_level_and_id() {
    assert_eq!(shown(("user", &[("user_id", 2)])), "get: missing id { level: org, id: org_id }");
    assert_eq!(shown(("team", &[("org_id", 2)])), "get: missing id { level: team, id: team_id }");
    assert_eq!(kind(("usr", &[("user_id", 2)])), ErrorKind::UnknownLevel);
}

#[test]
fn empty_or_overlong_id_is_refused_everywhere() {
    for hostile in [String::new(), "x".repeat(1025), "x".repeat(1 << 20)] {
        assert_eq!(kind(scope!(org = hostile)), ErrorKind::InvalidId);
        assert_eq!(kind(scope!(org = hostile, user = 1)), ErrorKind::InvalidId);
        assert_eq!(kind(("org", &[("org_id", &hostile)])), ErrorKind::InvalidId);
        assert_eq!(kind(PathIds::new(&["org"], [hostile.id_text()])), ErrorKind::InvalidId);
    }
}

#[test]
fn destructive_verb_refuses_surplus_ids_of_the_same_tree() {
    let tree = tree();
    let refused = |level: &str, bag: &[(&str, u8)]| (level, bag).refuse_surplus(&tree, "evict").is_err();
    assert!(refused("org", &[("org_id", 1), ("user_id", 2)]));
    assert!(refused("user", &[("org_id", 1), ("user_id", 2), ("team_id", 3)]));
    assert!(!refused("user", &[("org_id", 1), ("user_id", 2)]));
    assert!(!refused("user", &[("org_id", 1), ("user_id", 2), ("tenant_id", 3), ("other", 4)]));
    assert!(refused("global", &[("tenant_id", 1)]));
    assert!(!refused("global", &[("other", 1)]));
    let error = ("org", &[("user_id", 2)]).refuse_surplus(&tree, "evict").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath);
    assert!(error.to_string().contains("surplus: user_id"), "{error}");
    assert!(scope!(org = 1).refuse_surplus(&tree, "evict").is_ok());
    // A reference to a place is as strict as the place.
    let place = &("org", &[("user_id", 2)]);
    assert!(<&_ as Locate>::refuse_surplus(&place, &tree, "evict").is_err());
}

#[test]
fn id_name_that_siblings_share_is_surplus_only_where_it_is_not_on_the_path() {
    let tree = ScopeTree::builder()
        .level("org", "org_id")
        .child("org", "user", "member")
        .child("org", "team", "member")
        .build()
        .unwrap();
    let bag = [("org_id", 1), ("member", 2)];
    assert!(("user", &bag).refuse_surplus(&tree, "evict").is_ok());
    assert!(("org", &bag).refuse_surplus(&tree, "evict").is_err());
}

#[test]
fn printed_path_escapes_what_could_deceive() {
    assert_eq!(shown(scope!(org = "1/user:2")), "org:1%2Fuser%3A2");
    assert_eq!(shown(scope!(org = "100%\\")), "org:100%25%5C");
    assert_eq!(shown(scope!(org = "a\nb\u{1b}\u{85}")), "org:a%0Ab%1B%C2%85");
    assert_eq!(shown(scope!(org = "a\u{202e}b\u{200b}")), "org:a%E2%80%AEb%E2%80%8B");
    assert_eq!(shown(scope!(org = "größe 東京")), "org:größe 東京");
    assert_eq!(shown(scope!(org = "../..")), "org:..%2F..");
}

#[test]
fn owned_path_is_a_place_in_its_own_tree_and_in_one_that_has_its_names() {
    let first = ScopePath::of(&tree(), &scope!(org = 1, user = 2), "get").unwrap();
    let second = ScopePath::of(&tree(), &first, "get").unwrap();
    assert_eq!(first, second);
    assert_eq!(first.parts().collect::<Vec<_>>(), [("org", "1"), ("user", "2")]);
    assert_eq!((first.level_name(), ScopePath::global(&tree()).level_name()), ("user", "global"));
    let other = ScopeTree::builder().level("user", "id").build().unwrap();
    assert_eq!(ScopePath::of(&other, &first, "get").unwrap_err().kind(), ErrorKind::InvalidPath);
    let empty = ScopeTree::builder().build().unwrap();
    assert_eq!(ScopePath::of(&empty, &first, "get").unwrap_err().kind(), ErrorKind::UnknownLevel);
}

#[test]
fn path_is_within_itself_and_those_above_by_whole_segments() {
    let path = |place: &dyn Locate| ScopePath::of(&tree(), place, "get").unwrap();
    let user = path(&scope!(org = "a", user = "b"));
    assert!(user.is_within(&user) && user.is_within(&path(&scope!(org = "a"))));
    assert!(user.is_within(&path(&scope!(global))));
    for other in
        [path(&scope!(org = "ab")), path(&scope!(org = "a", team = "b")), path(&scope!(tenant = "a"))]
    {
        assert!(!user.is_within(&other) && !other.is_within(&user) && user != other);
    }
}

#[test]
fn raw_level_name_loses_its_prefix_only() {
    assert_eq!([plain("r#type"), plain("raw"), plain("r"), plain("r#")], ["type", "raw", "r", ""]);
}
