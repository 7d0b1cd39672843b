//! What a backend says of itself. Callers and the behaviour suite believe it: a promise not made is not tested,
//! a promise made is.

/// The promises of one backend, the weakest by default.
///
/// ```
/// use strata_cache_storage::Capability;
///
/// let redis_like = Capability::new().with_largest_value(512 << 20);
/// assert!(!redis_like.keeps());
/// assert_eq!(redis_like.largest_value(), Some(512 << 20));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capability {
    counts: bool,
    keeps: bool,
    largest_value: Option<usize>,
}

impl Capability {
    /// No promise beyond what [`Storage`](crate::Storage) demands of all.
    pub const fn new() -> Self {
        Self { counts: false, keeps: false, largest_value: None }
    }

    /// Promises that removals report [`Count::Known`](crate::Count::Known), and exactly.
    #[must_use]
    pub const fn with_counts(mut self) -> Self {
        self.counts = true;
        self
    }

    /// Promises that what was put stays until a caller removes it: the backend evicts nothing on its own.
    #[must_use]
    pub const fn with_keeps(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// Names the length in bytes above which a value is refused as `TooLarge`.
    #[must_use]
    pub const fn with_largest_value(mut self, bytes: usize) -> Self {
        self.largest_value = Some(bytes);
        self
    }

    /// Whether removals are counted.
    pub const fn counts(self) -> bool {
        self.counts
    }

    /// Whether nothing goes unless a caller says so.
    pub const fn keeps(self) -> bool {
        self.keeps
    }

    /// The longest value in bytes, `None` where there is no limit.
    pub const fn largest_value(self) -> Option<usize> {
        self.largest_value
    }
}
