//! Budgets of scopes: how much a scope may hold with all below it, and how much of it nobody else may take.
//!
//! [`Budget`] is what somebody asks for, [`Account`] what a path has got, `promises` adds up what all reserves take, and
//! [`Budgets`] knows who has which. (1) A budget belongs to a path: it outlives the eviction of its scope. (2) Above a path
//! with an account every scope has one. (3) Whatever is refused leaves all as it was. (4) The reserves that were granted fit
//! into the cache, and into the capacity of each scope above; so whoever is within its reserve never has to pay for another.

mod account;
mod amount;
mod asked;
mod promises;
mod table;
#[cfg(feature = "config-toml")]
pub mod toml;

pub use account::{Account, Unit};
pub use amount::{Amount, IntoAmount};
pub use asked::Budget;
pub use table::{Budgets, Granted};

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests;
