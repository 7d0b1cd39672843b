#[cfg(shuttle)]
mod explore;
#[cfg(shuttle)]
mod explore_aged;
#[cfg(shuttle)]
mod explore_budgets;
#[cfg(shuttle)]
mod explore_tags;
#[cfg(shuttle)]
mod explore_values;
#[cfg(not(any(shuttle, loom)))]
mod leftovers;
#[cfg(not(loom))]
pub(super) mod support;
