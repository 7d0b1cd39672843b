#[cfg(shuttle)]
mod explore;
