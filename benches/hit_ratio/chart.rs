//! Hit-ratio curves as SVG: a chart per trace, cache sizes on a logarithmic x axis, a line per policy.
//! Colours are middle tones, and text takes the colour of the reader's scheme, so that both backgrounds do.

use std::fmt::Write as _;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
/// Space around the plotting area: left, right, above, below.
const MARGIN: [f64; 4] = [44.0, 12.0, 30.0, 36.0];
const COLUMNS: usize = 2;
const LEGEND: f64 = 34.0;
const COLOURS: [&str; 8] =
    ["#8a8a8a", "#e4572e", "#3b82c4", "#a8763e", "#b0a030", "#2a9d6f", "#9b5de5", "#d0489b"];

/// Curves of one trace; every curve has a point per size.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) sizes: Vec<usize>,
    pub(crate) curves: Vec<(String, Vec<f64>)>,
}

/// All charts on one page, a legend above them.
pub(crate) fn page(charts: &[Chart]) -> String {
    let rows = charts.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, LEGEND + HEIGHT * rows as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<style>text{{fill:#333}}.axis{{stroke:#999;stroke-opacity:.45}}\
         @media(prefers-color-scheme:dark){{text{{fill:#ccc}}}}</style>\n"
    );
    if let Some(chart) = charts.first() {
        for (at, (name, _)) in chart.curves.iter().enumerate() {
            let x = 14.0 + at as f64 * (width - 20.0) / chart.curves.len() as f64;
            line(&mut svg, at, &[(x, 18.0), (x + 22.0, 18.0)]);
            text(&mut svg, x + 27.0, 22.0, "start", name);
        }
    }
    for (at, chart) in charts.iter().enumerate() {
        let (x, y) = ((at % COLUMNS) as f64 * WIDTH, LEGEND + (at / COLUMNS) as f64 * HEIGHT);
        draw(&mut svg, chart, x, y);
    }
    svg + "</svg>\n"
}

fn draw(svg: &mut String, chart: &Chart, x: f64, y: f64) {
    let [left, right, above, below] = MARGIN;
    let (width, height) = (WIDTH - left - right, HEIGHT - above - below);
    let logs: Vec<f64> = chart.sizes.iter().map(|size| (*size as f64).ln()).collect();
    let (first, last) = (logs.first().copied().unwrap_or(0.0), logs.last().copied().unwrap_or(1.0));
    let across = |log: f64| x + left + width * (log - first) / (last - first).max(1e-9);
    let points = || chart.curves.iter().flat_map(|(_, points)| points.iter().copied());
    let low = (points().fold(100.0, f64::min) / 10.0).floor() * 10.0;
    let high = (points().fold(low + 10.0, f64::max) / 10.0).ceil() * 10.0;
    let down = |ratio: f64| y + above + height * (high - ratio) / (high - low);

    text(svg, x + left + width / 2.0, y + 18.0, "middle", &format!("{} (hit %, by entries)", chart.title));
    let mut tick = low;
    while tick <= high {
        rule(svg, x + left, down(tick), x + left + width, down(tick));
        text(svg, x + left - 6.0, down(tick) + 4.0, "end", &format!("{tick:.0}"));
        tick += if high - low > 50.0 { 20.0 } else { 10.0 };
    }
    let mut free = f64::MIN;
    for (size, log) in chart.sizes.iter().zip(&logs) {
        rule(svg, across(*log), y + above + height, across(*log), y + above + height + 4.0);
        // Labels that would run into each other are left out.
        if across(*log) >= free {
            text(svg, across(*log), y + above + height + 18.0, "middle", &size.to_string());
            free = across(*log) + 40.0;
        }
    }
    // The default policy last, on top of the others.
    for (at, (_, points)) in chart.curves.iter().enumerate().rev() {
        let points: Vec<_> =
            logs.iter().zip(points).map(|(log, ratio)| (across(*log), down(*ratio))).collect();
        line(svg, at, &points);
    }
}

/// A curve. OPT, the first, is dashed; the default policy, the second, is bold.
fn line(svg: &mut String, at: usize, points: &[(f64, f64)]) {
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let colour = COLOURS[at % COLOURS.len()];
    let style =
        ["stroke-width=\"1.6\" stroke-dasharray=\"4 3\"", "stroke-width=\"2.8\"", "stroke-width=\"1.6\""];
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"{colour}\" {} points=\"{}\"/>",
        style[at.min(2)],
        path.join(" ")
    );
}

fn rule(svg: &mut String, x: f64, y: f64, to_x: f64, to_y: f64) {
    let _ = writeln!(svg, "<path class=\"axis\" d=\"M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}\"/>");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}
