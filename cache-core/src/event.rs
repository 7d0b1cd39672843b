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

/// What happened to a load, or to a look-up because of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadEventKind {
    /// A value past its time-to-live was served at once.
    StaleServed,
    /// A value past its time-to-live was served because a load brought no other.
    FellBack,
    /// A load was begun in the background.
    RefreshBegun,
    /// A load was not begun in the background: as many run as may, or the cache was closed.
    Postponed,
    /// A loader ended in an error, was cancelled, or took longer than it may.
    Failed,
    /// A loader panicked.
    Panicked,
    /// A load brought a value that was not stored: what it was loaded from has changed since, or its weight cannot be.
    NotStored,
    /// A look-up did not wait any longer, and was served a stale value.
    SoftTimeout,
    /// A look-up did not wait any longer.
    HardTimeout,
    /// The breaker of a region opened.
    BreakerOpened,
    /// The breaker of a region closed again.
    BreakerClosed,
}

impl LoadEventKind {
    /// The name used in traces and figures, `"stale_served"` for example.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StaleServed => "stale_served",
            Self::FellBack => "fell_back",
            Self::RefreshBegun => "refresh_begun",
            Self::Postponed => "postponed",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::NotStored => "not_stored",
            Self::SoftTimeout => "soft_timeout",
            Self::HardTimeout => "hard_timeout",
            Self::BreakerOpened => "breaker_opened",
            Self::BreakerClosed => "breaker_closed",
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
