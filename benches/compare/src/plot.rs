//! Plots, written by hand as SVG, readable on light and on dark ground: text and axes take the reader's colour
//! scheme, the palette (Okabe and Ito's) suits both.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::report::short;
use crate::run::Run;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 6] = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Writes what was measured: `threads.svg` after the rows `get-u64-zipf`, `drop_tenant.svg` after
/// `drop-tenant-get-p99`, each timeline, and counts.
///
/// # Errors
/// If a file cannot be written.
pub fn write(run: &Run, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    if !run.by_threads.is_empty() {
        fs::write(folder.join("threads.svg"), threads(&run.by_threads))?;
    }
    if !run.while_dropped.is_empty() {
        fs::write(folder.join("drop_tenant.svg"), dropped(&run.while_dropped))?;
    }
    for timeline in &run.timelines {
        fs::write(folder.join(timeline.file), over_time(timeline))?;
    }
    for counts in &run.counts {
        fs::write(folder.join(counts.file), stacked(counts.panels.iter().map(counted).collect()))?;
    }
    Ok(())
}

/// Lines of hundredths over time.
pub struct Timeline {
    pub file: &'static str,
    pub title: &'static str,
    pub across: String,
    /// Times at which something changes.
    pub marks: Vec<f64>,
    pub lines: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// Counts over time, one panel below the other.
pub struct Counts {
    pub file: &'static str,
    pub panels: Vec<Panel>,
}

/// Lines of counts, of steps of so many seconds each.
pub struct Panel {
    pub title: String,
    pub seconds: f64,
    /// Times at which something changes.
    pub marks: Vec<f64>,
    pub lines: Vec<(&'static str, Vec<f64>)>,
}

struct Plot(String);

impl Plot {
    fn new(title: &str, across: &str) -> Self {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
             <title>{title}</title>\n<style>text{{font:13px sans-serif;fill:#24292f}}\
             line.axis{{stroke:#8c959f}}line.grid{{stroke:#8c959f;stroke-opacity:.3}}\
             @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}}}</style>\n"
        );
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">{title}</text>");
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{across}</text>",
            HEIGHT - 10.0
        );
        Self(svg)
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let _ = writeln!(self.0, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
    }

    /// A line of the grid, named at the left.
    fn level(&mut self, y: f64, class: &str, name: &str) {
        let right = WIDTH - RIGHT;
        let _ = writeln!(
            self.0,
            "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        );
        self.text(LEFT - 8.0, y + 4.0, "end", name);
    }

    fn key(&mut self, place: usize, name: &str) {
        self.key_in(place, 105.0, name);
    }

    fn key_in(&mut self, place: usize, width: f64, name: &str) {
        let (x, colour) = (LEFT + place as f64 * width, COLOURS[place % COLOURS.len()]);
        let _ =
            writeln!(self.0, "<rect x=\"{x:.1}\" y=\"32\" width=\"12\" height=\"12\" fill=\"{colour}\"/>");
        self.text(x + 17.0, 43.0, "start", name);
    }

    fn line(&mut self, at: usize, points: impl Iterator<Item = (f64, f64)>) {
        let places: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (places, colour) = (places.join(" "), COLOURS[at % COLOURS.len()]);
        let _ = writeln!(
            self.0,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" points=\"{places}\"/>"
        );
    }

    /// A moment, from top to bottom.
    fn moment(&mut self, x: f64) {
        let bottom = HEIGHT - BOTTOM;
        let _ = writeln!(
            self.0,
            "<line class=\"axis\" stroke-dasharray=\"4 3\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>"
        );
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

/// A scale by powers of ten: from a figure to a place between bottom and top.
fn scale(figures: impl Iterator<Item = f64> + Clone) -> (Vec<f64>, impl Fn(f64) -> f64) {
    let positive = figures.filter(|figure| *figure > 0.0 && figure.is_finite());
    let low = positive.clone().fold(f64::MAX, f64::min).log10().floor();
    let high = positive.fold(f64::MIN_POSITIVE, f64::max).log10().ceil().max(low + 1.0);
    let steps = (low as i32..=high as i32).map(|power| 10_f64.powi(power)).collect();
    let span = HEIGHT - TOP - BOTTOM;
    let place = move |figure: f64| {
        HEIGHT - BOTTOM - (figure.max(10_f64.powf(low)).log10() - low) / (high - low) * span
    };
    (steps, place)
}

/// Nanoseconds in the unit in which they are a small number.
fn time(nanos: f64) -> String {
    let (figure, unit) = match nanos {
        ..1e3 => (nanos, "ns"),
        ..1e6 => (nanos / 1e3, "µs"),
        _ => (nanos / 1e6, "ms"),
    };
    format!("{} {unit}", figure.round())
}

fn levels(plot: &mut Plot, steps: &[f64], place: &impl Fn(f64) -> f64) {
    for (at, step) in steps.iter().enumerate() {
        plot.level(place(*step), if at == 0 { "axis" } else { "grid" }, &time(*step));
    }
}

fn threads(results: &[(&'static str, [f64; 2])]) -> String {
    let mut plot =
        Plot::new("Get, hit, u64 to u64, zipf 0.99: ns an operation (wall × threads ÷ gets)", "threads");
    let (steps, place) = scale(results.iter().flat_map(|(_, medians)| *medians));
    levels(&mut plot, &steps, &place);
    let group = (WIDTH - LEFT - RIGHT) / 2.0;
    let width = group * 0.8 / results.len() as f64;
    for (at, (name, medians)) in results.iter().enumerate() {
        plot.key(at, name);
        for (threads, median) in medians.iter().enumerate().filter(|(_, median)| median.is_finite()) {
            let x = LEFT + group * (threads as f64 + 0.1) + width * at as f64;
            let (y, colour) = (place(*median), COLOURS[at % COLOURS.len()]);
            let (bar, height) = (width * 0.86, HEIGHT - BOTTOM - y);
            let _ = writeln!(
                plot.0,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{bar:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
            );
            plot.text(x + bar / 2.0, y - 4.0, "middle", &short(*median));
        }
    }
    for threads in 0..2 {
        let x = LEFT + group * (threads as f64 + 0.5);
        plot.text(x, HEIGHT - BOTTOM + 17.0, "middle", &(threads + 1).to_string());
    }
    plot.end()
}

fn dropped(lines: &[(&'static str, Vec<(f64, f64)>)]) -> String {
    let (from, to) = (-20.0, 120.0);
    let across = "ms since one of 1,000 tenants was dropped";
    let mut plot = Plot::new("p99 of gets of other tenants, each millisecond", across);
    let shown = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().copied().filter(|(time, _)| (from..=to).contains(time)).collect()
    };
    let all: Vec<f64> = lines.iter().flat_map(|(_, points)| shown(points)).map(|(_, nanos)| nanos).collect();
    let (steps, place) = scale(all.iter().copied());
    levels(&mut plot, &steps, &place);
    let column = |time: f64| LEFT + (time - from) / (to - from) * (WIDTH - LEFT - RIGHT);
    for time in (-20..=120).step_by(20) {
        plot.text(column(f64::from(time)), HEIGHT - BOTTOM + 17.0, "middle", &time.to_string());
    }
    plot.moment(column(0.0));
    for (at, (name, points)) in lines.iter().enumerate() {
        plot.key(at, name);
        plot.line(at, shown(points).into_iter().map(|(time, nanos)| (column(time), place(nanos))));
    }
    plot.end()
}

fn over_time(timeline: &Timeline) -> String {
    let mut plot = Plot::new(timeline.title, &timeline.across);
    let times = timeline.lines.iter().flat_map(|(_, points)| points).map(|(time, _)| *time);
    let end = times.fold(0.0, f64::max) + 1.0;
    let column = |time: f64| LEFT + time / end * (WIDTH - LEFT - RIGHT);
    let place = |percent: f64| HEIGHT - BOTTOM - percent / 100.0 * (HEIGHT - TOP - BOTTOM);
    for step in (0..=100).step_by(20) {
        let class = if step == 0 { "axis" } else { "grid" };
        plot.level(place(f64::from(step)), class, &format!("{step} %"));
    }
    for part in 0..=4 {
        let time = end * f64::from(part) / 4.0;
        plot.text(column(time), HEIGHT - BOTTOM + 17.0, "middle", &format!("{time:.0}"));
    }
    timeline.marks.iter().for_each(|mark| plot.moment(column(*mark)));
    for (at, (name, points)) in timeline.lines.iter().enumerate() {
        plot.key_in(at, 150.0, name);
        plot.line(at, points.iter().map(|(time, percent)| (column(*time), place(*percent))));
    }
    plot.end()
}

fn counted(panel: &Panel) -> String {
    let mut plot = Plot::new(&panel.title, "seconds");
    let most = panel.lines.iter().flat_map(|(_, counts)| counts).copied().fold(1.0, f64::max);
    let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
    let step = step.into_iter().find(|step| most / step <= 6.0).unwrap_or(1_000.0);
    let top = (most / step).ceil() * step;
    let end = panel.lines.iter().map(|(_, counts)| counts.len()).max().unwrap_or(0) as f64 * panel.seconds;
    let column = |time: f64| LEFT + time / end * (WIDTH - LEFT - RIGHT);
    let place = |count: f64| HEIGHT - BOTTOM - count / top * (HEIGHT - TOP - BOTTOM);
    for level in 0..=(top / step) as u32 {
        let count = f64::from(level) * step;
        plot.level(place(count), if level == 0 { "axis" } else { "grid" }, &format!("{count:.0}"));
    }
    for time in 0..=end as u32 {
        plot.text(column(f64::from(time)), HEIGHT - BOTTOM + 17.0, "middle", &time.to_string());
    }
    panel.marks.iter().for_each(|mark| plot.moment(column(*mark)));
    for (at, (name, _)) in panel.lines.iter().enumerate() {
        plot.key_in(at, 108.0, name);
    }
    // The first one last, on top.
    for (at, (_, counts)) in panel.lines.iter().enumerate().rev() {
        let middle = |step: usize| column((step as f64 + 0.5) * panel.seconds);
        plot.line(at, counts.iter().enumerate().map(|(step, count)| (middle(step), place(*count))));
    }
    plot.end()
}

/// Plots one below the other.
fn stacked(plots: Vec<String>) -> String {
    let height = HEIGHT * plots.len() as f64;
    let mut svg =
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n");
    for (at, plot) in plots.into_iter().enumerate() {
        let at = format!("<svg y=\"{}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" ", at as f64 * HEIGHT);
        svg.push_str(&plot.replacen("<svg ", &at, 1));
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_figures_stand_higher_and_within_the_plot() {
        let (steps, place) = scale([12.0, 850.0].into_iter());
        assert_eq!(steps.len(), 3);
        assert!(place(850.0) < place(12.0));
        assert!(place(850.0) >= TOP && place(12.0) <= HEIGHT - BOTTOM);
    }
}
