//! Companions of a trait's impl stand beside it, which they cannot for somebody else's type: write
//! `#[cached(companions = off)]` above the impl.
use strata_cache::cached;

trait Describe {
    fn describe(&self, org_id: u64) -> String;
}

#[cached]
impl Describe for Vec<u8> {
    #[cached(scope = "org", receiver = self.as_slice())]
    fn describe(&self, org_id: u64) -> String {
        format!("{org_id} {self:?}")
    }
}

fn main() {}
