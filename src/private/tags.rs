//! Tags of what a cached function returns: formatted at a miss, out of its arguments.
//!
//! (1) A value is never stored without one of its tags: where one cannot be made, a text too long or with control characters say, the
//! call runs past the cache.

use std::fmt::Arguments;

use strata_cache_core::error::Result;
use strata_cache_core::scope::{Tag, Tags};

/// A tag of the entry's scope.
pub fn own(text: Arguments<'_>) -> Result<Tag> {
    match text.as_str() {
        Some(text) => Tag::new(text),
        None => Tag::new(text.to_string()),
    }
}

/// A tag of the root scope.
pub fn global(text: Arguments<'_>) -> Result<Tag> {
    match text.as_str() {
        Some(text) => Tag::global(text),
        None => Tag::global(text.to_string()),
    }
}

/// The tags of one entry.
pub(super) fn together(made: impl IntoIterator<Item = Result<Tag>>) -> Result<Tags> {
    let mut tags = Tags::none();
    made.into_iter().try_for_each(|tag| tags.add(tag?, 0, "cached"))?;
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_made_of_what_is_formatted_and_a_bad_one_spoils_all() {
        let plan = "gold";
        let tags =
            together([own(format_args!("plan:{plan}")), global(format_args!("prices"))]).expect("good tags");
        let texts: Vec<_> = tags.as_slice().iter().map(|tag| (tag.text(), tag.is_global())).collect();
        assert!(texts.contains(&("plan:gold", false)) && texts.contains(&("prices", true)), "{texts:?}");
        let plan = "a\nb";
        assert!(together([own(format_args!("plan:{plan}")), own(format_args!("fine"))]).is_err());
    }
}
