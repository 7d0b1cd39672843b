//! The synchronous core of strata-cache: it runs no user code under a lock, knows no runtime and does no IO.
//!
//! Users want the `strata-cache` crate; this one is its engine room and promises no stable interface of its own.

pub mod clock;
pub mod engine;
pub mod epoch;
pub mod error;
pub mod event;
pub mod expiry;
pub mod flight;
mod heap;
pub mod policy;
mod prefetch;
pub mod scope;
pub mod stats;
pub mod sync;
pub mod typed;
pub mod weight;
