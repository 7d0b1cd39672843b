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
const SHORT: usize = 16;

/// The text of an id: borrowed, on the stack, or boxed.
#[derive(Clone)]
pub struct IdText<'a>(Repr<'a>);

/// Bytes that move as words. Those behind the text are 0.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Bytes([u8; INLINE]);

impl Bytes {
    /// A text of up to so many bytes.
    #[inline]
    fn of(text: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        if text.len() <= SHORT {
            // The commonest ones: without a call.
            let [one, other] = text::words(text);
            bytes[..8].copy_from_slice(&one.to_le_bytes());
            bytes[8..SHORT].copy_from_slice(&other.to_le_bytes());
        } else {
            bytes[..text.len()].copy_from_slice(text);
        }
        Self(bytes)
    }

    #[inline]
    fn words(&self) -> [u64; 2] {
        text::words(&self.0)
    }
}

#[derive(Clone)]
enum Repr<'a> {
    Borrowed(&'a str),
    /// The first `len` bytes are UTF-8: they are only ever copied from whole texts.
    Inline {
        len: u8,
        bytes: Bytes,
    },
    /// All the bytes of another id's `Inline`.
    InlineOf(&'a [u8]),
    Owned(Box<str>),
}

impl<'a> IdText<'a> {
    /// Borrows a text.
    #[inline]
    pub const fn borrowed(text: &'a str) -> Self {
        Self(Repr::Borrowed(text))
    }

    /// Formats a value; no allocation up to 40 bytes.
    pub fn display(value: impl Display) -> Self {
        let mut sink = Sink::Inline { len: 0, bytes: [0; INLINE] };
        // The sink never fails; a `Display` that does leaves what it wrote so far.
        let _ = write!(sink, "{value}");
        Self(match sink {
            // At most `INLINE`, which fits a byte.
            Sink::Inline { len, bytes } => Repr::Inline { len: len as u8, bytes: Bytes(bytes) },
            Sink::Spilled(text) => Repr::Owned(text.into_boxed_str()),
        })
    }

    /// A number in decimal, as `Display` writes it: the commonest id, without the machinery of formatting.
    #[inline]
    fn decimal(mut number: u64) -> Self {
        let mut bytes = [0; INLINE];
        let len = number.checked_ilog10().map_or(1, |log| log + 1) as u8;
        for place in bytes[..usize::from(len)].iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
        Self(Repr::Inline { len, bytes: Bytes(bytes) })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Borrowed(text) => text,
            Repr::Inline { .. } | Repr::InlineOf(_) => std::str::from_utf8(self.as_bytes())
                .expect("an inline id is copied from whole texts, so it is UTF-8"),
            Repr::Owned(text) => text,
        }
    }

    /// The text's bytes: what identities are compared by, without a look at whether they are UTF-8.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Borrowed(text) => text.as_bytes(),
            Repr::Inline { len, bytes } => &bytes.0[..usize::from(*len)],
            Repr::InlineOf(bytes) => bytes,
            Repr::Owned(text) => text.as_bytes(),
        }
    }

    /// The text in brief.
    #[inline(always)]
    pub(super) fn brief(&self) -> Brief {
        match &self.0 {
            Repr::Inline { len, bytes } => Brief::new(usize::from(*len), bytes.words()),
            Repr::Borrowed(_) | Repr::InlineOf(_) | Repr::Owned(_) => Brief::of(self.as_bytes()),
        }
    }

    /// The same text, borrowed from this one.
    #[inline]
    pub(super) fn reborrow(&self) -> IdText<'_> {
        IdText(match &self.0 {
            Repr::Borrowed(text) => Repr::Borrowed(text),
            Repr::Inline { len, bytes } => Repr::InlineOf(&bytes.0[..usize::from(*len)]),
            Repr::InlineOf(bytes) => Repr::InlineOf(bytes),
            Repr::Owned(text) => Repr::Borrowed(text),
        })
    }

    /// The same text without a borrow; no allocation up to 40 bytes.
    #[inline]
    pub fn into_owned(self) -> IdText<'static> {
        let inline = |text: &[u8]| Repr::Inline { len: text.len() as u8, bytes: Bytes::of(text) };
        IdText(match self.0 {
            Repr::Borrowed(text) if text.len() <= INLINE => inline(text.as_bytes()),
            Repr::Borrowed(text) => Repr::Owned(text.into()),
            Repr::Inline { len, bytes } => Repr::Inline { len, bytes },
            Repr::InlineOf(bytes) => inline(bytes),
            Repr::Owned(text) => Repr::Owned(text),
        })
    }
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
    note = "text and integers can; for other types implement `ScopeId`"
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
    let brief = id.brief();
    if (1..=MAX_ID_BYTES).contains(&brief.len()) {
        return Ok(brief);
    }
    Err(refused(brief.len(), tree.name(level), operation))
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
