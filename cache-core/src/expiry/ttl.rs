//! Times-to-live as users write them: durations, whole seconds, or texts like `1h30m`.
//!
//! (1) A finite time-to-live is at least 1 ns and less than 2^64 − 1 ns (about 584 years). (2) Texts are read
//! strictly: whole numbers, lower-case units from large to small, each once; nothing is guessed. (3) What
//! [`Ttl`] prints it reads back as the same. Cost: reading a text allocates only for an error.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::Moment;
use crate::error::{Error, ErrorKind, Result};

/// Units by name and length in nanoseconds, from large to small.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];
const SECOND: u64 = 1_000_000_000;
/// The representation of "never".
const NEVER: u64 = u64::MAX;

/// How long an entry may be served after it was written: a time, or for ever.
///
/// ```
/// use std::time::Duration;
/// use strata_cache_core::expiry::Ttl;
///
/// assert_eq!(Ttl::parse("1h30m")?.duration(), Some(Duration::from_secs(5_400)));
/// assert_eq!(Ttl::parse("600")?, Ttl::parse("10m")?);
/// assert!(Ttl::parse("never")?.is_never());
/// assert!(Ttl::parse("0s").is_err() && Ttl::parse("-5s").is_err());
/// # Ok::<(), strata_cache_core::error::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u64);

impl Ttl {
    /// No limit: the entry stays until something else removes it. Greater than every other.
    pub const fn never() -> Self {
        Self(NEVER)
    }

    /// Reads a text: `never`, whole seconds (`600`), or numbers with units from large to small
    /// (`5m`, `1h30m`, `250ms`). Units are `d`, `h`, `m`, `s`, `ms`, `us` and `ns`.
    ///
    /// # Errors
    /// `InvalidTtl` for zero, for a negative or overlong time, and for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        if text == "never" {
            return Ok(Self::never());
        }
        let nanos = read(text).map_err(|fault| fault.of(text))?;
        Self::finite(u128::from(nanos)).map_err(|fault| fault.of(text))
    }

    /// Whether there is no limit.
    pub const fn is_never(self) -> bool {
        self.0 == NEVER
    }

    /// The time, or `None` for never.
    pub const fn duration(self) -> Option<Duration> {
        if self.is_never() { None } else { Some(Duration::from_nanos(self.0)) }
    }

    /// The moment after which an entry written now is expired; [`Moment::NEVER`] for never.
    ///
    /// # Errors
    /// `InvalidTtl` if the clock cannot express that moment.
    #[inline]
    pub fn deadline(self, now: Moment) -> Result<Moment> {
        if self.is_never() {
            return Ok(Moment::NEVER);
        }
        let sum = now.nanos().checked_add(self.0).map(Moment::from_nanos);
        sum.filter(|&sum| sum < Moment::NEVER).ok_or_else(|| Fault::Overlong.of(self))
    }

    fn finite(nanos: u128) -> Result<Self, Fault> {
        match u64::try_from(nanos) {
            Ok(0) => Err(Fault::Zero),
            Ok(NEVER) | Err(_) => Err(Fault::Overlong),
            Ok(nanos) => Ok(Self(nanos)),
        }
    }

    fn seconds(seconds: i128) -> Result<Self> {
        let nanos = u128::try_from(seconds).map_err(|_| Fault::Negative);
        nanos
            .and_then(|seconds| Self::finite(seconds * u128::from(SECOND)))
            .map_err(|fault| fault.of(format_args!("{seconds}s")))
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_never() {
            return f.write_str("never");
        }
        let mut left = self.0;
        for (name, nanos) in UNITS {
            if left >= nanos {
                write!(f, "{}{name}", left / nanos)?;
                left %= nanos;
            }
        }
        Ok(())
    }
}

impl FromStr for Ttl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<Duration> for Ttl {
    type Error = Error;

    /// # Errors
    /// `InvalidTtl` for zero and for 2^64 − 1 ns or more.
    fn try_from(time: Duration) -> Result<Self> {
        Self::finite(time.as_nanos()).map_err(|fault| fault.of(format_args!("{time:?}")))
    }
}

/// What can be given as a time-to-live: a [`Ttl`], a [`Duration`], whole seconds, or a text for [`Ttl::parse`].
pub trait IntoTtl {
    /// Converts.
    ///
    /// # Errors
    /// `InvalidTtl` for zero, a negative or overlong time, or a text that is none.
    fn into_ttl(self) -> Result<Ttl>;
}

impl IntoTtl for Ttl {
    fn into_ttl(self) -> Result<Ttl> {
        Ok(self)
    }
}

impl IntoTtl for Duration {
    fn into_ttl(self) -> Result<Ttl> {
        Ttl::try_from(self)
    }
}

impl IntoTtl for &str {
    fn into_ttl(self) -> Result<Ttl> {
        Ttl::parse(self)
    }
}

impl IntoTtl for String {
    fn into_ttl(self) -> Result<Ttl> {
        Ttl::parse(&self)
    }
}

/// Whole seconds; signed ones too, because a bare integer literal is an `i32`.
macro_rules! seconds {
    ($($integer:ty),*) => {$(
        impl IntoTtl for $integer {
            fn into_ttl(self) -> Result<Ttl> {
                Ttl::seconds(i128::from(self))
            }
        }
    )*};
}
seconds!(u32, u64, i32, i64);

/// What is wrong with a time-to-live.
enum Fault {
    Zero,
    Negative,
    Overlong,
    Empty,
    NoNumber,
    NoUnit,
    UnknownUnit,
    Order,
}

impl Fault {
    /// The error, naming what was given.
    fn of(self, given: impl fmt::Display) -> Error {
        let given = given.to_string();
        let shown: String = given.chars().take(40).flat_map(char::escape_debug).collect();
        let error = Error::new(ErrorKind::InvalidTtl, "ttl").with("ttl", format_args!("`{shown}`"));
        error.because(match self {
            Self::Zero => "zero would expire at once; write `never` for no limit",
            Self::Negative => "a time-to-live cannot be negative",
            Self::Overlong => "longer than the clock can count, about 584 years; write `never` for no limit",
            Self::Empty => "empty; write seconds, a text like `1h30m`, or `never`",
            Self::NoNumber => "expected a whole number and a unit, like `1h30m`, without spaces, or `never`",
            Self::NoUnit => {
                "a number without a unit stands alone and means seconds; known units: d, h, m, s, ms, us, ns"
            }
            Self::UnknownUnit => "unknown unit; known units: d, h, m, s, ms, us, ns",
            Self::Order => "units go from large to small, each at most once, like `1h30m`",
        })
    }
}

/// Reads seconds, or numbers with units, as nanoseconds.
fn read(text: &str) -> Result<u64, Fault> {
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    if text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(Fault::Negative);
    }
    let (mut rest, mut sum, mut units) = (text, 0u64, UNITS.iter());
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        if number.is_empty() {
            return Err(Fault::NoNumber);
        }
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
        let nanos = if unit.is_empty() {
            match number.len() == text.len() {
                true => SECOND,
                false => {
                    return Err(if after.is_empty() { Fault::NoUnit } else { Fault::NoNumber });
                }
            }
        } else if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(Fault::UnknownUnit);
        } else {
            // The iterator goes on where the unit before stood, so a larger or equal one is not found.
            units.find(|(name, _)| *name == unit).ok_or(Fault::Order)?.1
        };
        // All digits, so the only failure is a number too large.
        let number: u64 = number.parse().map_err(|_| Fault::Overlong)?;
        sum = number.checked_mul(nanos).and_then(|part| sum.checked_add(part)).ok_or(Fault::Overlong)?;
        rest = after;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
