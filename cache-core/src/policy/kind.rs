//! Which policy a cache uses: a name from configuration, or the user's own.
//!
//! (1) Names are read without regard to case and printed as they are read. (2) An unknown name is an error that
//! lists the known ones. Cost: nothing after a domain was made.

use std::fmt;
use std::str::FromStr;

use super::{Adaptive, EvictionPolicy, Fifo, Lfu, Lru, S3Fifo, Sieve, WTinyLfu};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::Arc;

/// Other spellings that are read.
const ALIASES: [(&str, Policy); 3] =
    [("s3fifo", Policy::S3Fifo), ("wtinylfu", Policy::WTinyLfu), ("tinylfu", Policy::WTinyLfu)];

/// An eviction policy, chosen when a cache is built.
///
/// ```
/// use strata_cache_core::policy::Policy;
///
/// let policy: Policy = "LFU".parse()?;
/// assert_eq!(policy.to_string(), "lfu");
/// assert!("lrru".parse::<Policy>().unwrap_err().to_string().ends_with("did you mean `lru`?"));
/// # Ok::<(), strata_cache_core::error::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Policy {
    /// Tunes itself between recency and frequency, and stands loops and scans. See [`Adaptive`].
    #[default]
    Adaptive,
    /// Least recently used goes first. Hits are slower than under the other policies, for each is reported.
    Lru,
    /// Least frequently used goes first; old use counts for less.
    Lfu,
    /// First in goes first out.
    Fifo,
    /// First in goes first out, but what was hit is passed over once. See [`Sieve`].
    Sieve,
    /// A small queue for what is new, a main one for what was hit. See [`S3Fifo`].
    S3Fifo,
    /// Admits what is seen more often than what would go. See [`WTinyLfu`].
    WTinyLfu,
    /// The user's own; made by [`Policy::custom`].
    Custom(Custom),
}

/// A user's policy: its name and how to make one for a domain.
#[derive(Clone)]
pub struct Custom {
    name: Arc<str>,
    make: Arc<dyn Fn() -> Box<dyn EvictionPolicy> + Send + Sync>,
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.name)
    }
}

impl Policy {
    /// The built-in policies, the default first.
    pub const BUILT_IN: [Self; 7] =
        [Self::Adaptive, Self::Lru, Self::Lfu, Self::Fifo, Self::Sieve, Self::S3Fifo, Self::WTinyLfu];

    /// A policy of the user's: a name to show, and a function that makes one for each eviction domain. The
    /// function is called under a lock, like the policy itself, and must not call the cache.
    pub fn custom(
        name: impl Into<Arc<str>>,
        make: impl Fn() -> Box<dyn EvictionPolicy> + Send + Sync + 'static,
    ) -> Self {
        Self::Custom(Custom { name: name.into(), make: Arc::new(make) })
    }

    /// Makes the policy of a new domain.
    pub fn build(&self) -> Box<dyn EvictionPolicy> {
        match self {
            Self::Adaptive => Box::new(Adaptive::default()),
            Self::Lru => Box::new(Lru),
            Self::Lfu => Box::new(Lfu::default()),
            Self::Fifo => Box::new(Fifo),
            Self::Sieve => Box::new(Sieve::default()),
            Self::S3Fifo => Box::new(S3Fifo::default()),
            Self::WTinyLfu => Box::new(WTinyLfu::default()),
            Self::Custom(custom) => (custom.make)(),
        }
    }

    /// The name, as [`Policy::from_str`] reads it unless it is the user's own.
    pub fn name(&self) -> &str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Lru => "lru",
            Self::Lfu => "lfu",
            Self::Fifo => "fifo",
            Self::Sieve => "sieve",
            Self::S3Fifo => "s3-fifo",
            Self::WTinyLfu => "w-tinylfu",
            Self::Custom(custom) => &custom.name,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Policy {
    type Err = Error;

    /// Reads a built-in policy's name in any case.
    ///
    /// # Errors
    /// `InvalidConfig` for any other name.
    fn from_str(name: &str) -> Result<Self> {
        let known = Self::BUILT_IN.each_ref().map(Self::name);
        let mut spellings =
            known.into_iter().zip(&Self::BUILT_IN).chain(ALIASES.iter().map(|(n, p)| (*n, p)));
        if let Some((_, policy)) = spellings.find(|(spelling, _)| spelling.eq_ignore_ascii_case(name)) {
            return Ok(policy.clone());
        }
        let shown: String = name.chars().take(40).flat_map(char::escape_default).collect();
        let error = Error::new(ErrorKind::InvalidConfig, "policy")
            .with("policy", format_args!("`{shown}`"))
            .with("known", known.join(", "));
        let near = |known: &&&str| is_near(known, &name.to_ascii_lowercase());
        Err(match known.iter().find(near) {
            Some(known) => error.because(format!("did you mean `{known}`?")),
            None => error.because("a policy of your own is given as `Policy::custom`, not by name"),
        })
    }
}

/// Whether a name contains a known one, or is one edit away from it.
fn is_near(known: &str, name: &str) -> bool {
    let (known, name) = (known.as_bytes(), name.as_bytes());
    if name.len() > known.len() + 16 {
        return false;
    }
    if name.windows(known.len()).any(|part| part == known) {
        return true;
    }
    let same = known.iter().zip(name).take_while(|(a, b)| a == b).count();
    let (a, b) = (&known[same..], &name[same..]);
    let rest = |bytes: &'_ [u8]| bytes.get(1..).unwrap_or_default().to_vec();
    rest(a) == rest(b) || rest(a) == b || a == rest(b)
}
