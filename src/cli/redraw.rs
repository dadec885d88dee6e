//! Pages that take each other's place on a terminal, as those of `watch` do.

use std::io::{self, Write};

/// To the top left of the terminal.
pub(super) const HOME: &str = "\x1b[H";
/// Clears what is right of the cursor.
pub(super) const REST_OF_LINE: &str = "\x1b[K";
/// Clears what is below the cursor.
pub(super) const REST_OF_SCREEN: &str = "\x1b[J";

/// How many lines the terminal of standard output has.
pub(super) fn height() -> Option<usize> {
    terminal_size::terminal_size().map(|(_, terminal_size::Height(height))| usize::from(height))
}

/// Draws a page in the place of the one before. It is cut where it would be longer than the terminal, which would scroll.
pub(super) fn draw(out: &mut impl Write, lines: &[String], height: Option<usize>) -> io::Result<()> {
    // The cursor comes to stand below the page.
    let room = height.map_or(usize::MAX, |height| height.saturating_sub(1));
    let (shown, more) = match lines.len() > room {
        true => (room.saturating_sub(1), lines.len() - room.saturating_sub(1)),
        false => (lines.len(), 0),
    };
    write!(out, "{HOME}")?;
    for line in lines.iter().take(shown) {
        writeln!(out, "{line}{REST_OF_LINE}")?;
    }
    if more > 0 {
        writeln!(out, "and {more} more lines{REST_OF_LINE}")?;
    }
    write!(out, "{REST_OF_SCREEN}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_never_scrolls_the_terminal() {
        let lines: Vec<_> = (1..=9).map(|line| line.to_string()).collect();
        let drawn = |height| {
            let mut out = Vec::new();
            draw(&mut out, &lines, height).unwrap();
            String::from_utf8(out).unwrap()
        };
        let whole = drawn(Some(10));
        assert!(whole.starts_with("\x1b[H1\x1b[K\n") && whole.ends_with("9\x1b[K\n\x1b[J"), "{whole:?}");
        assert_eq!(whole, drawn(None));
        let cut = drawn(Some(6));
        assert_eq!(cut, "\x1b[H1\x1b[K\n2\x1b[K\n3\x1b[K\n4\x1b[K\nand 5 more lines\x1b[K\n\x1b[J");
    }
}
