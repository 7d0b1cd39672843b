#[cfg(shuttle)]
mod explore;
#[cfg(shuttle)]
mod explore_values;
