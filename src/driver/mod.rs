//! The one driver: performs the acts of plans, for tasks and threads alike.

mod background;
mod batch;
mod body;
mod detached;
mod errand;
mod load;
mod park;
mod uncached;

pub(crate) use background::{Kind, Run};
pub(crate) use batch::Batch;
pub(crate) use body::{Body, Boxed, InPlace, Once};
pub(crate) use detached::detached;
pub(crate) use errand::refresh;
pub(crate) use load::{Answer, Load, LoadTerms, Loader, SharedError, fall_back};
pub(crate) use park::park_on;
pub(crate) use uncached::{Uncached, uncached};
