//! A detached run is that of an async function of a type's own, and owns what it needs.
use strata_cache::cached;

#[cached(scope = "org", coalesce = detached)]
fn sync(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", coalesce = detached, skip(log, context))]
async fn lent(org_id: u64, log: &mut Vec<u64>, context: Context<'_>) -> u64 {
    org_id
}

pub struct Context<'a>(pub &'a str);

pub struct NotClone;

#[cached(scope = "org", coalesce = detached, skip(db))]
async fn no_copy(org_id: u64, db: &NotClone) -> u64 {
    org_id
}

#[cached(scope = "org", coalesce = detached, skip(local))]
async fn stays(org_id: u64, local: std::rc::Rc<u8>) -> u64 {
    org_id
}

trait Load {
    async fn load(&self, org_id: u64) -> u64;
}

#[cached]
impl Load for NotClone {
    #[cached(scope = "org", receiver = (), coalesce = detached)]
    async fn load(&self, org_id: u64) -> u64 {
        org_id
    }
}

fn main() {}
