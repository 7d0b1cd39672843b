//! Who has which budget: by path, else by level; and what is granted of it.
//!
//! (1) Accounts are found by the account above, level and id, so by path; a path set by name keeps its account, others go
//! with their nodes. (2) A budget set by name is granted in full or refused. A reserve that a level gives to each of its
//! scopes is granted to a scope when it appears, if it fits, and else later, when others have returned theirs; the capacity
//! always is. (3) Who drops an account leaves a note, under a lock below which none is taken; whoever has the state's lock next
//! reads it. (4) `changes` moves after nodes that exist may have to be given an account, and before it is given.
//! Cost: O(depth) to set one by name; a change of a level, or of what the cache may hold, works out all anew.

use std::collections::{HashMap, VecDeque};

use ahash::RandomState;
use hashbrown::HashTable;

use super::account::{Account, Unit};
use super::asked::{Budget, Terms, UNBOUNDED};
use super::promises::{Promises, ROOMY, ROOT, Refusal};
use crate::error::{Error, ErrorKind, Result};
use crate::scope::path::ScopePath;
use crate::scope::tree::{LevelId, ScopeTree};
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, Weak};

/// The most refused reserves that are tried again at one time.
const RETRIED: usize = 32;

/// Refused reserves below which none is looked at for having gone.
const FEW_REFUSED: usize = 64;

/// What a scope was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Granted {
    /// Entries at most.
    pub max_entries: Option<u64>,
    /// Weight at most.
    pub max_weight: Option<u64>,
    /// Entries that nobody else may take.
    pub reserved_entries: u64,
    /// Weight that nobody else may take.
    pub reserved_weight: u64,
    /// The scope's level asks for a reserve that does not fit beside those of others.
    pub was_refused: bool,
}

impl From<&Account> for Granted {
    fn from(account: &Account) -> Self {
        let bound = |unit| Some(account.capacity(unit)).filter(|&most| most != UNBOUNDED);
        Self {
            max_entries: bound(Unit::Entries),
            max_weight: bound(Unit::Weight),
            reserved_entries: account.reserve(Unit::Entries),
            reserved_weight: account.reserve(Unit::Weight),
            was_refused: account.was_refused(),
        }
    }
}

/// The budgets of one cache.
pub struct Budgets {
    tree: ScopeTree,
    /// Some budget was set, at some time.
    is_active: AtomicBool,
    /// Moves when scopes become domains of their own, or cease to be.
    structure: AtomicU64,
    changes: AtomicU64,
    book: Arc<Book>,
}

/// What accounts know of the table.
pub(super) struct Book {
    state: Mutex<State>,
    /// Places and hashes of accounts that went.
    returned: Mutex<Vec<(u32, u64)>>,
}

struct State {
    bounds: [Option<u64>; 2],
    promises: Promises,
    /// By place of the level.
    levels: Vec<Option<Budget>>,
    /// By place of the level: whether it, or one below it, has a budget.
    wanted: Vec<bool>,
    known: HashTable<Known>,
    hasher: RandomState,
    /// Set by name, by place.
    named: HashMap<u32, (Arc<Account>, Budget), RandomState>,
    /// Reserves that did not fit, the one to be tried next first.
    refused: VecDeque<Weak<Account>>,
    /// How many of them there are when those that have gone are looked for.
    most_refused: usize,
}

struct Known {
    hash: u64,
    above: u32,
    place: u32,
    account: Weak<Account>,
}

/// What each account gets when all is worked out anew.
type Plan = Vec<(Arc<Account>, Terms, bool, bool)>;

impl Book {
    pub(super) fn close(&self, place: u32, hash: u64) {
        self.returned.lock().push((place, hash));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        let returned = std::mem::take(&mut *self.returned.lock());
        if !returned.is_empty() {
            state.take_back(returned);
        }
        state
    }
}

impl Budgets {
    /// No budgets yet, for a cache of these bounds.
    pub(in crate::scope) fn new(tree: &ScopeTree) -> Self {
        let levels = tree.levels().len();
        let hasher = if cfg!(shuttle) { RandomState::with_seeds(1, 2, 3, 4) } else { RandomState::new() };
        let state = State {
            bounds: [None; 2],
            promises: Promises::new([UNBOUNDED; 2]),
            levels: vec![None; levels],
            wanted: vec![false; levels],
            known: HashTable::new(),
            named: HashMap::with_hasher(hasher.clone()),
            hasher,
            refused: VecDeque::new(),
            most_refused: FEW_REFUSED,
        };
        Self {
            tree: tree.clone(),
            is_active: AtomicBool::new(false),
            structure: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            book: Arc::new(Book { state: Mutex::new(state), returned: Mutex::new(Vec::new()) }),
        }
    }

    /// Whether any budget was ever set.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.is_active.load(Ordering::Acquire)
    }

    /// Moves when scopes become domains of their own, or cease to be.
    #[inline]
    pub fn structure(&self) -> u64 {
        self.structure.load(Ordering::Acquire)
    }

    /// After many accounts went: gives back what was kept for them.
    pub(in crate::scope) fn give_back(&self) {
        if !self.is_active() {
            return;
        }
        let mut state = self.book.state();
        state.promises.give_back();
        let known = &mut state.known;
        if known.capacity() / ROOMY >= known.len().max(1) {
            known.shrink_to(known.len() * 2, |known| known.hash);
        }
    }

    /// Moves before nodes that exist are given accounts.
    pub(in crate::scope) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// The account of a path that is to get a node: if it is known, or a level at or below it has a budget. `above` is that of the
    /// scope above, none under the root.
    pub(in crate::scope) fn account_for(
        &self,
        above: Option<&Arc<Account>>,
        level: LevelId,
        text: &str,
    ) -> Option<Arc<Account>> {
        // Above a path with an account every scope has one.
        if !self.is_active() || (above.is_none() && !self.tree.is_first(level)) {
            return None;
        }
        let mut state = self.book.state();
        match state.find(above, level, text) {
            None if state.wanted[level.index()] => Some(self.open(&mut state, above, level, text)),
            found => found,
        }
    }

    /// An account for a path that has none: it gets what its level has.
    fn open(
        &self,
        state: &mut State,
        above: Option<&Arc<Account>>,
        level: LevelId,
        text: &str,
    ) -> Arc<Account> {
        let (book, parent) = (Arc::downgrade(&self.book), above.cloned());
        let above = above.map_or(ROOT, |above| above.place());
        let (place, hash) = (state.promises.open(above), state.hash(above, level, text));
        let account = Arc::new(Account::new(book, parent, level, text.into(), (place, hash)));
        let known = Known { hash, above, place, account: Arc::downgrade(&account) };
        state.known.insert_unique(hash, known, |known| known.hash);
        state.grant_by_level(&account);
        account
    }

    /// Sets the budget of a path by name, or lets it have its level's again. Answers the accounts of the path, from the first
    /// level down, and whether the last began or ceased to have terms of its own.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`] with all faults; then nothing has changed.
    pub(in crate::scope) fn set(
        &self,
        path: &ScopePath,
        budget: Option<Budget>,
    ) -> Result<(Vec<Arc<Account>>, bool)> {
        if path.level_id().is_none() {
            return Err(Error::new(ErrorKind::InvalidBudget, "budget")
                .with("scope", path)
                .because("the root scope holds what the cache may hold: change its capacity"));
        }
        let mut accounts: Vec<Arc<Account>> = Vec::new();
        let mut state = self.book.state();
        let terms = budget.as_ref().map(|budget| budget.terms(state.bounds)).transpose();
        let terms = terms.map_err(|error| error.with("scope", path))?;
        for (level, text) in path.levels() {
            let above = accounts.last();
            let account = state.find(above, level, text);
            accounts.push(account.unwrap_or_else(|| self.open(&mut state, above, level, text)));
        }
        let Some(own) = accounts.last().cloned() else { return Ok((accounts, false)) };
        let (changed, old) = match (terms, budget) {
            (Some(terms), Some(budget)) => {
                let asked = state.promises.ask(own.place(), terms);
                if let Err(refusal) = asked {
                    let error = too_much(&accounts, refusal).with("scope", path);
                    // Accounts that were made for this go when the lock has gone.
                    drop(state);
                    return Err(error);
                }
                state.promises.give(own.place(), terms);
                let old = state.named.insert(own.place(), (Arc::clone(&own), budget));
                (own.write(terms, true, false), old)
            }
            _ => {
                if let Err(refusal) = state.by_level(&own) {
                    let error = too_much(&accounts, refusal).with("scope", path);
                    drop(state);
                    return Err(error);
                }
                let old = state.named.remove(&own.place());
                (state.grant_by_level(&own), old)
            }
        };
        state.try_refused();
        drop(state);
        drop(old);
        self.begin();
        Ok((accounts, changed))
    }

    /// The budget that was set for a path by name.
    pub fn named(&self, path: &ScopePath) -> Option<Budget> {
        let state = self.book.state();
        let account = state.at(path)?;
        state.named.get(&account.place()).map(|(_, budget)| budget.clone())
    }

    /// What a path was granted, if it has an account.
    pub fn granted(&self, path: &ScopePath) -> Option<Granted> {
        self.book.state().at(path).as_deref().map(Granted::from)
    }

    /// The budget of each scope of a level.
    pub fn of_level(&self, level: LevelId) -> Option<Budget> {
        self.book.state().levels[level.index()].clone()
    }

    /// Gives each scope of a level a budget, or takes it away. Scopes that exist may need an account then.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`] with all faults; then nothing has changed.
    pub(in crate::scope) fn set_level(&self, level: LevelId, budget: Option<Budget>) -> Result<()> {
        let mut state = self.book.state();
        let mut levels = state.levels.clone();
        levels[level.index()] = budget;
        let bounds = state.bounds;
        self.work_out(&mut state, bounds, levels)?;
        drop(state);
        self.begin();
        Ok(())
    }

    /// From now on nodes that are made have their accounts, and those that were made meanwhile are looked at again.
    fn begin(&self) {
        self.is_active.store(true, Ordering::SeqCst);
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Says what the cache may hold now.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`] if what was promised by name does not fit; then nothing has changed.
    pub fn set_bounds(&self, bounds: [Option<u64>; 2]) -> Result<()> {
        let mut state = self.book.state();
        let levels = state.levels.clone();
        self.work_out(&mut state, bounds, levels)
    }

    /// Works out all anew, for these bounds and levels.
    fn work_out(
        &self,
        state: &mut State,
        bounds: [Option<u64>; 2],
        levels: Vec<Option<Budget>>,
    ) -> Result<()> {
        self.check_levels(bounds, &levels)?;
        let (promises, plan) = state.plan(bounds, &levels)?;
        (state.bounds, state.promises) = (bounds, promises);
        state.wanted.fill(false);
        for level in self.tree.levels().filter(|level| levels[level.index()].is_some()) {
            self.tree.path(level).iter().for_each(|above| state.wanted[above.index()] = true);
        }
        state.levels = levels;
        state.refused.clear();
        let mut changed = false;
        for (account, terms, has_terms, was_refused) in &plan {
            changed |= account.write(*terms, *has_terms, *was_refused);
            if *was_refused {
                state.note_refused(account);
            }
        }
        if changed {
            self.reorder();
        }
        Ok(())
    }

    /// Scopes that exist began to be ordered by themselves, or ceased to. Said after the account, or the node's hold of it, has changed.
    pub(in crate::scope) fn reorder(&self) {
        self.structure.fetch_add(1, Ordering::AcqRel);
    }

    /// What can be said of levels before there is any scope: each by itself, and along the paths of the tree.
    fn check_levels(&self, bounds: [Option<u64>; 2], levels: &[Option<Budget>]) -> Result<()> {
        let mut faults = Vec::new();
        let terms: Vec<Terms> = (self.tree.levels())
            .map(|level| {
                let terms = levels[level.index()].as_ref().map(|budget| budget.terms(bounds)).transpose();
                let fault = |error: Error| faults.push(format!("level {}: {error}", self.tree.name(level)));
                terms.map_err(fault).ok().flatten().unwrap_or(Terms::NONE)
            })
            .collect();
        for level in self.tree.levels() {
            let Some((own, above)) = self.tree.path(level).split_last() else { continue };
            for (unit, upper) in
                Unit::BOTH.into_iter().flat_map(|unit| above.iter().map(move |up| (unit, up)))
            {
                let reserve = terms[own.index()].reserve[unit as usize];
                let capacity = terms[upper.index()].capacity[unit as usize];
                if reserve > capacity {
                    faults.push(format!(
                        "level {}: a reserve of {reserve} {} is above the {capacity} that its {} may hold",
                        self.tree.name(level),
                        unit.name(),
                        self.tree.name(*upper),
                    ));
                }
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(all_of(&faults))
    }

    /// All accounts there are.
    pub(crate) fn all(&self) -> Vec<Arc<Account>> {
        self.book.state().known.iter().filter_map(|known| known.account.upgrade()).collect()
    }

    /// How many refused reserves are remembered, of those that have gone too.
    #[cfg(test)]
    #[cfg(not(shuttle))]
    pub(super) fn refused(&self) -> usize {
        self.book.state().refused.len()
    }

    /// What is promised in all.
    pub fn reserved(&self, unit: Unit) -> u64 {
        self.book.state().promises.total(unit)
    }
}

impl State {
    fn hash(&self, above: u32, level: LevelId, text: &str) -> u64 {
        self.hasher.hash_one((above, level, text))
    }

    fn find(&self, above: Option<&Arc<Account>>, level: LevelId, text: &str) -> Option<Arc<Account>> {
        let above = above.map_or(ROOT, |above| above.place());
        let hash = self.hash(above, level, text);
        let mut found = None;
        self.known.find(hash, |known| {
            if known.hash != hash || known.above != above {
                return false;
            }
            // One that is about to go is as good as gone.
            found =
                known.account.upgrade().filter(|account| account.level() == level && account.text() == text);
            found.is_some()
        });
        found
    }

    /// The account of a path.
    fn at(&self, path: &ScopePath) -> Option<Arc<Account>> {
        let mut account = None;
        for (level, text) in path.levels() {
            account = Some(self.find(account.as_ref(), level, text)?);
        }
        account
    }

    /// What a path gets by its level, and what it would get if all fitted; nothing without a budget of the level.
    ///
    /// # Errors
    /// If its capacity would be too small for what was promised below it.
    fn by_level(&self, account: &Account) -> Result<Option<[Terms; 2]>, Refusal> {
        let budget = self.levels[account.level().index()].as_ref();
        // It was checked when it was set.
        let asked = budget.and_then(|budget| budget.terms(self.bounds).ok());
        asked.map(|asked| Ok([granted(&self.promises, account.place(), asked)?, asked])).transpose()
    }

    /// Gives a path what its level has; whether it is ordered by itself now, and was not, or the other way round.
    fn grant_by_level(&mut self, account: &Arc<Account>) -> bool {
        let Ok(Some([granted, asked])) = self.by_level(account) else {
            self.promises.give(account.place(), Terms::NONE);
            return account.write(Terms::NONE, false, false);
        };
        self.promises.give(account.place(), granted);
        if granted != asked {
            self.note_refused(account);
        }
        account.write(granted, true, granted != asked)
    }

    /// Takes back what accounts had that went.
    fn take_back(&mut self, returned: Vec<(u32, u64)>) {
        // Those below are closed before those above: they held them.
        for (place, hash) in returned {
            if let Ok(known) = self.known.find_entry(hash, |known| known.place == place) {
                known.remove();
            }
            self.promises.close(place);
        }
        self.try_refused();
    }

    /// A reserve does not fit now. Those that have gone must not pile up.
    fn note_refused(&mut self, account: &Arc<Account>) {
        if self.refused.len() >= self.most_refused {
            self.refused.retain(|refused| refused.strong_count() > 0);
            self.most_refused = self.refused.len() * 2 + FEW_REFUSED;
        }
        self.refused.push_back(Arc::downgrade(account));
    }

    /// Some of the reserves that did not fit may fit now. Whoever waited longest comes first; what does not fit at all waits behind
    /// the others, so that it keeps nobody from what is left.
    fn try_refused(&mut self) {
        let mut has_granted = false;
        for _ in 0..self.refused.len().min(RETRIED) {
            let Some(refused) = self.refused.pop_front() else { return };
            let account = refused.upgrade().filter(|account| account.was_refused());
            let Some(account) = account.filter(|account| !self.named.contains_key(&account.place())) else {
                continue;
            };
            if matches!(self.by_level(&account), Ok(Some([granted, asked])) if granted == asked) {
                self.grant_by_level(&account);
                has_granted = true;
            } else if has_granted {
                self.refused.push_front(refused);
                return;
            } else {
                self.refused.push_back(refused);
            }
        }
    }

    /// What everybody gets with other bounds and levels.
    fn plan(&self, bounds: [Option<u64>; 2], levels: &[Option<Budget>]) -> Result<(Promises, Plan)> {
        let mut promises = self.promises.clone();
        promises.begin_anew(bounds.map(|bound| bound.unwrap_or(UNBOUNDED)));
        let mut plan = Plan::new();
        let mut faults = Vec::new();
        // Those above before those below, so that their capacity counts.
        let mut named: Vec<_> = self.named.values().collect();
        named.sort_by_key(|(account, _)| depth(account));
        for (account, budget) in named {
            let shown = || shown(account);
            match budget.terms(bounds) {
                Err(error) => faults.push(format!("{}: {error}", shown())),
                Ok(terms) => match promises.ask(account.place(), terms) {
                    Err(refusal) => faults.push(format!("{}: {}", shown(), why(refusal))),
                    Ok(()) => {
                        promises.give(account.place(), terms);
                        plan.push((Arc::clone(account), terms, true, false));
                    }
                },
            }
        }
        if !faults.is_empty() {
            return Err(all_of(&faults));
        }
        let mut others: Vec<_> = (self.known.iter())
            .filter(|known| !self.named.contains_key(&known.place))
            .filter_map(|known| known.account.upgrade())
            .collect();
        others.sort_by_key(depth);
        for account in others {
            let asked = levels[account.level().index()].as_ref().and_then(|budget| budget.terms(bounds).ok());
            let Some(asked) = asked else {
                plan.push((account, Terms::NONE, false, false));
                continue;
            };
            match granted(&promises, account.place(), asked) {
                Err(refusal) => faults.push(format!("{}: {}", shown(&account), why(refusal))),
                Ok(terms) => {
                    promises.give(account.place(), terms);
                    plan.push((account, terms, true, terms != asked));
                }
            }
        }
        if faults.is_empty() { Ok((promises, plan)) } else { Err(all_of(&faults)) }
    }
}

/// What can be granted of what a level gives: all, or the capacity alone.
fn granted(promises: &Promises, place: u32, asked: Terms) -> Result<Terms, Refusal> {
    if promises.ask(place, asked).is_ok() {
        return Ok(asked);
    }
    let alone = Terms { reserve: [0; 2], ..asked };
    promises.ask(place, alone).map(|()| alone)
}

/// At most so many faults are listed.
const LISTED: usize = 16;

fn all_of(faults: &[String]) -> Error {
    let error = Error::new(ErrorKind::InvalidBudget, "budget").with("faults", faults.len());
    error.because(faults.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join("; "))
}

fn depth(account: &Arc<Account>) -> usize {
    std::iter::successors(Some(account), |account| account.parent()).count()
}

/// A path, shortly, for errors.
fn shown(account: &Arc<Account>) -> String {
    let mut texts: Vec<&str> = std::iter::successors(Some(account), |account| account.parent())
        .map(|account| account.text())
        .collect();
    texts.reverse();
    texts.join("/")
}

fn why(refusal: Refusal) -> String {
    let Refusal { unit, wanted, capacity, .. } = refusal;
    format!("reserves would take {wanted} {} of {capacity}", unit.name())
}

#[cold]
fn too_much(accounts: &[Arc<Account>], refusal: Refusal) -> Error {
    let at = accounts.iter().find(|account| account.place() == refusal.at);
    let at = at.map_or_else(|| "the cache".to_owned(), shown);
    Error::new(ErrorKind::InvalidBudget, "budget")
        .with("short", at)
        .because(format!("{}: reserve less, or raise that capacity", why(refusal)))
}

impl std::fmt::Debug for Budgets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budgets").field("is_active", &self.is_active()).finish_non_exhaustive()
    }
}
