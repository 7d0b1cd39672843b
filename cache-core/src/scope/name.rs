//! A node's id on its level, as the node keeps it: short texts in the node itself, longer ones beside it.
//!
//! (1) Of two texts one of which is short (up to 16 bytes), the words and the length say whether they are the same. (2) A name is
//! a whole text, so its bytes are UTF-8.
//! Cost: 24 bytes; a name of more than 16 bytes has an allocation of its own, and a comparison goes there.

use super::id::{Bytes, IdText, SHORT};
use super::text::Brief;

/// The id of a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Bytes behind the text are 0.
    Short { len: u8, bytes: Bytes<SHORT> },
    /// Longer than `SHORT`.
    Long(Box<str>),
}

impl Name {
    pub(super) fn of(id: &IdText<'_>) -> Self {
        let text = id.as_bytes();
        if text.len() <= SHORT {
            return Self::Short { len: text.len() as u8, bytes: Bytes::of(text) };
        }
        Self::Long(id.as_str().into())
    }

    /// Whether this is that id, of which that is the brief.
    #[inline(always)]
    pub(super) fn is(&self, brief: Brief, id: &IdText<'_>) -> bool {
        match self {
            // By (1) that is all.
            Self::Short { len, bytes } => brief.is_all(usize::from(*len), bytes.words()),
            Self::Long(text) => {
                Brief::of(text.as_bytes()).is_same(brief, || text.as_bytes() == id.as_bytes())
            }
        }
    }

    /// As the id it was made of, borrowed if it is long.
    pub(super) fn id(&self) -> IdText<'_> {
        match self {
            Self::Short { len, bytes } => IdText::short(*len, *bytes),
            Self::Long(text) => IdText::borrowed(text),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Short { len, bytes } => std::str::from_utf8(&bytes.0[..usize::from(*len)])
                .expect("a name is copied from a whole text, so it is UTF-8"),
            Self::Long(text) => text,
        }
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;

    #[test]
    fn name_is_its_id_at_every_length_and_no_other() {
        let text = "0123456789abcdefghij";
        for length in 0..=text.len() {
            let (id, own) = (IdText::borrowed(&text[..length]), Name::of(&IdText::borrowed(&text[..length])));
            assert!(own.is(id.brief(), &id) && own.id() == id && own.as_str() == id.as_str());
            assert!(own == Name::of(&id.clone().into_owned()));
            for other in (0..=text.len()).filter(|other| *other != length).map(|other| &text[..other]) {
                let other = IdText::borrowed(other);
                assert!(!own.is(other.brief(), &other) && own != Name::of(&other), "{own:?} {other:?}");
            }
        }
        let (id, padded) = (IdText::borrowed("ab"), IdText::borrowed("ab\0"));
        assert!(!Name::of(&id).is(padded.brief(), &padded));
    }

    #[test]
    fn name_takes_three_words() {
        assert_eq!(size_of::<Name>(), 24);
    }
}
