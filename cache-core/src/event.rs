//! What happens to entries, in words that statistics, listeners and traces share.
//!
//! (1) Every entry leaves for exactly one cause. (2) An absent entry has no cause: what was not there was not removed.

/// Why an entry left the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemovalCause {
    /// Its deadline passed.
    Expired,
    /// It was pushed out by a capacity, a limit or a budget.
    Evicted,
    /// Its key, tag, region or scope was invalidated.
    Invalidated,
    /// It was taken by `remove` or `pop`.
    Removed,
    /// A newer value took its place.
    Replaced,
}

impl RemovalCause {
    /// All causes, each at its [`index`](Self::index).
    pub const ALL: [Self; 5] =
        [Self::Expired, Self::Evicted, Self::Invalidated, Self::Removed, Self::Replaced];

    /// The place of this cause in arrays of counters, below the length of [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        match self {
            Self::Expired => 0,
            Self::Evicted => 1,
            Self::Invalidated => 2,
            Self::Removed => 3,
            Self::Replaced => 4,
        }
    }

    /// The name used in traces and figures, `"expired"` for example.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::Invalidated => "invalidated",
            Self::Removed => "removed",
            Self::Replaced => "replaced",
        }
    }
}

impl std::fmt::Display for RemovalCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_cause_index_is_its_place_in_all() {
        for (place, cause) in RemovalCause::ALL.into_iter().enumerate() {
            assert_eq!(cause.index(), place);
        }
        let names: std::collections::HashSet<_> = RemovalCause::ALL.map(RemovalCause::name).into();
        assert_eq!(names.len(), RemovalCause::ALL.len());
    }
}
