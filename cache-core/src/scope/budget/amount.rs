//! How much: a number, or a share of what the cache may hold.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::weight::parse_bytes;

/// Parts of the whole that a share is counted in.
const WHOLE: u64 = 100_000_000;

/// A number of entries or of weight, or a share of the cache's own bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Count(u64),
    /// So many hundred-millionths of what the cache may hold.
    Share(u32),
}

impl Amount {
    /// The number, where the cache may hold `most`; `None` for a share of no bound. A share is rounded down, to one at least.
    pub(super) fn of(self, most: Option<u64>) -> Option<u64> {
        match self {
            Self::Count(count) => Some(count),
            Self::Share(parts) => {
                let parts = u128::from(most?) * u128::from(parts) / u128::from(WHOLE);
                Some(u64::try_from(parts).unwrap_or(u64::MAX).max(1))
            }
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Share(parts) => write!(f, "{} %", f64::from(*parts) / 1e6),
        }
    }
}

/// How much, as users write it: a number, `"2%"` of what the cache may hold, or a text like `"64MB"`.
pub trait IntoAmount {
    /// The amount.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`] for a text that is neither, for zero, and for more than the whole.
    fn into_amount(self) -> Result<Amount>;
}

impl IntoAmount for Amount {
    fn into_amount(self) -> Result<Amount> {
        match self {
            Self::Count(0) | Self::Share(0) => Err(invalid(self, "an amount above zero is needed")),
            Self::Share(parts) if u64::from(parts) > WHOLE => Err(invalid(self, "at most 100 % is there")),
            _ => Ok(self),
        }
    }
}

impl IntoAmount for u64 {
    fn into_amount(self) -> Result<Amount> {
        Amount::Count(self).into_amount()
    }
}

impl IntoAmount for usize {
    fn into_amount(self) -> Result<Amount> {
        Amount::Count(self as u64).into_amount()
    }
}

impl IntoAmount for i32 {
    fn into_amount(self) -> Result<Amount> {
        let count = u64::try_from(self).map_err(|_| invalid(self, "an amount above zero is needed"))?;
        count.into_amount()
    }
}

impl IntoAmount for &str {
    fn into_amount(self) -> Result<Amount> {
        const ADVICE: &str = "write a number, a number of bytes like `64MB`, or a share like `2%` or `0.05%`";
        let text = self.trim();
        let Some(percent) = text.strip_suffix('%') else {
            return parse_bytes(text).ok_or_else(|| invalid(shown(text), ADVICE))?.into_amount();
        };
        let parts = parts_of(percent.trim_end()).ok_or_else(|| invalid(shown(text), ADVICE))?;
        match u32::try_from(parts) {
            Ok(parts) => Amount::Share(parts).into_amount(),
            Err(_) => Err(invalid(shown(text), "at most 100 % is there")),
        }
    }
}

/// A number of percent, with up to six digits behind the point, in millionths.
fn parts_of(percent: &str) -> Option<u64> {
    let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)
}

fn shown(text: &str) -> String {
    text.chars().take(32).filter(|c| !c.is_control()).collect()
}

fn invalid(given: impl fmt::Display, advice: &'static str) -> Error {
    Error::new(ErrorKind::InvalidBudget, "budget").with("given", given).because(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_they_are_written() {
        let read = |text: &str| text.into_amount().ok();
        assert_eq!(read("2%"), Some(Amount::Share(2_000_000)));
        assert_eq!(read(" 0.05 % "), Some(Amount::Share(50_000)));
        assert_eq!(read("100%"), Some(Amount::Share(100_000_000)));
        assert_eq!(read("0.000001%"), Some(Amount::Share(1)));
        assert_eq!(read("64MB"), Some(Amount::Count(64_000_000)));
        assert_eq!(read("1000"), Some(Amount::Count(1_000)));
        for nonsense in
            ["", "%", "0%", "-1%", "1.%", ".5%", "1.2345678%", "100.1%", "99999999999%", "0", "much"]
        {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
        assert!(0u64.into_amount().is_err() && (-1).into_amount().is_err());
        let error = "101%".into_amount().unwrap_err();
        assert_eq!(error.to_string(), "budget: invalid budget { given: 101 % }: at most 100 % is there");
    }

    #[test]
    fn share_is_of_what_the_cache_may_hold() {
        assert_eq!(Amount::Share(2_000_000).of(Some(10_000)), Some(200));
        assert_eq!(Amount::Share(1).of(Some(10)), Some(1), "one at least");
        assert_eq!(Amount::Share(100_000_000).of(Some(u64::MAX)), Some(u64::MAX));
        assert_eq!(Amount::Share(1).of(None), None);
        assert_eq!(Amount::Count(7).of(None), Some(7));
    }
}
