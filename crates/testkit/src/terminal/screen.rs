//! A terminal of a given size, as far as taut uses one: text, colours, lines that are drawn over.

/// What a terminal shows.
pub struct Screen {
    columns: usize,
    rows: usize,
    /// All lines that were ever shown; the last `rows` of them are on the screen.
    lines: Vec<Vec<(char, String)>>,
    /// Which of them go on with the line before.
    wrapped: Vec<bool>,
    row: usize,
    column: usize,
    style: String,
    /// An escape code that is not complete.
    open: String,
    /// Sequences that current terminals need not support.
    pub unknown: Vec<String>,
}

impl Screen {
    /// An empty screen.
    #[must_use]
    pub fn new(columns: usize, rows: usize) -> Screen {
        let (style, open) = Default::default();
        let (lines, wrapped) = (vec![Vec::new()], vec![false]);
        Screen { columns, rows, lines, wrapped, row: 0, column: 0, style, open, unknown: Vec::new() }
    }

    /// Shows what a program writes.
    pub fn feed(&mut self, text: &str) {
        for c in text.chars() {
            if !self.open.is_empty() {
                self.open.push(c);
                // The final byte of a control sequence is one of these (ECMA-48, 5.4), and so is the `[` that begins
                // it.
                if self.open.len() > 2 && ('\x40'..='\x7e').contains(&c) {
                    let code = std::mem::take(&mut self.open);
                    self.code(&code);
                }
                continue;
            }
            match c {
                '\x1b' => self.open.push(c),
                '\r' => self.column = 0,
                // The column stays: the driver of a terminal writes `\r` before it.
                '\n' => self.down(),
                c if c.is_control() => self.unknown.push(format!("{c:?}")),
                c => self.put(c),
            }
        }
    }

    fn down(&mut self) {
        self.row += 1;
        if self.row == self.lines.len() {
            self.lines.push(Vec::new());
            self.wrapped.push(false);
        }
    }

    /// Another width, as terminals have it that wrap long lines anew. The cursor is below all lines.
    pub fn resize(&mut self, columns: usize) {
        let mut whole: Vec<Vec<(char, String)>> = Vec::new();
        for (line, wrapped) in self.lines.drain(..).zip(self.wrapped.drain(..)) {
            match whole.last_mut().filter(|_| wrapped) {
                Some(before) => before.extend(line),
                None => whole.push(line),
            }
        }
        for line in whole {
            let pieces: Vec<_> = line.chunks(columns).map(<[_]>::to_vec).collect();
            let count = pieces.len().max(1);
            self.lines.extend(if pieces.is_empty() { vec![Vec::new()] } else { pieces });
            self.wrapped.extend((0..count).map(|piece| piece > 0));
        }
        (self.columns, self.row, self.column) = (columns, self.lines.len() - 1, 0);
    }

    fn put(&mut self, c: char) {
        // As real terminals do, only when there is another character: a full line and its end are one line.
        if self.column == self.columns {
            self.column = 0;
            self.down();
            self.wrapped[self.row] = true;
        }
        let line = &mut self.lines[self.row];
        while line.len() <= self.column {
            line.push((' ', String::new()));
        }
        line[self.column] = (c, self.style.clone());
        self.column += 1;
    }

    fn code(&mut self, code: &str) {
        let inner = code.strip_prefix("\x1b[").unwrap_or_default();
        let (number, kind) = inner.split_at(inner.len().saturating_sub(1));
        // The functions SGR, CPL, EL and ED of ECMA-48, in the variants that taut uses.
        match kind {
            // Attributes would add up. That is the same as long as each style is reset before the next, as taut does.
            "m" => self.style = if matches!(number, "" | "0") { String::new() } else { number.to_owned() },
            "F" => {
                let top = self.lines.len().saturating_sub(self.rows);
                // What has left the screen at the top can no longer be reached.
                self.row = self.row.saturating_sub(number.parse().unwrap_or(1)).max(top);
                self.column = 0;
            }
            "K" => {
                let line = &mut self.lines[self.row];
                line.truncate(self.column);
            }
            "J" => {
                self.lines.truncate(self.row + 1);
                self.wrapped.truncate(self.row + 1);
                self.lines[self.row].truncate(self.column);
            }
            _ => self.unknown.push(code.escape_debug().to_string()),
        }
    }

    /// How many rows of the screen are in use.
    #[must_use]
    pub fn height(&self) -> usize {
        self.lines.len()
    }

    /// What was shown: lines of characters, each with its style.
    #[must_use]
    pub fn lines(&self) -> &[Vec<(char, String)>] {
        let used = self.lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        &self.lines[..used]
    }

    /// What was shown, with `<STYLE>` before text in a style and `<>` behind it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            let mut style = "";
            for (c, new) in line {
                if new != style {
                    text += &if new.is_empty() { "<>".to_owned() } else { format!("<{new}>") };
                    style = new;
                }
                text.push(*c);
            }
            if !style.is_empty() {
                text += "<>";
            }
            text.push('\n');
        }
        text.trim_end_matches('\n').to_owned() + "\n"
    }
}
