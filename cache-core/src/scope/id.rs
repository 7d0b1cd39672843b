//! Ids of scopes: how a value becomes the text that identifies it on its level.
//!
//! (1) An id is its text: two ids are one if and only if their texts are equal, so `42` and `"42"` are one id.
//! (2) A text is one segment whatever it contains; nothing splits, joins or normalises it.
//! (3) An accepted id has 1 to [`MAX_ID_BYTES`] bytes. (4) No error repeats an id: it may be personal or hostile.
//! Cost: text is borrowed where it can be; integers and owned texts of up to 40 bytes live on the stack.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use super::text::{self, Brief};
use super::tree::{LevelId, ScopeTree};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::Arc;

mod bag;

pub use bag::{Ids, ScopeIds};

/// The length in bytes of the longest id that is accepted.
pub const MAX_ID_BYTES: usize = 1024;

/// Bytes kept on the stack: the longest integer, `i128::MIN`, has 40.
const INLINE: usize = 40;

/// Bytes that are two words.
pub(super) const SHORT: usize = 16;

/// The text of an id: borrowed, on the stack, or boxed.
#[derive(Clone)]
pub struct IdText<'a>(Repr<'a>);

/// Bytes that move as words. Those behind the text are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(8))]
pub(super) struct Bytes<const MOST: usize>(pub(super) [u8; MOST]);

impl<const MOST: usize> Bytes<MOST> {
    /// A text of up to so many bytes.
    #[inline]
    pub(super) fn of(text: &[u8]) -> Self {
        let mut bytes = [0; MOST];
        bytes[..text.len()].copy_from_slice(text);
        Self(bytes)
    }

    #[inline]
    pub(super) fn words(&self) -> [u64; 2] {
        text::words(&self.0)
    }
}

impl Bytes<SHORT> {
    #[inline]
    fn of_words(words: [u64; 2]) -> Self {
        let [one, other] = words.map(u64::to_le_bytes);
        let mut bytes = [0; SHORT];
        bytes[..8].copy_from_slice(&one);
        bytes[8..].copy_from_slice(&other);
        Self(bytes)
    }
}

#[derive(Clone)]
enum Repr<'a> {
    Borrowed(&'a str),
    /// The commonest ones, as two words. Here and below the first `len` bytes are UTF-8: they are only ever copied from
    /// whole texts.
    Short {
        len: u8,
        bytes: Bytes<SHORT>,
    },
    /// Longer than `SHORT`.
    Inline {
        len: u8,
        bytes: Bytes<INLINE>,
    },
    /// All the bytes of another id's `Short` or `Inline`.
    InlineOf(&'a [u8]),
    Owned(Box<str>),
}

impl Repr<'_> {
    /// A text of up to `INLINE` bytes.
    #[inline]
    fn inline(text: &[u8]) -> Self {
        let len = text.len() as u8;
        if text.len() > SHORT {
            return Self::Inline { len, bytes: Bytes::of(text) };
        }
        Self::Short { len, bytes: Bytes::of_words(text::words(text)) }
    }
}

impl<'a> IdText<'a> {
    /// Borrows a text.
    #[inline]
    pub const fn borrowed(text: &'a str) -> Self {
        Self(Repr::Borrowed(text))
    }

    /// A short text, of which these are all bytes.
    pub(super) fn short(len: u8, bytes: Bytes<SHORT>) -> IdText<'static> {
        IdText(Repr::Short { len, bytes })
    }

    /// Formats a value; no allocation up to 40 bytes.
    pub fn display(value: impl Display) -> Self {
        let mut sink = Sink::Inline { len: 0, bytes: [0; INLINE] };
        // The sink never fails; a `Display` that does leaves what it wrote so far.
        let _ = write!(sink, "{value}");
        Self(match sink {
            Sink::Inline { len, bytes } => Repr::inline(&bytes[..len]),
            Sink::Spilled(text) => Repr::Owned(text.into_boxed_str()),
        })
    }

    /// A number in decimal, as `Display` writes it: the commonest id, without the machinery of formatting.
    #[inline(always)]
    fn decimal(number: u64) -> Self {
        if number < 100_000_000 {
            let digits = eight_digits(number);
            // All but the last: a zero is one digit.
            let leading = (digits.trailing_zeros() / 8).min(7);
            let word = (digits | ZEROS) >> (leading * 8);
            return Self(Repr::Short { len: 8 - leading as u8, bytes: Bytes::of_words([word, 0]) });
        }
        // Taken apart, so that what is made here can stay in registers.
        let (len, bytes) = long_decimal(number);
        Self(if usize::from(len) <= SHORT {
            Repr::Short { len, bytes: Bytes::of_words(bytes.words()) }
        } else {
            Repr::Inline { len, bytes }
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Borrowed(text) => text,
            Repr::Short { .. } | Repr::Inline { .. } | Repr::InlineOf(_) => {
                std::str::from_utf8(self.as_bytes())
                    .expect("an inline id is copied from whole texts, so it is UTF-8")
            }
            Repr::Owned(text) => text,
        }
    }

    /// The text's bytes: what identities are compared by, without a look at whether they are UTF-8.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Borrowed(text) => text.as_bytes(),
            Repr::Short { len, bytes } => &bytes.0[..usize::from(*len)],
            Repr::Inline { len, bytes } => &bytes.0[..usize::from(*len)],
            Repr::InlineOf(bytes) => bytes,
            Repr::Owned(text) => text.as_bytes(),
        }
    }

    /// The text in brief.
    #[inline(always)]
    pub(super) fn brief(&self) -> Brief {
        // One comparison tells what most numbers are. No call with a pointer to this: what was written as words is to be read as words.
        match &self.0 {
            Repr::Short { len, bytes } => Brief::new(usize::from(*len), bytes.words()),
            _ => Brief::of(self.as_bytes()),
        }
    }

    /// The same text, borrowed from this one.
    #[inline]
    pub(super) fn reborrow(&self) -> IdText<'_> {
        IdText(match &self.0 {
            Repr::Borrowed(text) => Repr::Borrowed(text),
            Repr::Short { .. } | Repr::Inline { .. } => Repr::InlineOf(self.as_bytes()),
            Repr::InlineOf(bytes) => Repr::InlineOf(bytes),
            Repr::Owned(text) => Repr::Borrowed(text),
        })
    }

    /// The same text without a borrow; no allocation up to 40 bytes.
    #[inline]
    pub fn into_owned(self) -> IdText<'static> {
        IdText(match self.0 {
            Repr::Borrowed(text) if text.len() <= INLINE => Repr::inline(text.as_bytes()),
            Repr::Borrowed(text) => Repr::Owned(text.into()),
            Repr::Short { len, bytes } => Repr::Short { len, bytes },
            Repr::Inline { len, bytes } => Repr::Inline { len, bytes },
            Repr::InlineOf(bytes) => Repr::inline(bytes),
            Repr::Owned(text) => Repr::Owned(text),
        })
    }
}

/// Eight times the digit zero.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The eight digits of a number below 10^8, as bytes from 0 to 9, the first one lowest. Halves, then pairs, then digits, all at
/// once: multiplied by 10486 / 2^20 a number below 10^4 gives its hundredth, by 103 / 2^10 one below 100 its tenth, rounded down.
#[inline(always)]
const fn eight_digits(number: u64) -> u64 {
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let pairs = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((pairs - tens * 10) << 8)
}

/// As [`IdText::decimal`], of more than eight digits.
#[inline(never)]
fn long_decimal(mut number: u64) -> (u8, Bytes<INLINE>) {
    let mut bytes = [0; INLINE];
    let high = number / 100_000_000;
    if high < 100_000_000 {
        let digits = [high, number % 100_000_000].map(eight_digits);
        let leading = digits[0].trailing_zeros() / 8;
        let [one, other] = digits.map(|digits| u128::from(digits | ZEROS));
        let words = (one | (other << 64)) >> (leading * 8);
        bytes[..SHORT].copy_from_slice(&words.to_le_bytes());
        return (16 - leading as u8, Bytes(bytes));
    }
    // The largest has 20 digits.
    let len = number.ilog10() as usize + 1;
    for place in bytes[..len].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
    (len as u8, Bytes(bytes))
}

impl PartialEq<IdText<'_>> for IdText<'_> {
    fn eq(&self, other: &IdText<'_>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for IdText<'_> {}

impl fmt::Debug for IdText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Collects formatted text inline until it no longer fits.
enum Sink {
    Inline { len: usize, bytes: [u8; INLINE] },
    Spilled(String),
}

impl Write for Sink {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        match self {
            Self::Inline { len, bytes } if *len + part.len() <= INLINE => {
                bytes[*len..*len + part.len()].copy_from_slice(part.as_bytes());
                *len += part.len();
            }
            Self::Inline { len, bytes } => {
                let mut text = String::with_capacity(*len + part.len());
                text.push_str(
                    std::str::from_utf8(&bytes[..*len])
                        .expect("an inline id is copied from whole texts, so it is UTF-8"),
                );
                text.push_str(part);
                *self = Self::Spilled(text);
            }
            Self::Spilled(text) => text.push_str(part),
        }
        Ok(())
    }
}

/// A value that identifies a scope on its level.
///
/// Injective by contract: different values give different texts, or their tenants would share a scope. Text is taken
/// as it is and integers are written in decimal, so `42` and `"42"` are one id.
///
/// ```
/// use strata_cache_core::scope::{IdText, ScopeId};
///
/// struct OrgId(u32);
///
/// impl ScopeId for OrgId {
///     fn id_text(&self) -> IdText<'_> {
///         IdText::display(self.0)
///     }
/// }
/// assert_eq!(OrgId(42).id_text(), "42".id_text());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot identify a scope",
    note = "text and integers can; for other types implement `ScopeId`, or say what of it is the id, as `ids(org = org_id.0)` does on a \
            cached function"
)]
pub trait ScopeId {
    /// The text that identifies this value.
    fn id_text(&self) -> IdText<'_>;
}

macro_rules! text_ids {
    ($($type:ty),+) => {$(
        impl ScopeId for $type {
            #[inline]
            fn id_text(&self) -> IdText<'_> {
                IdText::borrowed(self)
            }
        }
    )+};
}

text_ids!(str, String, Cow<'_, str>, Box<str>, Arc<str>);

macro_rules! integer_ids {
    ($($integer:ident $nonzero:ident),+) => {$(
        impl ScopeId for $integer {
            #[inline]
            #[allow(clippy::unnecessary_fallible_conversions, reason = "fails for some of the types")]
            fn id_text(&self) -> IdText<'_> {
                match u64::try_from(*self) {
                    Ok(number) => IdText::decimal(number),
                    Err(_) => IdText::display(self),
                }
            }
        }

        impl ScopeId for std::num::$nonzero {
            #[inline]
            fn id_text(&self) -> IdText<'_> {
                self.get().id_text().into_owned()
            }
        }
    )+};
}

integer_ids!(
    u8 NonZeroU8, u16 NonZeroU16, u32 NonZeroU32, u64 NonZeroU64, u128 NonZeroU128, usize NonZeroUsize,
    i8 NonZeroI8, i16 NonZeroI16, i32 NonZeroI32, i64 NonZeroI64, i128 NonZeroI128, isize NonZeroIsize
);

impl ScopeId for IdText<'_> {
    fn id_text(&self) -> IdText<'_> {
        self.reborrow()
    }
}

impl<T: ScopeId + ?Sized> ScopeId for &T {
    #[inline]
    fn id_text(&self) -> IdText<'_> {
        (**self).id_text()
    }
}

/// Checks (3) for an id of a level; the error says how long it was, not what.
#[inline]
pub(super) fn check<'a>(id: IdText<'a>, level: &str, operation: &'static str) -> Result<IdText<'a>> {
    let length = id.as_bytes().len();
    if (1..=MAX_ID_BYTES).contains(&length) {
        return Ok(id);
    }
    Err(refused(length, level, operation))
}

/// As [`check`], for one that stays where it is.
#[inline(always)]
pub(super) fn check_brief(
    id: &IdText<'_>,
    tree: &ScopeTree,
    level: LevelId,
    operation: &'static str,
) -> Result<Brief> {
    accepted(id).ok_or_else(|| refused(id.as_bytes().len(), tree.name(level), operation))
}

/// The text in brief of an id that is accepted.
#[inline(always)]
pub(super) fn accepted(id: &IdText<'_>) -> Option<Brief> {
    let brief = id.brief();
    (1..=MAX_ID_BYTES).contains(&brief.len()).then_some(brief)
}

#[cold]
fn refused(length: usize, level: &str, operation: &'static str) -> Error {
    Error::new(ErrorKind::InvalidId, operation)
        .with("level", level)
        .with("length", length)
        .with("longest", MAX_ID_BYTES)
        .because(if length == 0 { "an id cannot be empty" } else { "the id is too long" })
}

#[cfg(test)]
mod tests;
