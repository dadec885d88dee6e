//! What was measured, as one table.

use std::fmt;

/// What one measure gave in each of the runs.
#[derive(Clone, Default)]
pub(crate) struct Runs(Vec<f64>);

impl Runs {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            len if len % 2 == 1 => sorted[len / 2],
            len => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
        }
    }

    /// Run by run, so that what slowed the machine down slowed both sides.
    fn ratio(&self, beside: &Self) -> Self {
        Self(self.0.iter().zip(&beside.0).map(|(ours, theirs)| ours / theirs).collect())
    }

    /// What `f` makes of each.
    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().map(|value| f(*value)).collect())
    }
}

impl FromIterator<f64> for Runs {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The median, and the spread if there is one.
impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("–");
        }
        f.write_str(&number(self.median()))?;
        if self.0.len() > 1 {
            let (least, most) = self.0.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
            write!(f, " ({}–{})", number(least), number(most))?;
        }
        Ok(())
    }
}

/// A number as it is shown: grouped, or with so many digits that there are three.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1_000.0 => {
            let digits = format!("{value:.0}");
            let grouped = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
            grouped.collect::<Vec<_>>().join(",")
        }
        middle if middle >= 100.0 => format!("{value:.0}"),
        small if small >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// What performance is to be reached.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// A ratio of at least this.
    Times(f64),
    /// A ratio of at most this.
    Within(f64),
    /// A value of at least this.
    AtLeast(f64),
    /// A value less than this.
    Under(f64),
    /// Nothing in particular.
    None,
}

/// One line of the table.
pub(crate) struct Line {
    /// The row of the list of measures.
    pub(crate) row: u8,
    pub(crate) measure: String,
    pub(crate) tollgate: Runs,
    /// What is beside it, by name; no runs if it is not installed.
    pub(crate) beside: Option<(&'static str, Runs)>,
    pub(crate) goal: Goal,
}

impl Line {
    fn cells(&self) -> [String; 7] {
        let ratio = self.beside.as_ref().map(|(_, runs)| self.tollgate.ratio(runs)).unwrap_or_default();
        let beside = match &self.beside {
            None => "–".to_owned(),
            Some((name, runs)) if runs.0.is_empty() => format!("{name}: not installed"),
            Some((name, runs)) => format!("{name}: {runs}"),
        };
        let (goal, met) = match self.goal {
            Goal::Times(least) => (format!("≥ {least} ×"), compare(&ratio, |ratio| ratio >= least)),
            Goal::Within(most) => (format!("≤ {most} ×"), compare(&ratio, |ratio| ratio <= most)),
            Goal::AtLeast(least) => (format!("≥ {}", number(least)), compare(&self.tollgate, |value| value >= least)),
            Goal::Under(most) => (format!("< {}", number(most)), compare(&self.tollgate, |value| value < most)),
            Goal::None => ("–".to_owned(), "–"),
        };
        let tollgate = self.tollgate.to_string();
        [self.row.to_string(), self.measure.clone(), tollgate, beside, ratio.to_string(), goal, met.to_owned()]
    }
}

fn compare(runs: &Runs, holds: impl Fn(f64) -> bool) -> &'static str {
    match runs.median() {
        unknown if unknown.is_nan() => "?",
        median if holds(median) => "yes",
        _ => "no",
    }
}

/// All lines, as Markdown.
#[derive(Default)]
pub(crate) struct Table(Vec<Line>);

impl Table {
    /// Adds a line, and tells of it.
    pub(crate) fn push(&mut self, line: Line) {
        let [row, measure, tollgate, beside, ratio, goal, met] = line.cells();
        eprintln!("{row:>2} {measure}: {tollgate}; {beside}; ratio {ratio}; goal {goal}: {met}");
        self.0.push(line);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["#", "measure", "Tollgate", "beside it", "ratio", "goal", "met"].map(str::to_owned);
        let mut lines: Vec<_> = self.0.iter().collect();
        lines.sort_by_key(|line| line.row);
        let rows: Vec<_> = std::iter::once(head).chain(lines.into_iter().map(Line::cells)).collect();
        let widths: [usize; 7] =
            std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        for (number, row) in rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")?;
            if number == 0 {
                writeln!(f, "|{}", widths.map(|width| format!("{}|", "-".repeat(width + 2))).concat())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(tollgate: &[f64], beside: &[f64], goal: Goal) -> Line {
        let beside = Some(("etcd", beside.iter().copied().collect()));
        Line { row: 1, measure: "writes/s".to_owned(), tollgate: tollgate.iter().copied().collect(), beside, goal }
    }

    #[test]
    fn ratios_are_taken_run_by_run() {
        // The second run was slow for both.
        let [_, _, tollgate, etcd, ratio, _, met] =
            line(&[4_000.0, 1_000.0, 4_400.0], &[2_000.0, 500.0, 2_000.0], Goal::Times(2.0)).cells();
        assert_eq!(tollgate, "4,000 (1,000–4,400)");
        assert_eq!(etcd, "etcd: 2,000 (500–2,000)");
        assert_eq!((ratio.as_str(), met.as_str()), ("2.00 (2.00–2.20)", "yes"));
        assert_eq!(line(&[1.0], &[1.0], Goal::Within(0.9)).cells()[6], "no");
    }

    #[test]
    fn what_is_not_installed_is_said_to_be_missing() {
        let [_, _, _, beside, ratio, _, met] = line(&[4_000.0], &[], Goal::Times(2.0)).cells();
        assert_eq!((beside.as_str(), ratio.as_str(), met.as_str()), ("etcd: not installed", "–", "?"));
    }

    #[test]
    fn numbers_are_as_long_as_they_are_exact() {
        let shown = [1_234_567.8, 123.4, 12.34, 1.234, 0.0123].map(number);
        assert_eq!(shown, ["1,234,568", "123", "12.3", "1.23", "0.01"]);
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!([3.0, 1.0, 2.0].into_iter().collect::<Runs>().median(), 2.0);
        assert_eq!([4.0, 1.0].into_iter().collect::<Runs>().median(), 2.5);
        assert!(Runs::default().median().is_nan());
    }
}
