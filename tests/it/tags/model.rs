//! Tags against a naive model.
