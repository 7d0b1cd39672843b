//! What goes along with a run that goes on without its caller: the ambient scope, and the cache that stands in.

use crate::context::{InScope, ambient_scope};
use crate::driver::Run;
use crate::exceptions::{self, InCache};

/// The run, inside of what this thread is inside of.
pub(crate) fn along(run: Run) -> Run {
    let run = match ambient_scope() {
        Some(scope) => Box::pin(run.in_scope(scope)),
        None => run,
    };
    match exceptions::stand_in() {
        Some(cache) => Box::pin(run.in_cache(&cache)),
        None => run,
    }
}
