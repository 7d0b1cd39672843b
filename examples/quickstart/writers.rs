//! Writers: change the database, tell the service, then hold the readers to it. In this order, always.

use std::ops::Range;

use crate::database::Database;
use crate::facts::{Fact, ROLES, World, of_user};
use crate::service::{Failure, Service};
use crate::truth::Truth;

const USER_EVERY: u64 = 3;
const ORG_EVERY: u64 = 200;

/// The first organisation that writers may change as a whole, and so evict; those before it are never evicted.
pub(crate) fn first_evicted(world: &World) -> u32 {
    world.orgs() - world.orgs() / 2
}

/// One writer. Now and then it changes a whole user, more rarely a whole organisation.
pub(crate) struct Writer<'a, S> {
    service: &'a S,
    truth: &'a Truth,
    database: &'a Database,
    count: u64,
}

impl<'a, S: Service> Writer<'a, S> {
    /// A writer that has written nothing yet.
    pub(crate) fn new(service: &'a S, truth: &'a Truth, database: &'a Database) -> Self {
        Self { service, truth, database, count: 0 }
    }

    /// Writes a fact, or the user or organisation it belongs to, if that is due.
    pub(crate) fn write(&mut self, fact: Fact) -> Result<(), Failure> {
        self.count += 1;
        let world = self.truth.world();
        match fact {
            _ if self.count.is_multiple_of(ORG_EVERY) => {
                // A large organisation takes a while to write, so it is one of the smaller half.
                let org = first_evicted(world) + fact.org() / 2;
                let facts: Vec<Fact> = (0..ROLES.len())
                    .map(|role| Fact::Permissions { org, role })
                    .chain((1..=world.users(org)).flat_map(|user| of_user(org, user)))
                    .collect();
                self.change(&facts, world.of_org(org), || self.service.org_changed(org))
            }
            Fact::Profile { org, user } | Fact::Orders { org, user }
                if self.count.is_multiple_of(USER_EVERY) =>
            {
                let facts: Vec<Fact> = of_user(org, user).collect();
                self.change(&facts, world.of_user(org, user), || self.service.user_changed(org, user))
            }
            fact => {
                let place = world.index(fact);
                self.change(&[fact], place..place + 1, || self.service.changed(fact))
            }
        }
    }

    fn change(
        &self,
        facts: &[Fact],
        places: Range<usize>,
        tell: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut pen = self.database.pen();
        let changes: Vec<(Fact, u32)> = facts.iter().map(|fact| (*fact, self.truth.begin(*fact))).collect();
        pen.write(&changes)?;
        self.truth.commit(&changes);
        drop(pen);
        let promise = self.truth.promise(places);
        tell()?;
        self.truth.owe(promise);
        Ok(())
    }
}
