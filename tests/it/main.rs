//! The promises of the library, tested through its public interface, one file each.

mod memory;
mod model;
mod observe;
mod regressions;
mod scopes;
mod smoke;
mod support;
mod values;
