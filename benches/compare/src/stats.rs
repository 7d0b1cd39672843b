//! Medians, percentiles and what lies between them.

/// What samples come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    pub median: f64,
    pub min: f64,
    /// The quartiles: half of the samples lie between them.
    pub low: f64,
    pub high: f64,
}

impl Figures {
    /// # Panics
    /// Without samples.
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part| percentile(&sorted, part);
        Self { median: at(0.5), min: sorted[0], low: at(0.25), high: at(0.75) }
    }
}

/// The sample below which this part of the sorted samples lies; between two samples, the line between them.
pub fn percentile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// A percentile of whole numbers, which are sorted for it.
pub fn percentile_of(samples: &mut [u32], part: f64) -> f64 {
    if samples.is_empty() {
        return f64::NAN;
    }
    let place = ((samples.len() - 1) as f64 * part).round() as usize;
    f64::from(*samples.select_nth_unstable(place).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_five_are_its_sorted_members() {
        let figures = Figures::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(figures, Figures { median: 3.0, min: 1.0, low: 2.0, high: 4.0 });
        assert_eq!(Figures::of(&[1.0, 2.0]).median, 1.5);
    }

    #[test]
    fn percentile_of_many_is_the_sample_at_its_place() {
        let mut samples: Vec<u32> = (0..=1_000).rev().collect();
        assert_eq!(percentile_of(&mut samples, 0.99), 990.0);
        assert!(percentile_of(&mut [], 0.5).is_nan());
    }
}
