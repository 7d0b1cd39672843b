//! Tags: texts that entries are marked with, so that all who have one are withdrawn at once.
//!
//! (1) A tag has an owner: the exact scope of the entry that has it, or the root if it was declared global. Tags of one text and two
//! owners have nothing to do with each other. (2) A text has 1 to 256 bytes and no control characters; it is checked when the tag is
//! made. (3) A set of tags has 16 at most, in order, none twice: equal sets are equal slices. (4) Texts appear in no error.
//! Cost: no tags are one empty word; a set is one allocation, shared by its clones.

use crate::error::{Error, ErrorKind, Result};
use crate::sync::Arc;

/// Bytes of a tag at most.
pub const MAX_TAG_BYTES: usize = 256;

/// Tags of one entry at most.
pub const MAX_TAGS: usize = 16;

/// A mark that entries may have: those who have it are withdrawn together.
///
/// It belongs to the scope of the entry that has it: `"plan:gold"` on an entry of one organisation is not that of another. A
/// [global](Self::global) one belongs to the root scope, whatever scope the entry is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    text: Arc<str>,
    is_global: bool,
}

impl Tag {
    /// A tag that belongs to the scope of the entry that has it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTag`] for an empty text, one of more than 256 bytes, or one with control characters.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        Self::checked(text.as_ref(), false)
    }

    /// A tag that belongs to the root scope, on entries of whatever scope.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn global(text: impl AsRef<str>) -> Result<Self> {
        Self::checked(text.as_ref(), true)
    }

    fn checked(text: &str, is_global: bool) -> Result<Self> {
        let wrong = |advice: &'static str| {
            let error = Error::new(ErrorKind::InvalidTag, "tag").with("bytes", text.len());
            Err(error.with("most", MAX_TAG_BYTES).because(advice))
        };
        if text.is_empty() {
            return wrong("a tag needs a text");
        }
        if text.len() > MAX_TAG_BYTES {
            return wrong("name what the entry depends on by an id, or a digest of it");
        }
        if text.chars().any(char::is_control) {
            return wrong("a tag has no control characters; line ends are some");
        }
        Ok(Self { text: text.into(), is_global })
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text, shared.
    pub(super) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Whether it belongs to the root scope, wherever the entry is.
    pub fn is_global(&self) -> bool {
        self.is_global
    }
}

/// What a tag can be made of: a text, or a [`Tag`].
pub trait IntoTag {
    /// The tag.
    ///
    /// # Errors
    /// Those of [`Tag::new`].
    fn into_tag(self) -> Result<Tag>;
}

impl IntoTag for Tag {
    fn into_tag(self) -> Result<Tag> {
        Ok(self)
    }
}

impl IntoTag for &Tag {
    fn into_tag(self) -> Result<Tag> {
        Ok(self.clone())
    }
}

impl IntoTag for &str {
    fn into_tag(self) -> Result<Tag> {
        Tag::new(self)
    }
}

impl IntoTag for String {
    fn into_tag(self) -> Result<Tag> {
        Tag::new(self)
    }
}

impl IntoTag for &String {
    fn into_tag(self) -> Result<Tag> {
        Tag::new(self)
    }
}

/// The tags of one entry; usually none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tags(Option<Arc<[Tag]>>);

impl Tags {
    /// No tags.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The tags, in order.
    #[inline]
    pub fn as_slice(&self) -> &[Tag] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether a tag is among them.
    pub fn contains(&self, tag: &Tag) -> bool {
        self.as_slice().binary_search(tag).is_ok()
    }

    /// Adds a tag, unless it is there.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTag`] for one more than 16, so many `others` included; then nothing has changed.
    pub fn add(&mut self, tag: Tag, others: usize, operation: &'static str) -> Result<()> {
        let Err(at) = self.as_slice().binary_search(&tag) else { return Ok(()) };
        if self.as_slice().len() + others >= MAX_TAGS {
            return Err(Error::new(ErrorKind::InvalidTag, operation)
                .with("most", MAX_TAGS)
                .because("an entry has 16 tags at most; one that stands for several may do"));
        }
        let mut tags = self.as_slice().to_vec();
        tags.insert(at, tag);
        self.0 = Some(tags.into());
        Ok(())
    }

    /// These and those.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        if others.is_empty() || self == others {
            return self.clone();
        }
        let mut tags = [self.as_slice(), others.as_slice()].concat();
        tags.sort_unstable();
        tags.dedup();
        Self(Some(tags.into()))
    }
}

#[cfg(test)]
#[cfg(not(any(shuttle, loom)))]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_tag_is_1_to_256_bytes_without_control_characters() {
        let long = "x".repeat(MAX_TAG_BYTES);
        for good in ["a", "plan:gold", " ", "ü", &long] {
            assert_eq!(Tag::new(good).expect("a good tag").text(), good);
        }
        for bad in ["", &format!("{long}x"), "a\nb", "\0", "\u{85}"] {
            let error = Tag::new(bad).expect_err("a bad tag");
            assert_eq!(error.kind(), ErrorKind::InvalidTag);
            assert!(error.to_string().contains("most: 256"), "{error}");
            assert!(bad.len() < 3 || !error.to_string().contains(bad), "the text is in {error}");
        }
    }

    #[test]
    fn set_of_tags_has_each_once_in_order_and_16_at_most() {
        let tag = |number: usize| Tag::new(format!("{number:02}")).expect("a good tag");
        let mut tags = Tags::none();
        for number in [3, 1, 2, 1, 3] {
            tags.add(tag(number), 0, "set").expect("few enough");
        }
        assert_eq!(tags.as_slice(), [1, 2, 3].map(tag));
        for number in 4..=MAX_TAGS {
            tags.add(tag(number), 0, "set").expect("few enough");
        }
        let before = tags.clone();
        let error = tags.add(tag(99), 0, "set").expect_err("too many");
        assert_eq!((error.kind(), &tags), (ErrorKind::InvalidTag, &before));
        tags.add(tag(1), 0, "set").expect("it is there");
        assert!(Tags::none().add(tag(1), MAX_TAGS, "tag_load").is_err());
    }

    #[test]
    fn global_tag_is_another_one_than_that_of_the_scope() {
        let [own, global] = [Tag::new("a"), Tag::global("a")].map(|tag| tag.expect("a good tag"));
        assert_ne!(own, global);
        let mut tags = Tags::none();
        for tag in [&own, &global, &own] {
            tags.add(tag.clone(), 0, "set").expect("few enough");
        }
        assert_eq!(tags.as_slice().len(), 2);
        assert_eq!(Tags::none().and(&tags), tags);
        assert_eq!(tags.and(&tags), tags);
    }
}
