//! Rows, and how they are printed: a table, or JSON, one object a line.

use crate::measure::Result;

/// How a row is judged.
#[derive(Clone, Copy, PartialEq)]
pub enum Judged {
    /// By ours ÷ rival, which should be small.
    Ratio,
    /// By our own figure, which should be small.
    Small,
    /// By our own figure, which should be large.
    Large,
}

/// A row of the table.
#[derive(Clone)]
pub struct Row {
    pub row: String,
    pub ours: f64,
    pub rival: Option<(&'static str, f64)>,
    pub judged: Judged,
    pub commit: Option<f64>,
    pub goal: Option<f64>,
    pub unit: &'static str,
}

impl Row {
    pub fn ratio(&self) -> Option<f64> {
        let (_, rival) = self.rival?;
        (self.judged == Judged::Ratio).then_some(self.ours / rival)
    }

    fn meets(&self, bound: Option<f64>) -> Option<bool> {
        let bound = bound?;
        Some(match self.judged {
            Judged::Ratio => self.ratio()? <= bound,
            Judged::Small => self.ours <= bound,
            Judged::Large => self.ours >= bound,
        })
    }

    /// One object, all nine keys.
    pub fn json(&self) -> String {
        let rival = self.rival.map(|(_, figure)| figure);
        let name = self.rival.map_or("null".into(), |(name, _)| text(name));
        let verdict = |met: Option<bool>| met.map_or("null", |met| if met { "true" } else { "false" });
        format!(
            "{{\"row\":{},\"ours\":{},\"rival\":{},\"rival_name\":{name},\"ratio\":{},\"commit\":{},\"goal\":{},\
             \"met_commit\":{},\"met_goal\":{}}}",
            text(&self.row),
            number(Some(self.ours)),
            number(rival),
            number(self.ratio()),
            number(self.commit),
            number(self.goal),
            verdict(self.meets(self.commit)),
            verdict(self.meets(self.goal)),
        )
    }

    pub fn line(&self) -> String {
        let (name, rival) = self.rival.map_or(("", String::new()), |(name, rival)| (name, short(rival)));
        let optional = |figure: Option<f64>| figure.map_or(String::new(), short);
        let verdict = match (self.meets(self.commit), self.meets(self.goal)) {
            (_, Some(true)) => "goal met",
            (Some(true), _) => "commit met",
            (Some(false), _) => "MISSED",
            (None, Some(false)) => "goal missed",
            (None, None) => "",
        };
        format!(
            "{:<27} {:>9} {:<7} {:>9} {:<12} {:>6} {:>7} {:>6}  {verdict}",
            self.row,
            short(self.ours),
            self.unit,
            rival,
            name,
            optional(self.ratio()),
            optional(self.commit),
            optional(self.goal),
        )
    }
}

/// The head of the table.
pub fn head() -> String {
    format!(
        "{:<27} {:>9} {:<7} {:>9} {:<12} {:>6} {:>7} {:>6}  verdict",
        "row", "ours", "unit", "rival", "", "ratio", "commit", "goal"
    )
}

/// A figure with three digits that matter.
pub fn short(figure: f64) -> String {
    match figure.abs() {
        size if !size.is_finite() => "-".into(),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        size if size >= 0.1 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

/// Contenders beside one another, for the log.
pub fn spread(results: &[Result]) -> String {
    let one = |result: &Result| {
        let crate::stats::Figures { median, min, low, high } = result.figures;
        let [median, min, low, high] = [median, min, low, high].map(short);
        format!("    {:<14} median {median:>7}  min {min:>7}  middle half {low}–{high}", result.name)
    };
    results.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn number(figure: Option<f64>) -> String {
    match figure {
        // Six digits that matter; what is not finite is not JSON.
        Some(figure) if figure.is_finite() => {
            let digits = if figure.abs() < 1.0 { 6 } else { 3 };
            let text = format!("{figure:.digits$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => "null".into(),
    }
}

fn text(plain: &str) -> String {
    let escaped = plain.chars().flat_map(|c| match c {
        '"' | '\\' => vec!['\\', c],
        c if c.is_control() => format!("\\u{:04x}", c as u32).chars().collect(),
        c => vec![c],
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(judged: Judged) -> Row {
        let rival = Some(("a \"rival\"", 20.0));
        Row { row: "r".into(), ours: 15.0, rival, judged, commit: Some(0.8), goal: Some(0.5), unit: "ns" }
    }

    #[test]
    fn json_has_all_keys_and_escapes_names() {
        assert_eq!(
            row(Judged::Ratio).json(),
            r#"{"row":"r","ours":15,"rival":20,"rival_name":"a \"rival\"","ratio":0.75,"commit":0.8,"goal":0.5,"met_commit":true,"met_goal":false}"#
        );
    }

    #[test]
    fn absolute_rows_have_no_ratio_and_are_judged_by_our_figure() {
        let large = row(Judged::Large);
        assert_eq!((large.ratio(), large.meets(large.commit)), (None, Some(true)));
        let small = row(Judged::Small);
        assert_eq!((small.meets(small.commit), small.meets(None)), (Some(false), None));
    }

    #[test]
    fn figures_that_are_no_number_are_null() {
        assert_eq!(number(Some(f64::INFINITY)), "null");
        assert_eq!(number(Some(0.0)), "0");
        assert_eq!(number(Some(0.000_25)), "0.00025");
        assert_eq!(number(Some(100.0)), "100");
    }
}
