//! Pictures of a terminal, as SVG: selectable text, in the colours of a given theme or of the reader's preferred one.

use super::{Screen, THEMES, Theme};

// The advance of Menlo and of DejaVu Sans Mono at 14 pixels, 0.602 em. Other fonts are fitted to it by `textLength`.
const COLUMN_WIDTH: f64 = 8.43;
const ROW_HEIGHT: f64 = 19.0;
const MARGIN: f64 = 14.0;

/// Seconds from one call to the next.
const PAUSE: f64 = 1.5;

impl Theme {
    /// A picture of a terminal, as SVG.
    #[must_use]
    pub fn picture(&self, screen: &Screen) -> String {
        let mut svg = begin(screen);
        svg +=
            &format!("<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#{:06x}\"/>\n", self.background);
        for row in 0..screen.lines().len() {
            svg += &line(screen, row, |style| {
                let (color, bold) = self.color(style);
                format!(" fill=\"#{color:06x}\"{}", if bold { " font-weight=\"bold\"" } else { "" })
            });
        }
        svg + "</svg>\n"
    }
}

/// A picture that is dark or light, as the reader prefers, in which one call appears after the other. `begins`: the row
/// at which each begins.
pub(super) fn of_calls(screen: &Screen, begins: &[usize]) -> String {
    let mut svg = begin(screen);
    // Sorted, so that the same screen always gives the same picture.
    let mut styles: Vec<&str> = screen.lines().iter().flatten().map(|(_, style)| &**style).collect();
    styles.sort_unstable();
    styles.dedup();
    let rules = |theme: &Theme| -> String {
        let background = format!("rect{{fill:#{:06x}}}", theme.background);
        let text =
            styles.iter().map(|style| format!(".{}{{fill:#{:06x}}}", class(style), theme.color(style).0));
        [background].into_iter().chain(text).collect()
    };
    let [dark, light, ..] = &THEMES;
    svg += &format!("<style>\n{}\n@media (prefers-color-scheme:dark){{{}}}\n", rules(light), rules(dark));
    // What is bold in one theme is bold in all of them.
    for style in styles.iter().filter(|style| dark.color(style).1) {
        svg += &format!(".{}{{font-weight:bold}}\n", class(style));
    }
    // Where nothing moves, everything is there from the beginning.
    svg += "@keyframes appear{from{visibility:hidden}to{visibility:visible}}\n";
    svg += "@media (prefers-reduced-motion:no-preference){g{animation:appear 1ms both}";
    for call in 0..begins.len() {
        svg += &format!(".call{call}{{animation-delay:{:.1}s}}", call as f64 * PAUSE);
    }
    svg += "}\n</style>\n<rect width=\"100%\" height=\"100%\" rx=\"6\"/>\n";
    for (call, begin) in begins.iter().enumerate() {
        let end = begins.get(call + 1).copied().unwrap_or(screen.lines().len());
        svg += &format!("<g class=\"call{call}\">\n");
        for row in *begin..end {
            svg += &line(screen, row, |style| format!(" class=\"{}\"", class(style)));
        }
        svg += "</g>\n";
    }
    svg + "</svg>\n"
}

fn begin(screen: &Screen) -> String {
    let columns = screen.lines().iter().map(Vec::len).max().unwrap_or_default();
    let (width, height) = (
        (columns as f64 * COLUMN_WIDTH + 2.0 * MARGIN).ceil(),
        screen.lines().len() as f64 * ROW_HEIGHT + 2.0 * MARGIN,
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"14\">\n"
    )
}

/// The texts of one row; `look`: the attributes for a style.
fn line(screen: &Screen, row: usize, look: impl Fn(&str) -> String) -> String {
    let y = MARGIN + row as f64 * ROW_HEIGHT + 14.0;
    let (mut texts, mut column) = (String::new(), 0);
    for piece in screen.lines()[row].chunk_by(|a, b| a.1 == b.1) {
        let text: String = piece.iter().map(|(c, _)| escaped(*c)).collect();
        let (x, length) = (MARGIN + f64::from(column) * COLUMN_WIDTH, piece.len() as f64 * COLUMN_WIDTH);
        texts += &format!(
            "<text x=\"{x:.2}\" y=\"{y}\" textLength=\"{length:.2}\"{} xml:space=\"preserve\">{text}</text>\n",
            look(&piece[0].1)
        );
        column += u16::try_from(piece.len()).unwrap_or(u16::MAX);
    }
    texts
}

/// The name of a style in a style sheet.
fn class(style: &str) -> String {
    format!("s{}", style.replace(';', "-"))
}

fn escaped(c: char) -> String {
    match c {
        // Inside an element only these two begin markup (XML 1.0, 2.4).
        '<' => "&lt;".to_owned(),
        '&' => "&amp;".to_owned(),
        c => c.to_string(),
    }
}
