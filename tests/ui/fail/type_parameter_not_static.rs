//! One region for each instance: a type parameter is `'static`, or it has no name (`impl Trait`) and is skipped.
use strata_cache::cached;

#[cached(scope = "org")]
fn count<T: Clone + Send + Sync>(org_id: u64) -> usize {
    size_of::<T>()
}

struct Repository<R>(R);

#[cached]
impl<R: Clone> Repository<R> {
    #[cached(scope = "org", receiver = ())]
    fn count(&self, org_id: u64) -> usize {
        size_of::<R>()
    }
}

fn main() {}
