//! Values of settings as users write them: numbers above zero, bytes, policies by name.

use std::num::{NonZeroU32, NonZeroU64};

use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::expiry::IntoTtl;
use strata_cache_core::flight::BreakerSettings;
use strata_cache_core::policy::Policy;
use strata_cache_core::weight::parse_bytes;

/// A setting that cannot be honoured, and what could.
pub(crate) fn invalid(name: &'static str, advice: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "build").with("option", name).because(advice)
}

/// A setting that may not be zero.
pub(crate) fn positive(number: u64, name: &'static str) -> Result<NonZeroU64> {
    NonZeroU64::new(number).ok_or_else(|| invalid(name, "a number above zero is needed"))
}

/// When a breaker opens, and for how long.
pub(crate) fn breaker(failures: u32, cool_down: impl IntoTtl) -> Result<BreakerSettings> {
    let failures = NonZeroU32::new(failures)
        .ok_or_else(|| invalid("breaker", "a breaker opens after one failure at least"))?;
    let cool_down = cool_down.into_ttl()?.duration();
    let cool_down = cool_down.ok_or_else(|| {
        invalid("breaker", "a breaker that has opened tries again: give it a time with an end")
    })?;
    Ok(BreakerSettings { failures, cool_down })
}

/// A number of bytes: a number, or a text like `"512MB"`, `"64 KiB"` or `"1000"`.
pub trait IntoBytes {
    /// The number.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a text that is no number of bytes, or one above 2^64 − 1.
    fn into_bytes(self) -> Result<u64>;
}

impl IntoBytes for u64 {
    fn into_bytes(self) -> Result<u64> {
        Ok(self)
    }
}

impl IntoBytes for usize {
    fn into_bytes(self) -> Result<u64> {
        Ok(self as u64)
    }
}

impl IntoBytes for i32 {
    fn into_bytes(self) -> Result<u64> {
        u64::try_from(self).map_err(|_| invalid("capacity_bytes", "a number above zero is needed"))
    }
}

impl IntoBytes for &str {
    fn into_bytes(self) -> Result<u64> {
        parse_bytes(self).ok_or_else(|| {
            invalid(
                "capacity_bytes",
                "write a whole number of bytes, with KB, MB, GB, TB or KiB, MiB, GiB, TiB",
            )
        })
    }
}

/// A policy: itself, or its name.
pub trait IntoPolicy {
    /// The policy.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a name that is unknown, listing those that are known.
    fn into_policy(self) -> Result<Policy>;
}

impl IntoPolicy for Policy {
    fn into_policy(self) -> Result<Policy> {
        Ok(self)
    }
}

impl IntoPolicy for &str {
    fn into_policy(self) -> Result<Policy> {
        self.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_and_without_units() {
        let read = |text: &str| text.into_bytes().ok();
        assert_eq!(read("512MB"), Some(512_000_000));
        assert_eq!(read("64 kib"), Some(65_536));
        assert_eq!(read("1000"), Some(1_000));
        assert_eq!(read("7B"), Some(7));
        for nonsense in ["", "MB", "-1", "1.5GB", "5XB", "99999999999TB"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
