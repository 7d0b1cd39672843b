//! Tags against a naive model: a list of entries with their tags and the scope that owns each. Every answer and every report has to
//! agree, after every step.
//!
//! The seed is printed with a failure: `PROPTEST_RNG_SEED` runs it again, `PROPTEST_CASES` asks for more cases.

use std::collections::BTreeSet;
use std::time::SystemTime;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use strata_cache::{Cache, Error, Region, Scope, Tag, TestClock, scope, tag_load};

use crate::support::{seconds, still};

const CASES: u32 = 2_000;

const TEXTS: [&str; 3] = ["a", "b", "c"];

/// Which of the scopes each one is within.
const WITHIN: [&[usize]; 5] = [&[0], &[0, 1], &[0, 1, 2], &[0, 1, 3], &[0, 4]];

type Agreed = Result<(), TestCaseError>;

/// The text by its place in `TEXTS`, and whether it is global.
type Told = (usize, bool);

#[derive(Debug, Clone)]
enum Step {
    Set { at: At, tags: Vec<Told>, ttl: Option<u64>, weight: u64 },
    Load { at: At, declared: Vec<Told>, added: Vec<Told>, ttl: Option<u64> },
    Get { at: At },
    Remove { at: At },
    Withdraw { place: usize, text: usize },
    Evict { place: usize },
    Region { is_word: bool, place: usize },
    Advance { by: u64 },
    Maintain,
}

/// Place and key, in the region of words or in that of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At {
    place: usize,
    key: u8,
    is_word: bool,
}

#[derive(Debug)]
struct Entry {
    at: At,
    value: u64,
    weight: u64,
    due: Option<u64>,
    /// Owner and text.
    tags: BTreeSet<(usize, usize)>,
}

struct World {
    cache: Cache,
    clock: TestClock,
    places: Vec<Scope>,
    words: Region<u8, u64>,
    texts: Region<u8, String>,
    entries: Vec<Entry>,
    now: u64,
    next: u64,
}

fn tag(&(text, is_global): &Told) -> Result<Tag, Error> {
    if is_global { Tag::global(TEXTS[text]) } else { Tag::new(TEXTS[text]) }
}

fn owned(place: usize, tags: &[Told]) -> BTreeSet<(usize, usize)> {
    tags.iter().map(|&(text, is_global)| (if is_global { 0 } else { place }, text)).collect()
}

impl World {
    fn new() -> Result<Self, Error> {
        let (builder, clock) = still();
        let cache = builder.build()?;
        let places = vec![
            cache.scope(scope!(global))?,
            cache.scope(scope!(org = "acme"))?,
            cache.scope(scope!(org = "acme", user = 1))?,
            cache.scope(scope!(org = "acme", user = 2))?,
            cache.scope(scope!(org = "globex"))?,
        ];
        let (words, texts) = (cache.region("words")?, cache.region("texts")?);
        Ok(Self { cache, clock, places, words, texts, entries: Vec::new(), now: 0, next: 0 })
    }

    fn find(&self, at: At) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.at == at)
    }

    /// Takes out what something is true of, and answers how many those are and what they weigh.
    fn take(&mut self, which: impl Fn(&Entry) -> bool) -> (u64, u64) {
        let gone: Vec<Entry> = self.entries.extract_if(.., |entry| which(entry)).collect();
        (gone.len() as u64, gone.iter().map(|entry| entry.weight).sum())
    }

    fn get(&self, at: At) -> Result<Option<u64>, Error> {
        let place = &self.places[at.place];
        Ok(match at.is_word {
            true => self.words.get_now(place, &at.key)?,
            false => self.texts.get_now(place, &at.key)?.map(|text| text.parse().unwrap_or(0)),
        })
    }

    fn set(&self, at: At, tags: &[Told], ttl: Option<u64>, weight: u64) -> Result<(), Error> {
        let place = &self.places[at.place];
        let tags = tags.iter().map(tag).collect::<Result<Vec<_>, _>>()?;
        let ttl = ttl.map_or("never".to_owned(), |ttl| format!("{ttl}s"));
        match at.is_word {
            true => self.words.set(place, at.key, self.next).tags(tags).ttl(ttl).weight(weight).wait(),
            false => {
                self.texts.set(place, at.key, self.next.to_string()).tags(tags).ttl(ttl).weight(weight).wait()
            }
        }
    }

    fn load(&self, at: At, declared: &[Told], added: &[Told], ttl: Option<u64>) -> Result<u64, Error> {
        let place = &self.places[at.place];
        let declared = declared.iter().map(tag).collect::<Result<Vec<_>, _>>()?;
        let ttl = ttl.map_or("never".to_owned(), |ttl| format!("{ttl}s"));
        let add = || added.iter().try_for_each(|told| tag_load(tag(told)?));
        let (words, texts) = (&self.words, &self.texts);
        match at.is_word {
            true => {
                let load = words.get_or_load_with(place, &at.key, || add().map(|()| self.next));
                load.tags(declared).ttl(ttl).weight(2).wait().map_err(strata_cache::LoadError::flatten)
            }
            false => {
                let load = texts.get_or_load_with(place, &at.key, || add().map(|()| self.next.to_string()));
                let loaded = load.tags(declared).ttl(ttl).weight(2).wait();
                loaded.map(|text| text.parse().unwrap_or(0)).map_err(strata_cache::LoadError::flatten)
            }
        }
    }

    fn step(&mut self, step: &Step) -> Result<Agreed, Error> {
        self.next += 1;
        match step {
            Step::Set { at, tags, ttl, weight } => {
                self.set(*at, tags, *ttl, *weight)?;
                self.put(*at, owned(at.place, tags), *ttl, *weight);
            }
            Step::Load { at, declared, added, ttl } => {
                let loaded = self.load(*at, declared, added, *ttl)?;
                if self.find(*at).is_none() {
                    let tags = &owned(at.place, declared) | &owned(at.place, added);
                    self.put(*at, tags, *ttl, 2);
                }
                return Ok(same("loaded", Some(loaded), self.find(*at).map(|entry| entry.value)));
            }
            Step::Get { at } => {
                return Ok(same("got", self.get(*at)?, self.find(*at).map(|entry| entry.value)));
            }
            Step::Remove { at } => {
                let place = &self.places[at.place];
                let removed = match at.is_word {
                    true => self.words.remove(place, &at.key).wait()?,
                    false => self.texts.remove(place, &at.key).wait()?,
                };
                let (count, _) = self.take(|entry| entry.at == *at);
                return Ok(same("removed", removed, count == 1));
            }
            Step::Withdraw { place, text } => {
                let gone = self.places[*place].invalidate_tag(TEXTS[*text]).wait()?;
                let expected = self.take(|entry| entry.tags.contains(&(*place, *text)));
                return Ok(same("withdrawn", (gone.entries, gone.weight), expected));
            }
            Step::Evict { place } => {
                let preview = self.places[*place].preview_evict().wait()?;
                let gone = self.places[*place].evict_by_scope().wait()?;
                let expected = self.take(|entry| WITHIN[entry.at.place].contains(place));
                let told = ((preview.entries, preview.weight), (gone.entries, gone.weight));
                return Ok(same("evicted", told, (expected, expected)));
            }
            Step::Region { is_word, place } => {
                let scope = &self.places[*place];
                let gone = match is_word {
                    true => self.words.invalidate_scope(scope).wait()?,
                    false => self.texts.invalidate_scope(scope).wait()?,
                };
                let expected = self.take(|entry| entry.at.place == *place && entry.at.is_word == *is_word);
                return Ok(same("of a region", (gone.entries, gone.weight), expected));
            }
            Step::Advance { by } => {
                self.now += by;
                self.clock.advance(seconds(*by));
                let now = self.now;
                self.take(|entry| entry.due.is_some_and(|due| due <= now));
            }
            Step::Maintain => self.cache.maintain(),
        }
        Ok(Ok(()))
    }

    fn put(&mut self, at: At, tags: BTreeSet<(usize, usize)>, ttl: Option<u64>, weight: u64) {
        self.take(|entry| entry.at == at);
        let due = ttl.map(|ttl| self.now + ttl);
        self.entries.push(Entry { at, value: self.next, weight, due, tags });
    }

    /// What each scope says it holds.
    fn agrees(&self) -> Result<Agreed, Error> {
        let stats = self.cache.stats();
        for (place, scope) in self.places.iter().enumerate() {
            let report = scope.stats()?;
            let within = self.entries.iter().filter(|entry| WITHIN[entry.at.place].contains(&place));
            let held = within.fold((0, 0), |(entries, weight), entry| (entries + 1, weight + entry.weight));
            if let Err(differs) = same("held", (report.entries, report.weight), held) {
                return Ok(Err(differs));
            }
        }
        let set_of = |entry: &Entry| (entry.at.place, entry.tags.clone());
        let tagged = self.entries.iter().filter(|entry| !entry.tags.is_empty());
        let sets = tagged.map(set_of).collect::<BTreeSet<_>>().len() as u64;
        // In the root scope a tag is the same, global or not, but not the same set.
        Ok(same("sets of tags, at least", stats.tag_sets.min(sets), sets))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, told: T, expected: T) -> Agreed {
    prop_assert_eq!(told, expected, "{}", what);
    Ok(())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = || {
        (0..WITHIN.len(), 0..3_u8, any::<bool>()).prop_map(|(place, key, is_word)| At { place, key, is_word })
    };
    let tags = || proptest::collection::vec((0..TEXTS.len(), prop::bool::weighted(0.3)), 0..4);
    let ttl = || proptest::option::weighted(0.4, 1..5_u64);
    let step = prop_oneof![
        6 => (at(), tags(), ttl(), 1..4_u64).prop_map(|(at, tags, ttl, weight)| Step::Set { at, tags, ttl, weight }),
        3 => (at(), tags(), tags(), ttl())
            .prop_map(|(at, declared, added, ttl)| Step::Load { at, declared, added, ttl }),
        4 => at().prop_map(|at| Step::Get { at }),
        2 => at().prop_map(|at| Step::Remove { at }),
        4 => (0..WITHIN.len(), 0..TEXTS.len()).prop_map(|(place, text)| Step::Withdraw { place, text }),
        1 => (0..WITHIN.len()).prop_map(|place| Step::Evict { place }),
        1 => (any::<bool>(), 0..WITHIN.len()).prop_map(|(is_word, place)| Step::Region { is_word, place }),
        1 => (1..3_u64).prop_map(|by| Step::Advance { by }),
        1 => Just(Step::Maintain),
    ];
    proptest::collection::vec(step, 1..60)
}

fn failed(error: Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn history(steps: &[Step]) -> Agreed {
    let mut world = World::new().map_err(failed)?;
    for (number, step) in steps.iter().enumerate() {
        let at = |differs: TestCaseError| TestCaseError::fail(format!("step {number}, {step:?}: {differs}"));
        world.step(step).map_err(failed)?.map_err(at)?;
        // Statistics do what maintenance is owed, so that what is not swept yet is met only if they are not always asked.
        if number % 5 == 4 {
            world.agrees().map_err(failed)?.map_err(at)?;
        }
    }
    world.agrees().map_err(failed)??;
    let held = world.entries.len() as u64;
    prop_assert_eq!(world.cache.clear().wait().map_err(failed)?.entries, held);
    world.cache.maintain();
    let stats = world.cache.stats();
    prop_assert_eq!((stats.entries, stats.weight, stats.tag_sets, stats.flights), (0, 0, 0, 0));
    prop_assert_eq!(stats.inserts, stats.invalidated + stats.removed + stats.expired + stats.evicted);
    Ok(())
}

#[test]
fn tags_agree_with_a_naive_model_in_every_history() {
    let now =
        || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let told = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = told.unwrap_or_else(now);
    eprintln!("seed: PROPTEST_RNG_SEED={seed}");
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases.max(CASES) } else { CASES };
    let config = ProptestConfig { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..asked };
    if let Err(failure) = TestRunner::new(config).run(&steps(), |steps| history(&steps)) {
        panic!("{failure}\nPROPTEST_RNG_SEED={seed}");
    }
}
