//! Medians and ratios, and the table they are shown in.

use std::time::Duration;

/// The figures of one thing measured, one for each round.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) rounds: Vec<Duration>,
}

/// The middle value; the upper one of two. Zero without any.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Shows each series with its median and span, and how it compares with the first, pair by pair.
pub(crate) fn table(series: &[Series]) -> String {
    let mut text = format!("{:<44} {:>10} {:>10} {:>10} {:>10}\n", "", "median ms", "least", "most", "ratio");
    let limit: Vec<f64> = series.first().map(milliseconds).unwrap_or_default();
    for one in series {
        let values = milliseconds(one);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        // Of each pair, not of the medians: both halves of a pair met the same load.
        let ratios: Vec<f64> = values.iter().zip(&limit).map(|(value, limit)| value / limit).collect();
        text += &format!(
            "{:<44} {:>10.1} {least:>10.1} {most:>10.1} {:>9.2}x\n",
            one.name,
            median(&values),
            median(&ratios)
        );
    }
    text
}

fn milliseconds(series: &Series) -> Vec<f64> {
    series.rounds.iter().map(|round| round.as_secs_f64() * 1e3).collect()
}

#[cfg(test)]
mod tests {
    use super::{Series, median, table};
    use std::time::Duration;

    #[test]
    fn ratios_are_of_pairs() {
        let series = |name: &str, rounds: [u64; 3]| Series {
            name: name.to_owned(),
            rounds: rounds.map(Duration::from_millis).to_vec(),
        };
        let text = table(&[series("limit", [10, 100, 20]), series("ours", [20, 200, 40])]);
        assert!(text.lines().nth(1).unwrap().ends_with("1.00x"), "{text}");
        assert!(text.lines().nth(2).unwrap().ends_with("2.00x"), "{text}");
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
    }
}
