//! Operations: what verbs return. Await one in a task, or call `wait` in a thread; both are the same code.
//!
//! (1) An operation that gives or keeps does nothing until it is awaited or waited for. (2) One that takes trust away
//! has acted before it exists ([`Done`]). (3) `wait` holds no logic: it polls and parks.

mod done;
mod keyed;
mod load;
mod many;
mod opening;
mod ready;
mod set;
mod terms;

pub use done::{Below, Done, Evicted};
pub use keyed::{AsyncLoader, Runs, SyncLoader};
pub(crate) use keyed::{Begin, Convert, KeyedLoad};
pub use load::{GetOrLoad, LoadError, Loading, Marked, Served};
pub(crate) use many::{KeyedMany, Wanted};
pub use many::{LoadMany, LoadingMany};
pub(crate) use opening::{Found, Started, open};
pub use ready::Operation;
pub use set::Set;
pub(crate) use terms::Said;
