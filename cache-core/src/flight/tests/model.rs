//! Random histories of one shard against a naive model of the rules: lists, indices and no wakers.
//!
//! After every step: each call's answer is the model's, the gauge is right, at most two leases of a key run,
//! and whoever could be answered and is parked has been woken. At the end of all leases everybody is answered
//! and nothing is left.

use proptest::prelude::*;

use super::*;

const KEYS: usize = 2;
const PATIENCE: u64 = 1_000;
const LEASE: u64 = 60_000;

#[derive(Debug, Clone, Copy)]
enum Op {
    Join(usize),
    Land(usize),
    Fail(usize),
    Cancel(usize),
    Forget(usize),
    Wake(usize),
    Polled(usize),
    Poll(usize),
    Leave(usize),
    TakeOver(usize),
    PollPlace(usize),
    LeavePlace(usize),
    Detach(usize),
    Evict,
    Advance(u64),
    Check,
}

fn op() -> impl Strategy<Value = Op> {
    let n = 0..64usize;
    prop_oneof![
        10 => (0..KEYS).prop_map(Op::Join),
        2 => n.clone().prop_map(Op::Land),
        1 => n.clone().prop_map(Op::Fail),
        4 => n.clone().prop_map(Op::Cancel),
        1 => n.clone().prop_map(Op::Forget),
        2 => n.clone().prop_map(Op::Wake),
        1 => n.clone().prop_map(Op::Polled),
        8 => n.clone().prop_map(Op::Poll),
        3 => n.clone().prop_map(Op::Leave),
        4 => n.clone().prop_map(Op::TakeOver),
        2 => n.clone().prop_map(Op::PollPlace),
        1 => n.prop_map(Op::LeavePlace),
        3 => (0..KEYS).prop_map(Op::Detach),
        1 => Just(Op::Evict),
        4 => prop::sample::select(vec![1, 400, 1_000, 30_000, 60_000]).prop_map(Op::Advance),
        4 => Just(Op::Check),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Value(u64),
    Failed,
    Rejoin,
    Stuck,
    Lead,
    Stalled,
    Wait,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    flight: usize,
    start: u64,
    woken: Option<u64>,
}

#[derive(Debug)]
struct Load {
    key: usize,
    incarnation: usize,
    leader: Option<usize>,
    invited: Option<(usize, u64)>,
    closed: Option<Answer>,
    waiting: Vec<usize>,
}

#[derive(Debug, Default)]
struct Place {
    current: Option<usize>,
    detached: Vec<usize>,
}

#[derive(Debug, Default)]
struct Model {
    now: u64,
    incarnation: usize,
    leases: Vec<Lease>,
    loads: Vec<Load>,
    keys: [Place; KEYS],
}

struct Waiting {
    waiter: Waiter<Value>,
    name: usize,
    load: usize,
    told: Option<Answer>,
    asked: bool,
    parked: Option<(Arc<Count>, usize)>,
}

struct Placing {
    waiter: PlaceWaiter,
    key: usize,
    open: bool,
    stuck: bool,
    parked: Option<(Arc<Count>, usize)>,
}

struct World {
    host: Arc<Host>,
    model: Model,
    tickets: Vec<(Ticket<Value>, usize)>,
    waiters: Vec<Waiting>,
    places: Vec<Placing>,
    names: usize,
}

impl Model {
    fn stalled(&self, lease: usize) -> bool {
        let lease = &self.leases[lease];
        self.now >= lease.start + LEASE || lease.woken.is_some_and(|woken| self.now >= woken + PATIENCE)
    }

    fn load_stalled(&self, load: usize) -> bool {
        let load = &self.loads[load];
        load.closed.is_none() && load.leader.is_some_and(|leader| self.stalled(leader))
    }

    fn overdue(&self, load: usize) -> bool {
        let load = &self.loads[load];
        load.closed.is_none()
            && load.leader.is_none()
            && load.invited.is_some_and(|(_, since)| self.now >= since + PATIENCE)
    }

    fn running(&self, key: usize) -> usize {
        usize::from(self.keys[key].current.is_some()) + self.keys[key].detached.len()
    }

    fn stuck(&self, key: usize) -> bool {
        let place = &self.keys[key];
        self.running(key) == 2
            && place.current.is_none_or(|load| self.load_stalled(load))
            && place.detached.iter().all(|lease| self.stalled(*lease))
    }

    fn lease(&mut self, flight: usize, start: u64) -> usize {
        self.leases.push(Lease { flight, start, woken: None });
        self.leases.len() - 1
    }

    /// Takes an idle lead, if it may be taken; the new lease.
    fn seize(&mut self, load: usize) -> Option<usize> {
        let key = self.loads[load].key;
        if self.load_stalled(load) && self.keys[key].detached.is_empty() {
            self.keys[key].detached.extend(self.loads[load].leader);
        } else if !self.overdue(load) {
            return None;
        }
        let lease = self.lease(load, self.now);
        self.loads[load].leader = Some(lease);
        self.loads[load].invited = None;
        Some(lease)
    }
}

impl World {
    fn new() -> Self {
        Self {
            host: Host::new(),
            model: Model::default(),
            tickets: Vec::new(),
            waiters: Vec::new(),
            places: Vec::new(),
            names: 0,
        }
    }

    fn apply(&mut self, op: Op) {
        let (tickets, waiters, places) = (self.tickets.len(), self.waiters.len(), self.places.len());
        match op {
            Op::Join(key) => self.join(key),
            Op::Land(n) if tickets > 0 => self.end(n % tickets, Some(n as u64)),
            Op::Fail(n) if tickets > 0 => self.end(n % tickets, None),
            Op::Cancel(n) if tickets > 0 => self.cancel(n % tickets),
            Op::Forget(n) if tickets > 0 => self.forget(n % tickets),
            Op::Wake(n) if tickets > 0 => {
                let (ticket, lease) = &self.tickets[n % tickets];
                ticket.pulse().waker().wake();
                self.model.leases[*lease].woken.get_or_insert(self.model.now);
            }
            Op::Polled(n) if tickets > 0 => {
                let (ticket, lease) = &self.tickets[n % tickets];
                drop(ticket.pulse().polling(Waker::noop()));
                self.model.leases[*lease].woken = None;
            }
            Op::Poll(n) if waiters > 0 => self.poll(n % waiters),
            Op::Leave(n) if waiters > 0 => self.leave(n % waiters),
            Op::TakeOver(n) if waiters > 0 => self.take_over(n % waiters),
            Op::PollPlace(n) if places > 0 => self.poll_place(n % places),
            Op::LeavePlace(n) if places > 0 => drop(self.places.swap_remove(n % places)),
            Op::Detach(key) => {
                let current = self.model.keys[key].current.is_some();
                assert_eq!(self.host.detach(key as u32), current);
                self.detach(key);
            }
            Op::Evict => {
                self.host.evict();
                self.model.incarnation += 1;
            }
            Op::Advance(millis) => {
                self.host.advance(millis);
                self.model.now += millis;
            }
            Op::Check => self.check(),
            _ => {}
        }
        self.assert_laws();
    }

    fn assert_laws(&self) {
        let model = &self.model;
        let running: usize = (0..KEYS).map(|key| model.running(key)).sum();
        assert_eq!(self.host.len(), running, "the gauge");
        for key in 0..KEYS {
            let leases =
                self.tickets.iter().filter(|(_, lease)| model.loads[model.leases[*lease].flight].key == key);
            let (mut count, mut current) = (0, 0);
            for (ticket, _) in leases {
                count += 1;
                current += usize::from(self.host.is_current(ticket));
            }
            assert!(count <= 2 && current <= 1, "{count} leases run, {current} current");
        }
        for waiting in &self.waiters {
            if let Some((count, before)) = &waiting.parked
                && self.expected(waiting) != Answer::Wait
            {
                assert!(count.get() > *before, "a lost wake-up: {:?}", self.expected(waiting));
            }
        }
        for placing in &self.places {
            if let Some((count, before)) = &placing.parked
                && (placing.open || placing.stuck)
            {
                assert!(count.get() > *before, "a lost wake-up for a place");
            }
        }
    }

    fn expected(&self, waiting: &Waiting) -> Answer {
        let load = &self.model.loads[waiting.load];
        if let Some(answer) = load.closed.or(waiting.told) {
            return answer;
        }
        let invited = load.invited.is_some_and(|(name, _)| name == waiting.name);
        match (invited, load.leader) {
            (true, None) => Answer::Lead,
            (true, Some(_)) if !waiting.asked => Answer::Stalled,
            _ => Answer::Wait,
        }
    }

    fn join(&mut self, key: usize) {
        let joined = self.host.join(key as u32);
        if let Some(load) = self.model.keys[key].current
            && self.model.loads[load].incarnation != self.model.incarnation
        {
            self.detach(key);
        }
        if let Some(load) = self.model.keys[key].current {
            if let Some(lease) = self.model.seize(load) {
                let Joined::Lead(ticket) = joined else { panic!("seizes an idle lead, not {joined:?}") };
                return self.tickets.push((ticket, lease));
            }
            if self.model.stuck(key) {
                return assert!(matches!(joined, Joined::Stuck), "{joined:?}");
            }
            let Joined::Wait(waiter) = joined else { panic!("waits, not {joined:?}") };
            let name = self.names;
            self.names += 1;
            self.model.loads[load].waiting.push(name);
            return self.waiters.push(Waiting { waiter, name, load, told: None, asked: false, parked: None });
        }
        if self.model.keys[key].detached.len() < 2 {
            let Joined::Lead(ticket) = joined else { panic!("leads, not {joined:?}") };
            let load = self.model.loads.len();
            let lease = self.model.lease(load, self.model.now);
            self.model.loads.push(Load {
                key,
                incarnation: self.model.incarnation,
                leader: Some(lease),
                invited: None,
                closed: None,
                waiting: Vec::new(),
            });
            self.model.keys[key].current = Some(load);
            self.tickets.push((ticket, lease));
        } else if self.model.stuck(key) {
            assert!(matches!(joined, Joined::Stuck), "{joined:?}");
        } else {
            let Joined::Place(waiter) = joined else { panic!("waits for a place, not {joined:?}") };
            self.places.push(Placing { waiter, key, open: false, stuck: false, parked: None });
        }
    }

    fn detach(&mut self, key: usize) {
        let Some(load) = self.model.keys[key].current.take() else {
            return;
        };
        match self.model.loads[load].leader {
            Some(lease) => self.model.keys[key].detached.push(lease),
            None => self.close(load, Answer::Rejoin),
        }
    }

    fn close(&mut self, load: usize, answer: Answer) {
        let load = &mut self.model.loads[load];
        (load.closed, load.leader, load.invited) = (Some(answer), None, None);
        load.waiting.clear();
    }

    /// The lease is out of the table: as the current one, or from among the detached.
    fn unregister(&mut self, lease: usize) {
        let load = self.model.leases[lease].flight;
        let key = self.model.loads[load].key;
        let leads = self.model.loads[load].leader == Some(lease);
        let place = &mut self.model.keys[key];
        if leads && place.current == Some(load) {
            place.current = None;
        } else {
            place.detached.retain(|detached| *detached != lease);
            for placing in self.places.iter_mut().filter(|placing| placing.key == key) {
                placing.open = true;
            }
        }
    }

    fn publishes(&self, lease: usize) -> bool {
        let load = self.model.leases[lease].flight;
        let key = self.model.loads[load].key;
        self.model.loads[load].leader == Some(lease) && self.model.keys[key].current == Some(load)
    }

    fn end(&mut self, at: usize, value: Option<u64>) {
        let (ticket, lease) = self.tickets.swap_remove(at);
        let publishes = self.publishes(lease);
        let load = self.model.leases[lease].flight;
        match value {
            Some(value) => assert_eq!(self.host.land(ticket, value), publishes, "publication"),
            None => self.host.fail(ticket, None, false),
        }
        self.unregister(lease);
        if self.model.loads[load].leader == Some(lease) {
            // A value that nobody waits for is not handed in; who was sent away meanwhile joins again.
            let heard = !self.model.loads[load].waiting.is_empty();
            let landed = |value| {
                if heard { Answer::Value(value) } else { Answer::Rejoin }
            };
            self.close(load, value.map_or(Answer::Failed, landed));
        }
    }

    fn cancel(&mut self, at: usize) {
        let (ticket, lease) = self.tickets.swap_remove(at);
        self.host.cancel(ticket);
        let load = self.model.leases[lease].flight;
        if self.publishes(lease)
            && let Some(first) = self.model.loads[load].waiting.first().copied()
        {
            self.model.loads[load].leader = None;
            self.model.loads[load].invited = Some((first, self.model.now));
        } else {
            self.drop_lease(lease);
        }
    }

    fn forget(&mut self, at: usize) {
        let (ticket, lease) = self.tickets.swap_remove(at);
        drop(ticket);
        self.drop_lease(lease);
    }

    fn drop_lease(&mut self, lease: usize) {
        let load = self.model.leases[lease].flight;
        self.unregister(lease);
        if self.model.loads[load].leader == Some(lease) {
            self.close(load, Answer::Rejoin);
        }
    }

    fn poll(&mut self, at: usize) {
        let expected = self.expected(&self.waiters[at]);
        let waiting = &mut self.waiters[at];
        let load = &mut self.model.loads[waiting.load];
        let count = Count::new();
        let Poll::Ready(outcome) = super::poll(&mut waiting.waiter, &count) else {
            assert_eq!(expected, Answer::Wait);
            if load.leader.is_some() && load.invited.is_some_and(|(name, _)| name == waiting.name) {
                load.invited = None;
            }
            waiting.asked = false;
            waiting.parked = Some((Arc::clone(&count), count.get()));
            return;
        };
        let answer = match &outcome {
            Outcome::Value(value) => Answer::Value(value.0),
            Outcome::Failed(_) => Answer::Failed,
            Outcome::Lead(_) => Answer::Lead,
            Outcome::Stalled => Answer::Stalled,
            Outcome::Rejoin | Outcome::Outdated => Answer::Rejoin,
            Outcome::Stuck => Answer::Stuck,
        };
        assert_eq!(answer, expected);
        if let Outcome::Lead(ticket) = outcome {
            load.waiting.retain(|name| *name != waiting.name);
            let (_, since) = load.invited.take().expect("the model said that it leads");
            let lease = self.model.lease(waiting.load, since);
            self.model.loads[waiting.load].leader = Some(lease);
            self.tickets.push((ticket, lease));
        } else if answer == Answer::Stalled {
            waiting.asked = true;
            waiting.parked = None;
            return;
        }
        self.waiters.swap_remove(at);
    }

    fn leave(&mut self, at: usize) {
        let Waiting { waiter, name, load, .. } = self.waiters.swap_remove(at);
        drop(waiter);
        let now = self.model.now;
        let flight = &mut self.model.loads[load];
        flight.waiting.retain(|waiting| *waiting != name);
        if flight.closed.is_none() && flight.invited.is_some_and(|(invited, _)| invited == name) {
            flight.invited = flight.waiting.first().map(|next| (*next, now));
            if flight.invited.is_none() && flight.leader.is_none() {
                let key = flight.key;
                self.close(load, Answer::Rejoin);
                self.model.keys[key].current = None;
            }
        }
    }

    fn take_over(&mut self, at: usize) {
        let taken = self.host.take_over(&mut self.waiters[at].waiter);
        let (name, load) = (self.waiters[at].name, self.waiters[at].load);
        let key = self.model.loads[load].key;
        let current = self.model.keys[key].current == Some(load);
        if current && let Some(lease) = self.model.seize(load) {
            let TakeOver::Lead(ticket) = taken else { panic!("takes over, not {taken:?}") };
            self.model.loads[load].waiting.retain(|waiting| *waiting != name);
            self.tickets.push((ticket, lease));
            self.waiters.swap_remove(at);
        } else if current && self.model.stuck(key) {
            assert!(matches!(taken, TakeOver::Stuck), "{taken:?}");
            self.dismiss(load, Answer::Stuck);
            self.waiters.swap_remove(at);
        } else if !current && self.model.load_stalled(load) {
            assert!(matches!(taken, TakeOver::Rejoin), "{taken:?}");
            self.dismiss(load, Answer::Rejoin);
            self.waiters.swap_remove(at);
        } else {
            assert!(matches!(taken, TakeOver::Wait), "{taken:?}");
            self.waiters[at].asked = false;
            let load = &mut self.model.loads[load];
            if load.leader.is_some() && load.invited.is_some_and(|(invited, _)| invited == name) {
                load.invited = None;
            }
        }
    }

    fn dismiss(&mut self, load: usize, answer: Answer) {
        let names = std::mem::take(&mut self.model.loads[load].waiting);
        self.model.loads[load].invited = None;
        for waiting in self.waiters.iter_mut().filter(|waiting| names.contains(&waiting.name)) {
            waiting.told = Some(answer);
        }
    }

    fn check(&mut self) {
        self.host.check();
        let now = self.model.now;
        for load in 0..self.model.loads.len() {
            let stalled = self.model.load_stalled(load);
            let load = &mut self.model.loads[load];
            if load.waiting.is_empty() || (load.leader.is_some() && !stalled) {
                continue;
            }
            load.invited = match load.invited {
                Some((name, since)) if now >= since + PATIENCE => {
                    let at = load.waiting.iter().position(|waiting| *waiting == name);
                    let next = at.map_or(0, |at| (at + 1) % load.waiting.len());
                    Some((load.waiting[next], now))
                }
                None => Some((load.waiting[0], now)),
                invited => invited,
            };
        }
        for at in 0..self.places.len() {
            let key = self.places[at].key;
            if !self.places[at].open && self.model.stuck(key) {
                self.places[at].stuck = true;
            }
        }
    }

    fn poll_place(&mut self, at: usize) {
        let placing = &mut self.places[at];
        let count = Count::new();
        match super::poll(&mut placing.waiter, &count) {
            Poll::Ready(Placed::Free) => assert!(placing.open),
            Poll::Ready(Placed::Stuck) => assert!(placing.stuck && !placing.open),
            Poll::Pending => {
                assert!(!placing.open && !placing.stuck);
                placing.parked = Some((Arc::clone(&count), count.get()));
                return;
            }
        }
        self.places.swap_remove(at);
    }

    /// Ends every lease; polls only who was woken or never parked. All must be answered, and nothing may be
    /// left.
    fn finish(mut self) {
        loop {
            while !self.tickets.is_empty() {
                self.end(0, Some(0));
                self.assert_laws();
            }
            let awake = |parked: &Option<(Arc<Count>, usize)>| {
                parked.as_ref().is_none_or(|(count, before)| count.get() > *before)
            };
            if let Some(at) = self.waiters.iter().position(|waiting| awake(&waiting.parked)) {
                self.poll(at);
            } else if let Some(at) = self.places.iter().position(|placing| awake(&placing.parked)) {
                self.poll_place(at);
            } else {
                break;
            }
            self.assert_laws();
        }
        assert_eq!((self.waiters.len(), self.places.len()), (0, 0), "somebody was never answered");
        self.host.assert_idle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn table_follows_the_rules_in_every_history(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        world.finish();
    }
}
