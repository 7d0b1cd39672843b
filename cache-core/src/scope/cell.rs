//! Cells: who is charged for entries with tags, and how all of a tag are withdrawn at once.
//!
//! (1) An entry with tags is charged to a cell: a node below its scope, one for each set of tags, that no path leads to. So an entry
//! is in one cell, however many tags it has. (2) A cell is known by a word: its number, and how often that number was given. The
//! word stands beside each of its entries, and in `Live` as long as it lives: where the two differ, the entry counts as absent. So
//! whoever reads an entry takes no lock, and a number that was given again makes no entry of before valid. (3) `Book` knows each
//! cell that may be written to, by scope and set, and by the owner and text of each of its tags: a cell is in both or in neither.
//! (4) Withdrawing a tag takes its cells out of the book first, then kills their ledgers, then their words, all under the book's lock:
//! when anybody's withdrawal of the tag returns, none of them is found any more. (5) The book holds cells weakly: a cell goes with its
//! last entry, and takes its places in the book along. Its scope stays as long as it does. (6) No cell is dropped under the book's
//! lock, which its end takes.
//! Cost: a write with tags takes the book's lock for reading and hashes the set; a withdrawal is O(cells that have the tag), whatever
//! is in them. A cell is some 400 bytes, 8 of which stay when it goes: for as many cells as there were at a time.

use ahash::RandomState;
use hashbrown::HashTable;

use super::node::{Node, Shared};
use super::number::Numbers;
use super::tag::{Tag, Tags};
use crate::sync::{Arc, AtomicU64, AtomicUsize, OnceLock, Ordering, RwLock, Weak};

/// In the numbers of cells, and not in those of scopes.
pub(super) const CELL: u32 = 1 << 31;

/// Words in the first segment.
const FIRST: u32 = if cfg!(any(shuttle, loom)) { 2 } else { 64 };

/// Segments at most.
const SEGMENTS: usize = 32;

/// What a cell is known by: its number above, below how often that was given. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CellWord(u64);

impl CellWord {
    const fn new(number: u32, generation: u32) -> Self {
        Self((number as u64) << 32 | generation as u64)
    }

    /// As it was kept.
    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// To be kept.
    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// The number of the cell's node.
    #[inline]
    pub(crate) const fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    const fn generation(self) -> u32 {
        self.0 as u32
    }
}

/// A cell that may be written to, or was when it was found.
#[derive(Debug, Clone)]
pub struct Cell {
    node: Arc<Node>,
    word: CellWord,
}

impl Cell {
    /// Its node, which is charged.
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// What stands beside its entries.
    pub(crate) fn word(&self) -> CellWord {
        self.word
    }
}

/// In a word of `Live`: the cell does not live any more.
const DEAD: u64 = 1 << 32;

/// Which cells live, by number. Read without a lock.
#[derive(Debug)]
pub(crate) struct Live {
    segments: [OnceLock<Box<[AtomicU64]>>; SEGMENTS],
}

impl Default for Live {
    fn default() -> Self {
        Self { segments: std::array::from_fn(|_| OnceLock::new()) }
    }
}

impl Live {
    /// Segment and offset of a number.
    #[inline]
    const fn place(number: u32) -> (usize, usize) {
        let index = (number & !CELL) + FIRST;
        let log = index.ilog2();
        ((log - FIRST.ilog2()) as usize, (index - (1 << log)) as usize)
    }

    /// Whether the cell of a word lives.
    #[inline]
    pub(crate) fn is_live(&self, word: CellWord) -> bool {
        let (segment, offset) = Self::place(word.number());
        let segment = self.segments.get(segment).and_then(OnceLock::get);
        let live = segment.and_then(|words| words.get(offset));
        live.is_some_and(|live| live.load(Ordering::Acquire) == u64::from(word.generation()))
    }

    fn of(&self, number: u32) -> &AtomicU64 {
        let (segment, offset) = Self::place(number);
        let words = &self.segments[segment];
        if words.get().is_none() {
            let fresh = (0..(FIRST as usize) << segment).map(|_| AtomicU64::new(DEAD)).collect();
            // Whoever was faster has set the same.
            _ = words.set(fresh);
        }
        words.get().map(|words| &words[offset]).expect("it was set just now, or before")
    }

    /// The number is given to a cell, which nobody else knows yet.
    fn begin(&self, number: u32) -> CellWord {
        let live = self.of(number);
        let generation = (live.load(Ordering::Acquire) & (DEAD - 1)) + 1;
        live.store(generation, Ordering::Release);
        // A number that was given so often is not given back.
        CellWord::new(number, generation as u32)
    }

    fn end(&self, word: CellWord) {
        let live = self.of(word.number());
        let known = u64::from(word.generation());
        _ = live.compare_exchange(known, known | DEAD, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether a number can be given once more, so that no word of its cells is another one's.
    fn can_be_given(&self, number: u32) -> bool {
        self.of(number).load(Ordering::Acquire) & (DEAD - 1) < u64::from(u32::MAX)
    }
}

/// The cells of a registry.
#[derive(Debug)]
pub(super) struct Cells {
    live: Arc<Live>,
    numbers: Numbers,
    /// Cells that exist, dead ones included.
    count: AtomicUsize,
    book: RwLock<Book>,
    hasher: RandomState,
}

/// Which cells may be written to.
#[derive(Debug, Default)]
struct Book {
    /// By number.
    known: Vec<Option<Known>>,
    /// Numbers, by scope and set.
    sets: HashTable<u32>,
    /// By owner and text.
    tags: HashTable<Tagged>,
}

#[derive(Debug)]
struct Known {
    /// The ids of its scope and of the root.
    scope: u64,
    root: u64,
    tags: Tags,
    word: CellWord,
    node: Weak<Node>,
}

/// The cells that have a tag.
#[derive(Debug)]
struct Tagged {
    owner: u64,
    text: Arc<str>,
    cells: Numbered,
}

type Numbered = std::collections::HashSet<u32, RandomState>;

/// What a withdrawal took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Withdrawn {
    /// Entries that no other detachment reports; see [`Detached`](super::Detached).
    pub entries: i64,
    /// Their weight.
    pub weight: i64,
    /// Cells that were looked at: all the work there was.
    pub cells: usize,
}

impl Default for Cells {
    fn default() -> Self {
        // Schedules can be replayed only if nothing else is random.
        let hasher = if cfg!(shuttle) { RandomState::with_seeds(1, 2, 3, 4) } else { RandomState::new() };
        Self {
            live: Arc::default(),
            numbers: Numbers::default(),
            count: AtomicUsize::new(0),
            book: RwLock::default(),
            hasher,
        }
    }
}

impl Cells {
    pub(super) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Cells that exist.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// A number for a cell.
    pub(super) fn take_number(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.numbers.take() | CELL
    }

    /// The cell of a scope and a set of tags that may be written to, made if there is none.
    pub(super) fn cell(&self, scope: &Arc<Node>, tags: &Tags, next_id: &AtomicU64) -> Cell {
        let hash = self.hash_of_set(scope.id(), tags);
        let known = self.book.read().find(hash, scope.id(), tags);
        if let Some(cell) = known {
            return cell;
        }
        let mut book = self.book.write();
        if let Some(cell) = book.find(hash, scope.id(), tags) {
            return cell;
        }
        // What is there is about to go.
        if let Some(number) = book.number_of(hash, scope.id(), tags) {
            book.remove(number, self);
        }
        let node = Node::cell(scope, next_id.fetch_add(1, Ordering::Relaxed));
        let word = self.live.begin(node.number());
        let known = Known {
            scope: scope.id(),
            root: scope.root().id(),
            tags: tags.clone(),
            word,
            node: Arc::downgrade(&node),
        };
        book.add(known, self);
        Cell { node, word }
    }

    /// The tags of a cell that may be written to.
    pub(super) fn tags_of(&self, word: CellWord) -> Option<Tags> {
        let book = self.book.read();
        let known = book.at(word.number()).filter(|known| known.word == word)?;
        Some(known.tags.clone())
    }

    /// Withdraws all entries that have a tag: from now on they are absent. `owner` is the id of the scope it belongs to.
    pub(super) fn withdraw(&self, owner: u64, text: &str) -> Withdrawn {
        let mut withdrawn = Withdrawn::default();
        let mut held = Vec::new();
        let mut book = self.book.write();
        for number in book.take_tag(self.hash_of_tag(owner, text), owner, text) {
            let Some(Known { word, node, .. }) = book.remove(number, self) else { continue };
            withdrawn.cells += 1;
            // One that is about to go has no entries.
            let Some(node) = node.upgrade() else { continue };
            if let Some(taken) = node.kill() {
                withdrawn.entries += taken.entries;
                withdrawn.weight += taken.weight;
            }
            // After its ledgers: who finds it dead here finds it counted.
            self.live.end(word);
            held.push(node);
        }
        drop(book);
        withdrawn
    }

    /// A cell's node is dropped.
    pub(super) fn forget(&self, number: u32, node: *const Node) {
        let mut book = self.book.write();
        let is_it = |known: &Known| std::ptr::eq(known.node.as_ptr(), node);
        let known = if book.at(number).is_some_and(is_it) { book.remove(number, self) } else { None };
        drop(book);
        drop(known);
        self.count.fetch_sub(1, Ordering::Relaxed);
        if self.live.can_be_given(number) {
            self.numbers.give_back(number & !CELL);
        }
    }

    fn hash_of_set(&self, scope: u64, tags: &Tags) -> u64 {
        self.hasher.hash_one((scope, tags.as_slice()))
    }

    fn hash_of_tag(&self, owner: u64, text: &str) -> u64 {
        self.hasher.hash_one((owner, text))
    }

    /// Cells in the book, and tags in its index.
    #[cfg(test)]
    #[cfg(not(any(shuttle, loom)))]
    fn in_book(&self) -> (usize, usize) {
        let book = self.book.read();
        (book.sets.len(), book.tags.len())
    }
}

impl Book {
    fn at(&self, number: u32) -> Option<&Known> {
        self.known.get((number & !CELL) as usize)?.as_ref()
    }

    fn number_of(&self, hash: u64, scope: u64, tags: &Tags) -> Option<u32> {
        let is_it = |known: &Known| known.scope == scope && known.tags == *tags;
        self.sets.find(hash, |&number| self.at(number).is_some_and(is_it)).copied()
    }

    fn find(&self, hash: u64, scope: u64, tags: &Tags) -> Option<Cell> {
        let known = self.at(self.number_of(hash, scope, tags)?)?;
        Some(Cell { node: known.node.upgrade()?, word: known.word })
    }

    fn add(&mut self, cell: Known, cells: &Cells) {
        let number = cell.word.number();
        let hash = cells.hash_of_set(cell.scope, &cell.tags);
        for tag in cell.tags.as_slice() {
            self.enter(tag, cell.owner_of(tag), number, cells);
        }
        let at = (number & !CELL) as usize;
        if self.known.len() <= at {
            self.known.resize_with(at + 1, || None);
        }
        self.known[at] = Some(cell);
        let known = &self.known;
        let hash_of = |&number: &u32| {
            let known = known[(number & !CELL) as usize].as_ref();
            known.map_or(0, |known| cells.hash_of_set(known.scope, &known.tags))
        };
        self.sets.insert_unique(hash, number, hash_of);
    }

    fn enter(&mut self, tag: &Tag, owner: u64, number: u32, cells: &Cells) {
        let (hash, text) = (cells.hash_of_tag(owner, tag.text()), tag.text());
        let is_it = |tagged: &Tagged| tagged.owner == owner && *tagged.text == *text;
        if let Some(tagged) = self.tags.find_mut(hash, is_it) {
            tagged.cells.insert(number);
            return;
        }
        let mut numbers = Numbered::with_hasher(cells.hasher.clone());
        numbers.insert(number);
        let tagged = Tagged { owner, text: tag.shared_text(), cells: numbers };
        self.tags.insert_unique(hash, tagged, |tagged| cells.hash_of_tag(tagged.owner, &tagged.text));
    }

    /// The cells of a tag, whose place in the index goes.
    fn take_tag(&mut self, hash: u64, owner: u64, text: &str) -> Vec<u32> {
        let is_it = |tagged: &Tagged| tagged.owner == owner && *tagged.text == *text;
        let Ok(entry) = self.tags.find_entry(hash, is_it) else { return Vec::new() };
        let (tagged, _) = entry.remove();
        tagged.cells.into_iter().collect()
    }

    /// A cell may not be written to any more.
    fn remove(&mut self, number: u32, cells: &Cells) -> Option<Known> {
        let cell = self.known.get_mut((number & !CELL) as usize)?.take()?;
        let hash = cells.hash_of_set(cell.scope, &cell.tags);
        if let Ok(entry) = self.sets.find_entry(hash, |&known| known == number) {
            entry.remove();
        }
        for tag in cell.tags.as_slice() {
            self.leave(tag, cell.owner_of(tag), number, cells);
        }
        if self.sets.is_empty() {
            *self = Self::default();
        }
        Some(cell)
    }

    fn leave(&mut self, tag: &Tag, owner: u64, number: u32, cells: &Cells) {
        let (hash, text) = (cells.hash_of_tag(owner, tag.text()), tag.text());
        let is_it = |tagged: &Tagged| tagged.owner == owner && *tagged.text == *text;
        let Ok(mut entry) = self.tags.find_entry(hash, is_it) else { return };
        entry.get_mut().cells.remove(&number);
        if entry.get().cells.is_empty() {
            entry.remove();
        }
    }
}

impl Known {
    /// The id of the scope that a tag belongs to.
    fn owner_of(&self, tag: &Tag) -> u64 {
        if tag.is_global() { self.root } else { self.scope }
    }
}

impl Shared {
    /// Who is charged for entries with tags.
    pub(super) fn cells(&self) -> &Cells {
        &self.cells
    }
}

#[cfg(test)]
#[cfg(not(any(shuttle, loom)))]
mod tests;
