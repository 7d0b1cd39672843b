//! The one driver: performs the acts of plans, for tasks and threads alike.

mod background;
mod body;
mod detached;
mod load;
mod park;
mod uncached;

pub(crate) use background::Run;
pub(crate) use body::{Boxed, InPlace, Once};
pub(crate) use detached::detached;
pub(crate) use load::{Answer, Load, LoadTerms, Loader, SharedError};
pub(crate) use park::park_on;
pub(crate) use uncached::{Uncached, uncached};
