//! Cells by themselves: who finds which, what a withdrawal looks at, and that nothing is left of them.

use super::*;
use crate::scope;
use crate::scope::{Charge, Registry, ScopePath, ScopeTree, TrackedLevels};

fn registry() -> Registry {
    Registry::new(ScopeTree::default(), TrackedLevels::First)
}

fn org(registry: &Registry, id: u64) -> Arc<Node> {
    let path = ScopePath::of(registry.tree(), &scope!(org = id), "test").expect("a good path");
    registry.find_or_create(&path, "test").expect("a good path")
}

fn tags(texts: &[&str]) -> Tags {
    let mut tags = Tags::none();
    for text in texts {
        let tag = text.strip_prefix("global ").map_or_else(|| Tag::new(text), Tag::global);
        tags.add(tag.expect("a good tag"), 0, "test").expect("few enough");
    }
    tags
}

fn in_book(registry: &Registry) -> (usize, usize, usize) {
    let (sets, tags) = registry.root().shared().cells().in_book();
    (sets, tags, registry.tag_sets())
}

/// Collects until nothing is left: what readers of other tests may still look at is waited for.
fn collect_all(registry: &Registry) {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !registry.is_empty() {
        assert!(std::time::Instant::now() < limit, "{} scopes stay", registry.len());
        crate::epoch::settle();
        registry.collect_idle(usize::MAX);
    }
}

#[test]
fn set_of_a_scope_has_one_cell_that_goes_with_its_last_holder() {
    let registry = registry();
    let [acme, globex] = [1, 2].map(|id| org(&registry, id));
    let (nodes, cell) = (registry.len(), registry.cell(&acme, &tags(&["a", "b"])));
    let same = registry.cell(&acme, &tags(&["b", "a"]));
    assert!(Arc::ptr_eq(cell.node(), same.node()) && cell.word() == same.word());
    let others = [(&acme, ["a"]), (&globex, ["a"]), (&acme, ["global a"])];
    let others = others.map(|(scope, texts)| registry.cell(scope, &tags(&texts)));
    assert!(others.iter().all(|other| other.word().number() != cell.word().number()));
    // Tags: a and b of acme, a of globex, a of the root.
    assert_eq!(in_book(&registry), (4, 4, 4));
    assert_eq!(registry.len(), nodes, "cells are no scopes");
    assert_eq!(cell.node().to_string(), acme.to_string());
    assert!(cell.node().own_stats().is_none() && Arc::ptr_eq(cell.node().scope(), &acme));
    drop((cell, others));
    assert_eq!(in_book(&registry), (1, 2, 1));
    drop(same);
    assert_eq!(in_book(&registry), (0, 0, 0));
    drop((acme, globex));
    collect_all(&registry);
}

#[test]
fn scope_stays_while_it_has_a_cell() {
    let registry = registry();
    let acme = org(&registry, 1);
    let id = acme.id();
    let cell = registry.cell(&acme, &tags(&["a"]));
    drop(acme);
    registry.collect_idle(usize::MAX);
    assert_eq!((registry.len(), org(&registry, 1).id()), (1, id));
    drop(cell);
    assert!(registry.idle_work(), "somebody looks again");
    collect_all(&registry);
}

#[test]
fn withdrawal_kills_the_cells_of_its_tag_and_counts_them_along_the_path() {
    let registry = registry();
    let [acme, globex] = [1, 2].map(|id| org(&registry, id));
    let sets: [(&Arc<Node>, &[&str]); 5] =
        [(&acme, &["a"]), (&acme, &["a", "b"]), (&acme, &["b"]), (&globex, &["a"]), (&globex, &["global a"])];
    let cells = sets.map(|(scope, texts)| registry.cell(scope, &tags(texts)));
    for (at, cell) in cells.iter().enumerate() {
        for _ in 0..=at {
            assert_eq!(cell.node().charge(10), Charge::Live);
        }
    }
    let live = |cells: &[Cell]| -> Vec<bool> {
        cells.iter().map(|cell| registry.live_cells().is_live(cell.word())).collect()
    };
    let withdrawn = registry.withdraw(&acme, "a");
    assert_eq!(withdrawn, Withdrawn { entries: 3, weight: 30, cells: 2 });
    assert_eq!(live(&cells), [false, false, true, true, true]);
    assert_eq!((acme.entries(), registry.total()), (3, (12, 120)));
    assert_eq!(registry.withdraw(&acme, "a"), Withdrawn::default());
    assert!(!cells[0].node().release(10), "it was counted");
    assert_eq!((acme.entries(), registry.total().0), (3, 12));
    assert_ne!(
        registry.cell(&acme, &tags(&["a"])).word(),
        cells[0].word(),
        "another one for whoever writes now"
    );
    let root = registry.root();
    assert_eq!(registry.withdraw(&root, "a"), Withdrawn { entries: 5, weight: 50, cells: 1 });
    assert_eq!(registry.detach(&globex).map(|taken| taken.entries), Some(4));
    assert_eq!(registry.withdraw(&globex, "a"), Withdrawn { cells: 1, ..Withdrawn::default() });
}

#[test]
fn number_that_was_given_again_makes_no_word_of_before_valid() {
    let registry = registry();
    let acme = org(&registry, 1);
    let mut before: Vec<CellWord> = Vec::new();
    for round in 0..100 {
        let cell = registry.cell(&acme, &tags(&["a"]));
        assert_eq!(cell.word().number(), CELL, "the same number, for it came back");
        assert!(registry.live_cells().is_live(cell.word()));
        assert!(before.iter().all(|word| !registry.live_cells().is_live(*word)), "{round}");
        if round % 2 == 0 {
            registry.withdraw(&acme, "a");
            assert!(!registry.live_cells().is_live(cell.word()));
        }
        before.push(cell.word());
    }
}

#[test]
fn work_of_a_withdrawal_does_not_depend_on_entries() {
    for entries in [10, 1_000_000] {
        let registry = registry();
        let acme = org(&registry, 1);
        let cells = [registry.cell(&acme, &tags(&["a"])), registry.cell(&acme, &tags(&["a", "b"]))];
        for entry in 0..entries {
            assert_eq!(cells[entry % 2].node().charge(1), Charge::Live);
        }
        let withdrawn = registry.withdraw(&acme, "a");
        assert_eq!((withdrawn.entries, withdrawn.cells), (entries as i64, 2));
    }
}

#[test]
fn number_that_ran_out_is_not_given_again() {
    let live = Live::default();
    assert!(live.can_be_given(CELL));
    live.of(CELL).store(u64::from(u32::MAX) - 1, Ordering::Release);
    let word = live.begin(CELL);
    assert!(live.is_live(word) && !live.can_be_given(CELL));
    live.end(word);
    assert!(!live.is_live(word) && !live.can_be_given(CELL));
}
