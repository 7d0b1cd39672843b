//! Random histories of turns against a naive model: lists of permits and of waiting loads, looked through each time.
//!
//! After every step (an outer permit may end before one taken inside of it): who is granted, queued or refused is the model's; nobody waits who could run; nobody not forced is over
//! a limit; between a tenant's becoming ready and its turn each other tenant of the node got one permit at most.
//! The seed is printed with a failure: `PROPTEST_RNG_SEED` runs it again, `PROPTEST_CASES` asks for more cases.

use std::collections::HashMap;
use std::time::SystemTime;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use super::super::nodes::{Defaults, NodeId, Step};
use super::super::turns::{Asked, Place, Turns};
use super::*;
use crate::scope::LevelId;

const CASES: u32 = 10_000;

/// Ids of each scope in play, from the first level down.
const SCOPES: [&[&str]; 9] =
    [&[], &["a"], &["b"], &["c"], &["a", "1"], &["a", "2"], &["b", "1"], &["a", "1", "x"], &["a", "1", "y"]];

#[derive(Debug, Clone)]
enum Op {
    Ask(usize, bool),
    Inside(usize, usize),
    Release(usize),
    Leave(usize),
    Admit(usize),
    Limit(usize, Option<(u32, u32)>),
}

fn op() -> impl Strategy<Value = Op> {
    let (scope, n) = (0..SCOPES.len(), 0..64_usize);
    let limit = prop::option::of((1..4_u32, 0..5_u32));
    prop_oneof![
        12 => (scope.clone(), prop::bool::weighted(0.8)).prop_map(|(scope, refusable)| Op::Ask(scope, refusable)),
        2 => (scope.clone(), n.clone()).prop_map(|(scope, holder)| Op::Inside(scope, holder)),
        8 => n.clone().prop_map(Op::Release),
        2 => n.clone().prop_map(Op::Leave),
        1 => n.prop_map(Op::Admit),
        2 => (scope, limit).prop_map(|(scope, limit)| Op::Limit(scope, limit)),
    ]
}

/// The scope above each of them.
const ABOVE: [Option<usize>; SCOPES.len()] =
    [None, Some(0), Some(0), Some(0), Some(1), Some(1), Some(2), Some(4), Some(4)];

/// Whether each scope has room.
type Rooms = [bool; SCOPES.len()];

/// A scope and one of its tenants: a child, or (`None`) the scope's own loads.
type Claim = (usize, Option<usize>);

fn chain(scope: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(scope), |&scope| ABOVE[scope])
}

fn is_within(scope: usize, other: usize) -> bool {
    chain(scope).any(|scope| scope == other)
}

fn claims(scope: usize) -> impl Iterator<Item = Claim> + Clone {
    let children = (0..SCOPES.len()).filter(move |&child| ABOVE[child] == Some(scope)).map(Some);
    children.chain([None]).map(move |tenant| (scope, tenant))
}

#[derive(Default)]
struct Model {
    limits: HashMap<usize, (u32, u32)>,
    default: Option<(u32, u32)>,
    /// Scopes of each permit.
    permits: Vec<Vec<usize>>,
    /// Token and scope of who waits, by arrival.
    waiting: Vec<(u64, usize)>,
    /// Since when each claim is ready, or when it was last served.
    turns: HashMap<Claim, u64>,
    /// Permits that others of its scope got since a claim became ready.
    passed_over: HashMap<(Claim, Claim), u32>,
    clock: u64,
}

impl Model {
    /// The limit of a scope. Users have one of their level.
    fn limit(&self, scope: usize) -> Option<(u32, u32)> {
        let level = self.default.filter(|_| SCOPES[scope].len() == 2);
        self.limits.get(&scope).copied().or(level)
    }

    fn held(&self, scope: usize) -> u32 {
        self.permits.iter().filter(|permit| permit.contains(&scope)).count() as u32
    }

    fn has_room(&self, scope: usize) -> bool {
        self.limit(scope).is_none_or(|(most, _)| self.held(scope) < most)
    }

    fn waits(&self, (scope, tenant): Claim) -> u32 {
        let is_its = |waiting: usize| match tenant {
            Some(child) => is_within(waiting, child),
            None => waiting == scope,
        };
        self.waiting.iter().filter(|(_, waiting)| is_its(*waiting)).count() as u32
    }

    fn rooms(&self) -> Rooms {
        std::array::from_fn(|scope| self.has_room(scope))
    }

    /// Whether somebody of a claim could run if all from its scope up had room.
    fn is_ready(&self, rooms: &Rooms, (scope, tenant): Claim) -> bool {
        self.waiting.iter().any(|(_, waiting)| match tenant {
            None => *waiting == scope,
            Some(child) => {
                let mut below = chain(*waiting).take_while(|&at| at != scope);
                is_within(*waiting, child) && below.all(|at| rooms[at])
            }
        })
    }

    fn refresh(&mut self) {
        let rooms = self.rooms();
        for claim in (0..SCOPES.len()).flat_map(claims) {
            if !self.is_ready(&rooms, claim) {
                self.turns.remove(&claim);
                self.passed_over.retain(|(waiting, _), _| *waiting != claim);
            } else if !self.turns.contains_key(&claim) {
                self.clock += 1;
                self.turns.insert(claim, self.clock);
            }
        }
    }

    fn is_full(&self, claim: Claim) -> bool {
        let Some((_, queue)) = self.limit(claim.0).filter(|_| !self.has_room(claim.0)) else { return false };
        let all = claims(claim.0).map(|claim| self.waits(claim));
        if all.clone().sum::<u32>() < queue {
            return false;
        }
        let its = self.waits(claim);
        let tenants = all.filter(|&waits| waits > 0).count() as u32 + u32::from(its == 0);
        its >= queue / tenants
    }

    fn full(&self, scope: usize) -> Option<usize> {
        let mut tenant = None;
        for scope in chain(scope) {
            if self.is_full((scope, tenant)) {
                return Some(scope);
            }
            tenant = Some(scope);
        }
        None
    }

    /// Who is to get the next permit.
    fn next(&mut self) -> Option<u64> {
        let rooms = self.rooms();
        if !rooms[0] {
            return None;
        }
        let mut scope = 0;
        loop {
            let ready: Vec<Claim> = claims(scope).filter(|claim| self.is_ready(&rooms, *claim)).collect();
            let claim = *ready.iter().min_by_key(|claim| self.turns[claim])?;
            for other in ready.into_iter().filter(|other| *other != claim) {
                let passed_over = self.passed_over.entry((other, claim)).or_default();
                *passed_over += 1;
                assert!(*passed_over <= 1, "{other:?} was passed over twice by {claim:?}");
            }
            self.passed_over.retain(|(waiting, _), _| *waiting != claim);
            self.clock += 1;
            self.turns.insert(claim, self.clock);
            match claim.1 {
                Some(child) => scope = child,
                None => break,
            }
        }
        assert!(chain(scope).all(|scope| self.has_room(scope)));
        let at = self.waiting.iter().position(|(_, waiting)| *waiting == scope)?;
        let (token, _) = self.waiting.remove(at);
        self.permits.push(chain(scope).collect());
        self.refresh();
        Some(token)
    }
}

struct World {
    turns: Turns,
    model: Model,
    levels: Vec<LevelId>,
    /// Nodes of each of the model's permits.
    permits: Vec<Vec<NodeId>>,
    places: HashMap<u64, Place>,
    tokens: u64,
}

impl World {
    fn new(default: Option<(u32, u32)>) -> Self {
        let tree = ScopeTree::default();
        let levels: Vec<_> =
            ["org", "user", "session"].iter().map(|name| tree.level(name).expect("a level")).collect();
        let limit = default.map(|(most, queue)| (levels[1], LoadLimit::at_most(most).queue(queue)));
        let turns = Turns::new(Defaults { root: None, levels: limit.into_iter().collect() });
        let model = Model { default, ..Model::default() };
        Self { turns, model, levels, permits: Vec::new(), places: HashMap::new(), tokens: 0 }
    }

    fn steps(&self, scope: usize) -> std::vec::IntoIter<Step<'static>> {
        let steps = self.levels.iter().copied().zip(SCOPES[scope].iter().copied());
        steps.collect::<Vec<_>>().into_iter()
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Ask(scope, may_be_refused) => self.ask(scope, may_be_refused),
            Op::Inside(scope, holder) => {
                let Some(at) = holder.checked_rem(self.permits.len()) else { return };
                let (held, known) = (&self.permits[at], &self.model.permits[at]);
                let free: Vec<usize> = chain(scope).filter(|scope| !known.contains(scope)).collect();
                let expected = free.iter().any(|&scope| !self.model.has_room(scope));
                let path = self.steps(scope);
                let (nodes, is_over) = self.turns.take_inside(path, |node| held.contains(&node));
                assert_eq!((nodes.len(), is_over), (free.len(), expected));
                if !free.is_empty() {
                    self.permits.push(nodes);
                    self.model.permits.push(free);
                }
            }
            Op::Release(n) => {
                let Some(at) = n.checked_rem(self.permits.len()) else { return };
                self.turns.release(&self.permits.swap_remove(at));
                self.model.permits.swap_remove(at);
            }
            Op::Leave(n) => {
                let Some(at) = n.checked_rem(self.model.waiting.len()) else { return };
                let (token, _) = self.model.waiting.remove(at);
                let place = self.places.remove(&token).expect("it waits");
                self.turns.leave(place);
            }
            Op::Admit(n) => {
                let Some(at) = n.checked_rem(self.model.waiting.len()) else { return };
                let (token, scope) = self.model.waiting.remove(at);
                let place = self.places.remove(&token).expect("it waits");
                let (nodes, is_over) = self.turns.admit(place);
                assert!(is_over, "who could run does not wait");
                self.permits.push(nodes);
                self.model.permits.push(chain(scope).collect());
            }
            Op::Limit(scope, limit) => {
                let path = self.steps(scope);
                self.turns.set_limit(path, limit.map(|(most, queue)| LoadLimit::at_most(most).queue(queue)));
                match limit {
                    Some(limit) => self.model.limits.insert(scope, limit),
                    None => self.model.limits.remove(&scope),
                };
            }
        }
        self.model.refresh();
        self.settle();
    }

    fn ask(&mut self, scope: usize, may_be_refused: bool) {
        let expected = chain(scope).all(|scope| self.model.has_room(scope));
        let full = self.model.full(scope).filter(|_| may_be_refused && !expected);
        let token = self.tokens;
        self.tokens += 1;
        let path = self.steps(scope);
        match self.turns.ask(path, token, may_be_refused) {
            Asked::Taken(nodes) => {
                assert!(expected, "{scope} has no room");
                self.permits.push(nodes);
                self.model.permits.push(chain(scope).collect());
            }
            Asked::Queued(place) => {
                assert!(!expected && full.is_none(), "{scope}: {full:?}");
                self.places.insert(token, place);
                self.model.waiting.push((token, scope));
            }
            Asked::Full(depth, limit) => {
                let full = full.expect("somewhere the queue is full");
                assert_eq!(depth, SCOPES[full].len());
                assert_eq!(Some((limit.most(), limit.max_waiting())), self.model.limit(full));
            }
        }
    }

    /// Gives all permits that there is room for.
    fn settle(&mut self) {
        loop {
            let next = self.turns.next();
            assert_eq!(next.as_ref().map(|(token, _)| *token), self.model.next());
            let Some((token, nodes)) = next else { break };
            assert!(self.places.remove(&token).is_some(), "it waited");
            self.permits.push(nodes);
        }
        for (_, scope) in &self.model.waiting {
            let free = chain(*scope).all(|scope| self.model.has_room(scope));
            assert!(!free, "{scope} could run");
        }
        assert_eq!(self.turns.waiting() as usize, self.model.waiting.len());
    }

    /// Ends everything: nothing may be left but limits.
    fn finish(mut self) {
        while !self.permits.is_empty() {
            self.apply(Op::Release(0));
        }
        assert_eq!(self.model.waiting, []);
        for scope in 0..SCOPES.len() {
            self.apply(Op::Limit(scope, None));
        }
        assert_eq!(self.turns.tree().len(), 1);
    }
}

#[test]
fn turns_are_those_of_a_naive_model_in_every_history() {
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.as_nanos() as u64
    });
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases.max(CASES) } else { CASES };
    let config = ProptestConfig { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..asked };
    let default = prop::option::of((1..3_u32, 0..4_u32));
    let histories = (default, prop::collection::vec(op(), 1..40));
    let result = TestRunner::new(config).run(&histories, |(default, ops)| {
        let mut world = World::new(default);
        ops.into_iter().for_each(|op| world.apply(op));
        world.finish();
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}\nPROPTEST_RNG_SEED={seed}");
    }
}
