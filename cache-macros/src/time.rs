//! Times of options: whole seconds, text like `"5m"`, `"never"` where that makes sense, or an expression of type `Duration`.
//!
//! (1) Zero, negative and overlong times are refused where they can be seen; what an expression gives is refused
//! at run time. (2) Text is numbers with units, largest first or not, added up: `"1h30m"`, `"250ms"`.

use std::time::Duration;

use syn::{Expr, ExprLit, ExprUnary, Lit, UnOp};

/// Longer than this a deadline in nanoseconds might overflow; `"never"` says what is meant.
const LONGEST: Duration = Duration::from_secs(500 * 365 * 86_400);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A time as written.
pub(crate) enum Time {
    Never,
    After(Duration),
    Given(Box<Expr>),
}

/// What an option says of times that are none.
pub(crate) struct Ask {
    /// The option's name.
    pub(crate) option: &'static str,
    /// What to write in place of zero, or of a time without an end.
    pub(crate) instead: &'static str,
    /// Whether `"never"` is a time for it.
    pub(crate) never: bool,
}

impl Ask {
    pub(crate) const TTL: Self = Self {
        option: "ttl",
        instead: "to keep entries until they are invalidated write `ttl = \"never\"`",
        never: true,
    };
    pub(crate) const IDLE: Self =
        Self { option: "idle", instead: "to keep unused entries leave `idle` out", never: false };
    pub(crate) const WAIT: Self =
        Self { option: "wait", instead: "to wait for nobody write `coalesce = off`", never: false };
    pub(crate) const NEGATIVE: Self = Self {
        option: "negative",
        instead: "to keep it until it is invalidated write `\"never\"`",
        never: true,
    };

    /// For an option that nothing but leaving it out puts off for ever.
    pub(crate) const fn with_end(option: &'static str) -> Self {
        Self { option, instead: "leave it out", never: false }
    }
}

impl Time {
    /// Reads the value of an option.
    pub(crate) fn of(ask: &Ask, value: Expr) -> syn::Result<Self> {
        let Ask { option, instead, .. } = ask;
        let refuse = |message: String| Err(syn::Error::new_spanned(&value, message));
        let positive = || format!("`{option}` must be greater than zero; {instead}");
        let too_long = || format!("`{option}` is longer than 500 years; {instead}");
        let never = || format!("`{option}` has an end; {instead}");
        let lit = match &value {
            Expr::Lit(ExprLit { lit, .. }) => lit,
            Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) if matches!(**expr, Expr::Lit(_)) => {
                return refuse(positive());
            }
            Expr::Path(path) if path.path.is_ident("never") => {
                return refuse(format!("`{option}` is text here: write `{option} = \"never\"`"));
            }
            _ => return Ok(Self::Given(Box::new(value))),
        };
        let time = match lit {
            Lit::Int(time) if !time.suffix().is_empty() => {
                Err(format!("a time with a unit is text: write `{option} = \"{time}\"`"))
            }
            Lit::Int(seconds) => seconds.base10_parse::<u64>().map(Duration::from_secs).map_err(|_| too_long()),
            Lit::Str(text) if text.value() == "never" && ask.never => return Ok(Self::Never),
            Lit::Str(text) if text.value() == "never" => Err(never()),
            Lit::Str(text) => read(&text.value()).map_err(|unread| match unread {
                Unread::TooLong => too_long(),
                Unread::NoTime => format!(
                    "cannot read `{}` as a time; write numbers with a unit (ms, s, m, h, d), \"5m\" or \"1h30m\"",
                    text.value()
                ),
            }),
            _ => Err(format!("`{option}` is whole seconds, text like \"5m\"{}, or a `Duration`", if ask.never { " or \"never\"" } else { "" })),
        };
        match time {
            Ok(time) if time.is_zero() => refuse(positive()),
            Ok(time) if time > LONGEST => refuse(too_long()),
            Ok(time) => Ok(Self::After(time)),
            Err(message) => refuse(message),
        }
    }
}

/// Why a text is no time.
#[derive(Debug, PartialEq)]
enum Unread {
    NoTime,
    TooLong,
}

fn read(text: &str) -> Result<Duration, Unread> {
    let (mut rest, mut millis) = (text, 0_u64);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(Unread::NoTime)?;
        if number.is_empty() {
            return Err(Unread::NoTime);
        }
        let number: u64 = number.parse().map_err(|_| Unread::TooLong)?;
        let part = number.checked_mul(*factor).ok_or(Unread::TooLong)?;
        millis = millis.checked_add(part).ok_or(Unread::TooLong)?;
        rest = tail;
    }
    if text.is_empty() { Err(Unread::NoTime) } else { Ok(Duration::from_millis(millis)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_numbers_and_units_adds_up() {
        assert_eq!(read("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(read("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(read("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(read("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn text_without_number_or_unit_is_refused() {
        for text in ["", "5", "m", "5 m", "5x", "-5m", "1.5h", "5m ", "five m", "5M"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn number_with_a_unit_is_no_number() {
        for text in ["1h", "5m", "200ms", "1h30m", "5u64"] {
            let value: Expr = syn::parse_str(text).unwrap();
            let fault = Time::of(&Ask::TTL, value).err().map(|fault| fault.to_string());
            assert_eq!(fault, Some(format!("a time with a unit is text: write `ttl = \"{text}\"`")));
        }
    }

    #[test]
    fn time_that_overflows_is_refused() {
        assert!(read("99999999999999999999d").is_err());
        assert!(read("18446744073709551615d").is_err());
        for long in ["ttl = 999999d", "99999999999999999999", "15768000001", "\"182501d\""] {
            let long = long.trim_start_matches("ttl = ").replace("999999d", "\"999999d\"");
            let value: Expr = syn::parse_str(&long).unwrap();
            assert!(Time::of(&Ask::TTL, value).is_err(), "{long}");
        }
    }
}
