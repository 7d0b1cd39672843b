//! Budgets of scopes, as the engine keeps them: changed at run time, and what those who make room share about them.
//!
//! (1) A change that is refused changes nothing; one that is made has evicted down to it when it returns. (2) Nobody else makes others
//! pay while somebody has the turn. Lock order: turn, then shard.

use super::{Engine, Spare};
use crate::error::Result;
use crate::scope::{Budget, LevelId, Node, ScopePath};
use crate::sync::{AtomicU64, MutexGuard};

impl Engine {
    /// Sets the budget of a path by name, or lets it have its level's again, and evicts down to it. Entries of scopes that begin
    /// or cease to be ordered by themselves are brought into their order by later writes, and where somebody has to pay.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`](crate::error::ErrorKind::InvalidBudget) with all faults; then nothing has changed.
    pub fn set_budget(&self, path: &ScopePath, budget: Option<Budget>) -> Result<()> {
        let account = self.registry().set_budget(path, budget)?;
        if let Some(node) = account.and_then(|account| self.registry().node_of(&account)) {
            self.make_room(Spare::NOBODY, Some(&node));
        }
        tracing::info!(target: "strata_cache", scope = %path, "budget changed");
        Ok(())
    }

    /// Gives each scope of a level a budget, or takes it away, and evicts down to it. Looks at all scopes there are.
    ///
    /// # Errors
    /// As [`set_budget`](Self::set_budget).
    pub fn set_budget_of_level(&self, level: LevelId, budget: Option<Budget>) -> Result<()> {
        self.registry().set_budget_of_level(level, budget)?;
        self.keep_budgets();
        tracing::info!(target: "strata_cache", level = self.registry().tree().name(level), "budgets changed");
        Ok(())
    }

    /// Evicts from scopes that hold more than they may now.
    pub(super) fn keep_budgets(&self) {
        if !self.has_budgets() {
            return;
        }
        for account in self.registry().budgets().all() {
            if let Some(node) =
                self.registry().node_of(&account).filter(|node| node.first_over([0, 0]).is_some())
            {
                self.make_room(Spare::NOBODY, Some(&node));
            }
        }
    }

    /// Whether any scope has, or had, a budget.
    #[inline]
    pub(crate) fn has_budgets(&self) -> bool {
        self.registry().budgets().is_active()
    }

    /// Moves when scopes become domains of their own, or cease to be.
    #[inline]
    pub(crate) fn structure(&self) -> u64 {
        self.registry().budgets().structure()
    }

    /// The right to make others pay. Taken before a shard's lock.
    pub(crate) fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock()
    }

    /// Where it is noted who paid last for what a scope held too much.
    pub(crate) fn note_of<'a>(&'a self, within: &'a Node) -> &'a AtomicU64 {
        within.account().map_or(&self.payer, |account| account.note())
    }
}
