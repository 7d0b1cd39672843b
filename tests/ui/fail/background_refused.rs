//! A run in the background is that of a function of a type's own, and owns what it needs.
use strata_cache::cached;

#[cached(scope = "org", stale = "30s", skip(log, context))]
fn lent(org_id: u64, log: &mut Vec<u64>, context: Context<'_>) -> u64 {
    let _ = (log, context);
    org_id
}

pub struct Context<'a>(pub &'a str);

#[cached(scope = "org", coalesce = detached, refresh = early, skip(log))]
fn neither(org_id: u64, log: &mut Vec<u64>) -> u64 {
    let _ = log;
    org_id
}

pub struct NotClone;

#[cached(scope = "org", refresh = 0.8, skip(db))]
fn no_copy(org_id: u64, db: &NotClone) -> u64 {
    let _ = db;
    org_id
}

#[cached(scope = "org", on_error = stale, soft = "1s", skip(local))]
async fn stays(org_id: u64, local: std::rc::Rc<u8>) -> u64 {
    let _ = local;
    org_id
}

#[cached(scope = "org", stale = "30s")]
fn error_stays(org_id: u64) -> Result<u64, std::rc::Rc<u8>> {
    Ok(org_id)
}

#[cached(scope = "org", stale = "30s")]
async fn future_stays(org_id: u64) -> u64 {
    let local = std::rc::Rc::new(org_id);
    std::future::ready(()).await;
    *local
}

trait Load {
    fn load(&self, org_id: u64) -> u64;
}

#[cached]
impl Load for NotClone {
    #[cached(scope = "org", receiver = (), stale = "30s")]
    fn load(&self, org_id: u64) -> u64 {
        org_id
    }
}

#[cached]
impl NotClone {
    #[cached(scope = "org", receiver = (), stale = "30s")]
    fn own(&self, org_id: u64) -> u64 {
        org_id
    }
}

fn main() {}
