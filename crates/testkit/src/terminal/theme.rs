//! Colours as people see them: on a dark and on a light background. What is shown has to be readable on both, and the
//! pages have pictures of both.

use super::Screen;

/// The colours of a terminal, as red, green and blue.
pub struct Theme {
    /// What it is called.
    pub name: &'static str,
    pub(super) background: u32,
    pub(super) text: u32,
    /// The eight colours of codes 30 to 37.
    colors: [u32; 8],
    /// The colours of bold text.
    bold: [u32; 8],
}

/// As xterm has them, which shows bold text in brighter colours.
const XTERM: [u32; 8] = [0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5];
const XTERM_BOLD: [u32; 8] = [0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff];

/// As the terminal of Visual Studio Code has them.
const CODE_DARK: [u32; 8] = [0x000000, 0xcd3131, 0x0dbc79, 0xe5e510, 0x2472c8, 0xbc3fbc, 0x11a8cd, 0xe5e5e5];
const CODE_LIGHT: [u32; 8] = [0x000000, 0xcd3131, 0x00bc00, 0x949800, 0x0451a5, 0xbc05bc, 0x0598bc, 0x555555];

/// A dark and a light one as programmers have them, and those of xterm.
pub const THEMES: [Theme; 4] = [
    Theme { name: "dark", background: 0x1e1e1e, text: 0xcccccc, colors: CODE_DARK, bold: CODE_DARK },
    Theme { name: "light", background: 0xffffff, text: 0x333333, colors: CODE_LIGHT, bold: CODE_LIGHT },
    Theme { name: "xterm-dark", background: 0x000000, text: 0xe5e5e5, colors: XTERM, bold: XTERM_BOLD },
    Theme { name: "xterm-light", background: 0xffffff, text: 0x000000, colors: XTERM, bold: XTERM_BOLD },
];

/// What large or bold text needs at least, by the Web Content Accessibility Guidelines 2.2, 1.4.3.
const MIN_CONTRAST: f64 = 3.0;

/// The relative luminance of a colour, by the same guidelines.
fn luminance(color: u32) -> f64 {
    let part = |shift: u32| {
        let part = f64::from((color >> shift) & 0xff) / 255.0;
        // The limit of sRGB, as in the guidelines since 2021; older texts have 0.03928.
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0)
}

fn contrast(a: u32, b: u32) -> f64 {
    // What is added represents light that the screen reflects.
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    if a > b { a / b } else { b / a }
}

impl Theme {
    /// The colour of text in a style, and whether it is bold.
    pub(super) fn color(&self, style: &str) -> (u32, bool) {
        let bold = style.split(';').any(|part| part == "1");
        let number = style.split(';').find_map(|part| part.strip_prefix('3')?.parse::<usize>().ok());
        let colors = if bold { &self.bold } else { &self.colors };
        (number.map_or(self.text, |number| colors[number]), bold)
    }
}

/// Everything on a screen can be read in every theme.
///
/// # Panics
///
/// Something cannot be read.
#[track_caller]
pub fn assert_readable(screen: &Screen) {
    for theme in &THEMES {
        for (c, style) in screen.lines().iter().flatten() {
            let contrast = contrast(theme.color(style).0, theme.background);
            assert!(
                contrast >= MIN_CONTRAST,
                "{c:?} in style {style:?} has contrast {contrast:.1} in {}",
                theme.name
            );
        }
    }
}

#[test]
fn colours_that_cannot_be_read_are_found() {
    let readable = |code: &str| {
        let mut screen = Screen::new(80, 24);
        screen.feed(&format!("\x1b[{code}mword\x1b[0m"));
        std::panic::catch_unwind(|| assert_readable(&screen)).is_ok()
    };
    assert!(["1", "1;31", "1;35", "31"].into_iter().all(readable));
    assert!(!["1;33", "33", "1;36", "34", "1;37"].into_iter().any(readable));
}
