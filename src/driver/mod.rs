//! The one driver: performs the acts of plans, for tasks and threads alike.

mod load;
mod park;

pub(crate) use load::{Answer, Load, LoadTerms, Loader, SharedError};
pub(crate) use park::park_on;
