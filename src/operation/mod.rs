//! Operations: what verbs return. Await one in a task, or call `wait` in a thread; both are the same code.
//!
//! (1) An operation that gives or keeps does nothing until it is awaited or waited for. (2) One that takes trust away
//! has acted before it exists ([`Done`]). (3) `wait` holds no logic: it polls and parks.

mod done;
mod keyed;
mod load;
mod ready;
mod set;
mod terms;

pub use done::{Below, Done, Evicted};
pub(crate) use keyed::{Begin, Call, Convert, KeyedLoad, Lazy, Started};
pub use load::{GetOrLoad, LoadError, Loading};
pub use ready::Operation;
pub use set::Set;
