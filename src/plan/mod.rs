//! What an operation does next: pure decisions, reply in, act out.
//!
//! A plan does no IO, has no clock and touches no cache; the driver performs its acts. Sync and async callers are
//! served by the same plan, and a plan is tested without either.

mod load;
mod opening;

pub(crate) use load::{Act, Coalescing, LoadPlan, Reply, WhenLeadersFail};
pub(crate) use opening::{Opening, Sight, opening};
