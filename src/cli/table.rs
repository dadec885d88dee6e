//! Tables that fit the terminal, with colour where one looks on.

use std::io::{self, IsTerminal as _};

use super::Failure;
use super::remote::{print, printable};

/// As wide as a table is where no terminal says otherwise.
const WIDTH: usize = 80;
/// A column is not cut below this.
const LEAST: usize = 8;

/// A column: its head, and how it behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) head: &'static str,
    /// Numbers stand at the right.
    pub(super) right: bool,
    /// Cut with `…` where the table is too wide.
    pub(super) cut: bool,
}

impl Column {
    /// A text that is shown whole.
    pub(super) const fn whole(head: &'static str) -> Self {
        Self { head, right: false, cut: false }
    }

    /// A text that may be cut.
    pub(super) const fn text(head: &'static str) -> Self {
        Self { head, right: false, cut: true }
    }

    /// A number.
    pub(super) const fn number(head: &'static str) -> Self {
        Self { head, right: true, cut: false }
    }
}

/// How a cell is to be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
    Faint,
}

/// A cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, tone: Tone::Plain }
    }
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

/// How much room there is, and whether colour is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// `None`: nothing is cut.
    pub(super) width: Option<usize>,
    pub(super) colour: bool,
}

impl Screen {
    /// Of standard output. `wide`: nothing is to be cut.
    pub(super) fn of_output(wide: bool) -> Self {
        let terminal = terminal_size::terminal_size().map(|(terminal_size::Width(width), _)| usize::from(width));
        let width = (!wide).then(|| terminal.filter(|_| io::stdout().is_terminal()).unwrap_or(WIDTH));
        Self { width, colour: colour() }
    }
}

/// Whether standard output is to have colour (<https://no-color.org>).
pub(super) fn colour() -> bool {
    let asked_not = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !asked_not && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A text in the colour of a tone.
pub(super) fn paint(text: &str, tone: Tone, colour: bool) -> String {
    let code = match tone {
        _ if !colour => return text.to_owned(),
        Tone::Plain => return text.to_owned(),
        Tone::Good => 32,
        Tone::Warning => 33,
        Tone::Bad => 31,
        Tone::Faint => 2,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Prints a table.
pub(super) fn show(columns: &[Column], rows: &[Vec<Cell>], wide: bool) -> Result<(), Failure> {
    let screen = Screen::of_output(wide);
    lines(columns, rows, screen).iter().try_for_each(|line| if screen.colour { raw(line) } else { print(line) })
}

/// Prints a line that may have colours, whose texts are printable already.
pub(super) fn raw(line: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The lines of a table.
pub(super) fn lines(columns: &[Column], rows: &[Vec<Cell>], screen: Screen) -> Vec<String> {
    let cell = |cell: &Cell| Cell { text: printable(&cell.text).replace('\n', " "), tone: cell.tone };
    let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let natural = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.chars().count());
        cells.chain(columns.get(at).map(|column| column.head.chars().count())).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..columns.len()).map(natural).collect();
    if let Some(most) = screen.width {
        shrink(&mut widths, columns, most);
    }
    let line = |cells: &mut dyn Iterator<Item = (&str, Tone)>| {
        let cells = cells.zip(&widths).zip(columns).enumerate().map(|(at, (((text, tone), width), column))| {
            let text = if at == 0 { cut_middle(text, *width) } else { cut(text, *width) };
            let padding = " ".repeat(width.saturating_sub(text.chars().count()));
            let painted = paint(&text, tone, screen.colour);
            if column.right { format!("{padding}{painted}") } else { format!("{painted}{padding}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = line(&mut columns.iter().map(|column| (column.head, Tone::Faint)));
    let rows = rows.iter().map(|row| line(&mut row.iter().map(|cell| (cell.text.as_str(), cell.tone))));
    std::iter::once(head).chain(rows).collect()
}

/// Takes from the widest column that may be cut until the table fits; from the first, by which a row is known, at last.
fn shrink(widths: &mut [usize], columns: &[Column], most: usize) {
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > most {
        let cuttable = widths.iter().zip(columns).enumerate();
        let cuttable = cuttable.filter(|(_, (width, column))| column.cut && **width > LEAST.max(column.head.len()));
        let Some((widest, _)) = cuttable.max_by_key(|(at, (width, _))| (*at > 0, **width)) else { return };
        widths[widest] -= 1;
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Leaves out the middle: a path is known by where it begins and by the name in which it ends.
fn cut_middle(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let end = kept.div_ceil(2);
    text.chars().take(kept - end).chain(['…']).chain(text.chars().skip(count - end)).collect()
}

/// How far away a time is, in the largest unit that fits: `3d`, `5h`, `12m`, `40s`.
pub(super) fn distance(from: i64, to: i64) -> String {
    let seconds = (to - from).max(0);
    let units = [(365 * 86_400, "y"), (86_400, "d"), (3_600, "h"), (60, "m")];
    // Below two of a unit, the smaller one says more.
    let unit = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    unit.map_or_else(|| format!("{seconds}s"), |(length, name)| format!("{}{name}", seconds / length))
}

/// Now, in seconds.
pub(super) fn now() -> i64 {
    prost_types::Timestamp::from(std::time::SystemTime::now()).seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [Column::text("NAME"), Column::number("USED"), Column::text("MODELS")];

    fn rows() -> Vec<Vec<Cell>> {
        let row = |name: &str, used: &str, models: &str| {
            vec![name.to_owned().into(), used.to_owned().into(), models.to_owned().into()]
        };
        vec![row("Acme/Search/notebook", "12.00 USD", &"gpt-4o, ".repeat(12)), row("a\u{1b}[31mb", "7", "*")]
    }

    #[test]
    fn a_table_fits_80_columns_and_nothing_steers_the_terminal() {
        let shown = lines(&COLUMNS, &rows(), Screen { width: Some(80), colour: false });
        assert_eq!(
            shown,
            [
                "NAME                       USED  MODELS",
                "Acme/Search/notebook  12.00 USD  gpt-4o, gpt-4o, gpt-4o, gpt-4o, gpt-4o, gpt-4o…",
                "a\u{fffd}[31mb                       7  *",
            ]
        );
        assert!(shown.iter().all(|line| line.chars().count() <= 80));
        let narrow = lines(&COLUMNS, &rows(), Screen { width: Some(40), colour: false });
        assert!(narrow.iter().all(|line| line.chars().count() <= 40), "{narrow:#?}");
        let wide = lines(&COLUMNS, &rows(), Screen { width: None, colour: false });
        assert!(wide[1].contains(&"gpt-4o, ".repeat(11)));
    }

    #[test]
    fn a_name_that_is_too_long_keeps_both_of_its_ends() {
        let name = "An organisation with a long name/A team with a long name/notebook".to_owned();
        let cells = vec![vec![name.into(), "12.00 USD".to_owned().into(), "gpt-4o, o3".to_owned().into()]];
        let shown = lines(&COLUMNS, &cells, Screen { width: Some(60), colour: false });
        assert_eq!(shown[1], "An organisation wit… long name/notebook  12.00 USD  gpt-4o,…");
        assert_eq!(
            (cut_middle("abcdef", 4), cut_middle("abcdef", 1), cut_middle("abc", 3)),
            ("a…ef".into(), "…".into(), "abc".into())
        );
    }

    #[test]
    fn colour_takes_no_room() {
        let cells = vec![vec![Cell::new("95 %", Tone::Bad), "x".to_owned().into(), "y".to_owned().into()]];
        let shown = lines(&COLUMNS, &cells, Screen { width: Some(80), colour: true });
        assert_eq!(shown[1], "\u{1b}[31m95 %\u{1b}[0m     x  y");
    }

    #[test]
    fn distances_are_short() {
        let cases = [(0, "0s"), (90, "90s"), (150, "2m"), (7_300, "2h"), (3 * 86_400, "3d"), (800 * 86_400, "2y")];
        for (seconds, expected) in cases {
            assert_eq!(distance(0, seconds), expected);
        }
    }
}
