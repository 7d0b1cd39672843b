//! The decision at the begin of a get-or-load, by what is stored: serve it, serve it and load anew, or load first.
//!
//! (1) A fresh value is served, always. (2) A stale one is served at once where the call takes it so, and can load in the background; the
//! load is begun if it is due. (3) One that is only to be served if a load brings no other is served without one where the last load was
//! a short while ago. (4) Whoever cannot load in the background loads first, as if a value that is served at once were only kept.

/// What is stored of a key, for a call that takes this and that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Nothing that could ever be served.
    Absent,
    /// A value within its time-to-live.
    Fresh,
    /// One past it that the call would be served at once.
    Stale,
    /// One past it that the call would be served in place of none.
    Kept,
}

/// How the call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It is served, fresh.
    Serve { then_refresh: bool },
    /// It is served, stale.
    ServeStale { then_refresh: bool },
    /// It is served what is kept, for it is too early to try again.
    FallBack,
    /// It loads.
    Load { has_kept: bool },
}

/// What happens next. `is_due` says whether it is time to load anew.
pub(crate) fn opening(sight: Sight, is_due: bool, has_background: bool) -> Opening {
    match sight {
        Sight::Absent => Opening::Load { has_kept: false },
        Sight::Fresh => Opening::Serve { then_refresh: is_due && has_background },
        Sight::Stale if has_background => Opening::ServeStale { then_refresh: is_due },
        Sight::Stale | Sight::Kept if is_due => Opening::Load { has_kept: true },
        Sight::Stale | Sight::Kept => Opening::FallBack,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_value_is_served_and_loaded_anew_where_it_is_due_and_can_be() {
        for (is_due, has_background) in [(false, false), (false, true), (true, false), (true, true)] {
            let then_refresh = is_due && has_background;
            assert_eq!(opening(Sight::Fresh, is_due, has_background), Opening::Serve { then_refresh });
        }
    }

    #[test]
    fn stale_value_is_served_at_once_only_by_who_can_load_in_the_background() {
        assert_eq!(opening(Sight::Stale, true, true), Opening::ServeStale { then_refresh: true });
        assert_eq!(opening(Sight::Stale, false, true), Opening::ServeStale { then_refresh: false });
        assert_eq!(opening(Sight::Stale, true, false), Opening::Load { has_kept: true });
    }

    #[test]
    fn kept_value_is_served_without_a_load_only_where_it_is_too_early_for_one() {
        for has_background in [false, true] {
            assert_eq!(opening(Sight::Kept, true, has_background), Opening::Load { has_kept: true });
            assert_eq!(opening(Sight::Kept, false, has_background), Opening::FallBack);
            assert_eq!(opening(Sight::Absent, true, has_background), Opening::Load { has_kept: false });
        }
    }
}
