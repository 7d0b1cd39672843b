//! The index of a registry: its nodes by parent, level and id. Looked at without a lock.
//!
//! (1) A table is changed under its shard's write lock only, and looked at under a pin alone. (2) Who takes a hold of a
//! node that it found here holds the shard's lock, so that under the write lock a count of one says that only the index
//! holds it. Who looks under a pin alone gets a borrowed node. (3) A node keeps its place while it is in a table, and what is
//! put in its place has its key. (4) A place's word is the hash of what is, or last was, there; it is 0 until the first
//! time and never again, so a look-up that meets 0 has passed every place where the node could be. It is written before the
//! node is. (5) A quarter of a table's words, at least, are 0. (6) A table that another one took the place of does not change
//! any more: who still looks there sees the moment of the change. (7) On a match parent, level and id are compared in full.
//! Cost: a look is one load of the table, one of a word and of a node for each place passed, and one comparison; tables
//! take 16 bytes a place, and 2 to 4 places a node after they have grown.

use ahash::RandomState;

use crate::epoch::{self, Held, Leaving, Pin, Slot};
use crate::scope::id::IdText;
use crate::scope::node::Node;
use crate::scope::text::{Brief, Seeds};
use crate::scope::tree::LevelId;
use crate::sync::{Arc, AtomicU64, Ordering, RwLock, RwLockWriteGuard, fence};

const SHARDS: usize = if cfg!(shuttle) { 2 } else { 64 };

/// Places of the smallest table.
const FEWEST: usize = if cfg!(shuttle) { 2 } else { 8 };

/// Tables up to this many places are not worth shrinking.
const SMALL: usize = 64;

/// What a node is found by.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    above: u64,
    level: LevelId,
    id: &'a IdText<'a>,
    brief: Brief,
    hash: u64,
}

impl Key<'_> {
    #[inline(always)]
    fn is_of(&self, node: &Node) -> bool {
        node.is_child(self.above, self.level, self.brief, self.id)
    }
}

/// The nodes of a registry, but for its root.
pub(super) struct Index {
    seeds: Seeds,
    /// Apart from the locks, which are written by who only takes a hold.
    tables: Box<[Slot<Table>; SHARDS]>,
    books: Box<[RwLock<Books>; SHARDS]>,
}

/// What the places of a table are used for.
#[derive(Debug, Default, Clone, Copy)]
struct Books {
    nodes: usize,
    /// Words that are not 0.
    words: usize,
}

pub(super) struct Table {
    places: Box<[Place]>,
}

pub(super) struct Place {
    word: AtomicU64,
    node: Slot<Node>,
}

impl Place {
    pub(super) fn node<'p>(&'p self, pin: &'p Pin) -> Option<Held<'p, Node>> {
        self.node.load(pin)
    }
}

impl Table {
    fn new(places: usize) -> Self {
        let place = |_| Place { word: AtomicU64::new(0), node: Slot::new(None) };
        Self { places: (0..places).map(place).collect() }
    }

    /// The places at which a hash may be, the likeliest first, and then all others.
    #[inline]
    fn places(&self, hash: u64) -> impl Iterator<Item = &Place> {
        let places = &*self.places;
        // A power of two.
        let mask = places.len().wrapping_sub(1);
        (0..places.len()).filter_map(move |step| places.get((hash as usize >> 1).wrapping_add(step) & mask))
    }

    /// The place and the node of this hash that is meant.
    #[inline(always)]
    fn at<'t>(
        &'t self,
        pin: &'t Pin,
        hash: u64,
        is_it: impl Fn(&Node) -> bool,
    ) -> Option<(&'t Place, Held<'t, Node>)> {
        let places = &*self.places;
        let mask = places.len().wrapping_sub(1);
        let mut at = hash as usize >> 1;
        loop {
            let place = places.get(at & mask)?;
            // `Acquire` goes with (4): whoever saw the node put here sees the word too.
            let word = place.word.load(Ordering::Acquire);
            if word == hash {
                if let Some(node) = place.node.load(pin)
                    && is_it(&node)
                {
                    return Some((place, node));
                }
            } else if word == 0 {
                return None;
            }
            at = at.wrapping_add(1);
        }
    }

    /// All places, so many at a time.
    pub(super) fn slices(&self, places: usize) -> impl Iterator<Item = &[Place]> {
        self.places.chunks(places)
    }

    /// The node of a key.
    #[inline(always)]
    pub(super) fn find<'t>(&'t self, pin: &'t Pin, key: &Key<'_>) -> Option<Held<'t, Node>> {
        self.at(
            pin,
            key.hash,
            #[inline(always)]
            |node| key.is_of(node),
        )
        .map(|(_, node)| node)
    }

    /// Puts a node where there is none, which is certain by (5).
    fn put(&self, pin: &Pin, hash: u64, node: Arc<Node>, books: &mut Books) {
        let free = self.places(hash).find(|place| place.node.load(pin).is_none());
        let Some(place) = free else { return };
        books.nodes += 1;
        books.words += usize::from(place.word.load(Ordering::Relaxed) == 0);
        place.word.store(hash, Ordering::Release);
        place.node.swap(Some(node));
    }
}

impl Index {
    pub(super) fn new(state: &RandomState) -> Self {
        Self {
            seeds: Seeds::new(state),
            tables: Box::new(std::array::from_fn(|_| Slot::new(None))),
            books: Box::new(std::array::from_fn(|_| RwLock::default())),
        }
    }

    #[inline(always)]
    pub(super) fn key<'a>(
        &self,
        above: u64,
        level: LevelId,
        (id, brief): (&'a IdText<'a>, Brief),
    ) -> Key<'a> {
        let hash = self.seeds.hash(above, level.index(), brief, || id.as_bytes());
        Key { above, level, id, brief, hash }
    }

    pub(super) fn tables(&self) -> &[Slot<Table>] {
        &*self.tables
    }

    #[inline]
    fn shard(hash: u64) -> usize {
        // The table uses the lowest bits.
        (hash >> 40) as usize % SHARDS
    }

    /// Where the node of a key is, if it is. Looked at again for the next key.
    #[inline(always)]
    pub(super) fn table<'p>(&'p self, pin: &'p Pin, key: &Key<'_>) -> Option<Held<'p, Table>> {
        self.tables[Self::shard(key.hash)].load(pin)
    }

    /// The id of a key's node.
    #[inline(always)]
    pub(super) fn id(&self, pin: &Pin, key: &Key<'_>) -> Option<u64> {
        self.table(pin, key)?.find(pin, key).map(|node| node.id())
    }

    /// The node of a key, held.
    pub(super) fn hold(&self, key: &Key<'_>) -> Option<Arc<Node>> {
        let pin = epoch::pin();
        let _books = self.books[Self::shard(key.hash)].read();
        self.table(&pin, key)?.find(&pin, key).map(|node| Arc::clone(&node))
    }

    /// The node of a key: the one that is there, or else this one from now on.
    pub(super) fn insert(&self, key: &Key<'_>, fresh: &Arc<Node>) -> Arc<Node> {
        let pin = epoch::pin();
        let mut shard = self.lock(Self::shard(key.hash));
        if let Some(node) =
            shard.table(&pin).and_then(|table| table.find(&pin, key).map(|node| Arc::clone(&node)))
        {
            return node;
        }
        shard.make_room(&pin);
        let Locked { slot, books } = &mut shard;
        if let Some(table) = slot.load(&pin) {
            table.put(&pin, key.hash, Arc::clone(fresh), books);
        }
        Arc::clone(fresh)
    }

    /// Puts a node in the place of the one that is there and has this id. What is left over is to be dropped outside of locks.
    pub(super) fn replace(&self, key: &Key<'_>, id: u64, fresh: Arc<Node>) -> Option<Arc<Node>> {
        let pin = epoch::pin();
        let shard = self.lock(Self::shard(key.hash));
        let table = shard.table(&pin);
        match table.as_ref().and_then(|table| table.at(&pin, key.hash, |node| node.id() == id)) {
            Some((place, _)) => place.node.swap(Some(fresh)),
            None => Some(fresh),
        }
    }

    /// Takes the node of this id out if nothing but the index holds it.
    pub(super) fn take_idle(&self, key: &Key<'_>, id: u64) -> Option<Leaving<Node>> {
        let pin = epoch::pin();
        let mut shard = self.lock(Self::shard(key.hash));
        let table = shard.slot.load(&pin)?;
        let (place, node) = table.at(&pin, key.hash, |node| node.id() == id)?;
        is_idle(&node).then(|| shard.take_out(place)).flatten()
    }

    pub(super) const fn shards() -> usize {
        SHARDS
    }

    /// Takes idle nodes out of places `from` and the next of one shard, at most so many, and calls for the others. Answers
    /// how many places it looked at, and where to go on in this shard.
    pub(super) fn sweep(
        &self,
        shard: usize,
        from: usize,
        most: usize,
        idle: &mut Vec<Leaving<Node>>,
        mut stays: impl FnMut(&Node),
    ) -> (usize, Option<usize>) {
        let pin = epoch::pin();
        let mut shard = self.lock(shard);
        let table = shard.slot.load(&pin);
        let places = table.as_ref().map_or(&[][..], |table| &table.places);
        let end = places.len().min(from + most);
        let begin = from.min(end);
        for place in &places[begin..end] {
            match place.node.load(&pin) {
                Some(node) if is_idle(&node) => idle.extend(shard.take_out(place)),
                Some(node) => stays(&node),
                None => {}
            }
        }
        let is_over = end == places.len();
        (end - begin, (!is_over).then_some(end))
    }

    /// Makes tables smaller that have become too large for what is in them, and moves small ones if that is asked for.
    pub(super) fn shrink(&self, and_move: bool) {
        for shard in 0..SHARDS {
            let pin = epoch::pin();
            self.lock(shard).shrink(&pin, and_move);
        }
    }

    fn lock(&self, shard: usize) -> Locked<'_> {
        Locked { slot: &self.tables[shard], books: self.books[shard].write() }
    }

    /// How many places all tables have.
    #[cfg(test)]
    #[cfg(not(shuttle))]
    pub(super) fn places(&self) -> usize {
        let pin = epoch::pin();
        self.tables.iter().filter_map(|table| table.load(&pin)).map(|table| table.places.len()).sum()
    }
}

/// Whether only the index holds a node, seen under the write lock: by (2) that stays so.
fn is_idle(node: &Arc<Node>) -> bool {
    let is_idle = Arc::strong_count(node) == 1;
    // What the last holder did comes before what follows.
    fence(Ordering::Acquire);
    is_idle
}

/// A shard under its write lock.
struct Locked<'i> {
    slot: &'i Slot<Table>,
    books: RwLockWriteGuard<'i, Books>,
}

impl<'i> Locked<'i> {
    fn table<'p>(&self, pin: &'p Pin) -> Option<Held<'p, Table>>
    where
        'i: 'p,
    {
        self.slot.load(pin)
    }

    /// Readers who have found the node keep it until they have passed.
    fn take_out(&mut self, place: &Place) -> Option<Leaving<Node>> {
        self.books.nodes -= 1;
        place.node.take_out()
    }

    /// Makes sure that one more node leaves a quarter of the words 0.
    fn make_room(&mut self, pin: &Pin) {
        let places = self.table(pin).map_or(0, |table| table.places.len());
        if self.books.words + 1 > places * 3 / 4 {
            self.rebuild(pin, (self.books.nodes + 1) * 2);
        }
    }

    /// Gives memory back where most places are empty, and time where many words stand for nodes that are gone.
    fn shrink(&mut self, pin: &Pin, and_move: bool) {
        let places = self.table(pin).map_or(0, |table| table.places.len());
        let Books { nodes, words } = *self.books;
        if nodes == 0 && places > 0 {
            *self.books = Books::default();
            self.slot.swap(None);
            return;
        }
        let is_moved = and_move && (1..=SMALL).contains(&places);
        if is_moved || places > SMALL && (nodes < places / 8 || words - nodes > places / 4) {
            self.rebuild(pin, (nodes + 1) * 2);
        }
    }

    fn rebuild(&mut self, pin: &Pin, places: usize) {
        let table = Table::new(places.next_power_of_two().max(FEWEST));
        let mut books = Books::default();
        if let Some(old) = self.table(pin) {
            for place in &old.places {
                if let Some(node) = place.node.load(pin) {
                    table.put(pin, place.word.load(Ordering::Relaxed), Arc::clone(&node), &mut books);
                }
            }
        }
        *self.books = books;
        // The old one, with a hold of each of its nodes, goes when its readers have passed.
        self.slot.swap(Some(Arc::new(table)));
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests;
