//! The promises of the library, tested through its public interface, one file each.

mod budgets;
mod cached;
mod care;
mod hashing;
mod held;
mod hints;
mod idle;
mod loads;
mod memory;
mod model;
mod observe;
mod regressions;
mod scopes;
mod simulator;
mod support;
mod tags;
mod top;
mod torture;
mod values;
mod words;
