//! placeholder
use super::EvictionPolicy;

/// Checks a policy.
pub fn check(policy: impl Fn() -> Box<dyn EvictionPolicy>) {
    drop(policy());
}
