//! A progress bar on standard error; a line at the start and at the end where that is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Counts towards a total, from any thread.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    bar: ProgressBar,
}

impl Progress {
    /// Starts counting.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        let bar = ProgressBar::new(total).with_message(what);
        if bar.is_hidden() {
            eprintln!("{what} …");
        }
        if let Ok(style) = ProgressStyle::with_template("{msg:20} {wide_bar} {human_pos}/{human_len} {eta}") {
            bar.set_style(style);
        }
        Self { what, bar }
    }

    /// Counts some more.
    pub(crate) fn add(&self, more: u64) {
        self.bar.inc(more);
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        if self.bar.is_hidden() {
            eprintln!("{} … done", self.what);
        }
        self.bar.finish_and_clear();
    }
}
