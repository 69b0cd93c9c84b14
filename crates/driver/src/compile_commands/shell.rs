//! Reads a shell script as the commands that it runs, as far as that can be known without running it.
//!
//! Known are quotes, variables that the environment, the call or the script itself sets, `cd`, subshells and loops over
//! words. Whatever else decides what a word becomes (output of commands, files, conditions) makes the word *unknown*,
//! never wrong: what reads the commands can then say so. Of conditions both branches count, since either may compile.

use std::collections::BTreeMap;

mod tokens;

use tokens::{Piece, Token, tokens};

/// A word of a command, after expansion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Word {
    /// Its text; of an unknown word what is known of it.
    pub(super) text: String,
    /// Whether this is all of it.
    pub(super) is_known: bool,
    /// Whether it has a `*` or `?` that matches other characters.
    pub(super) is_pattern: bool,
}

impl Word {
    pub(super) fn known(text: &str) -> Word {
        Word { text: text.to_owned(), is_known: true, is_pattern: false }
    }
}

/// A command without anything that a shell treats in a special way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Command {
    /// The directory in which it runs, relative to the one in which the script begins; `None` if that is not known.
    pub(super) directory: Option<String>,
    pub(super) words: Vec<Word>,
}

/// The variables that a script begins with.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    pub(super) variables: BTreeMap<String, String>,
    /// Whether there are no others.
    pub(super) is_whole: bool,
}

/// The commands of a script, in order. `arguments`: what `$0`, `$1` and so on are.
pub(super) fn commands(
    script: &str,
    directory: Option<String>,
    environment: &Environment,
    arguments: &[Word],
) -> Vec<Command> {
    let all = tokens(script);
    let variables = environment.variables.iter().map(|(name, text)| (name.clone(), Some(text.clone())));
    let scope = Scope {
        variables: variables.collect(),
        arguments: Some(arguments.to_vec()),
        directory,
        is_closed: environment.is_whole,
    };
    let mut reader = Reader { scope, found: Vec::new(), depth: 0, nesting: 0 };
    reader.read(&all);
    reader.found
}

#[derive(Clone)]
struct Scope {
    /// The variables that are set; without a text if the value is not known.
    variables: BTreeMap<String, Option<String>>,
    /// None if they are not known.
    arguments: Option<Vec<Word>>,
    directory: Option<String>,
    /// Whether a variable that is not in `variables` is not set.
    is_closed: bool,
}

struct Reader {
    scope: Scope,
    found: Vec<Command>,
    /// How many conditions and loops are around what is read: it may not be run.
    depth: usize,
    /// How many loops are written out around what is read.
    nesting: usize,
}

/// More are taken for unknown: a script is data, and loops in loops multiply.
const MAX_ROUNDS: usize = 1000;
const MAX_NESTING: usize = 3;

impl Reader {
    fn read(&mut self, all: &[Token]) {
        let mut place = 0;
        // The scopes outside of the subshells around.
        let mut outer: Vec<Scope> = Vec::new();
        let (mut is_alternative, mut was_test) = (false, false);
        while place < all.len() {
            match &all[place] {
                // What a subshell sets or where it goes is forgotten behind its bracket.
                Token::Operator("(") => outer.push(self.scope.clone()),
                Token::Operator(")") => {
                    // A bracket that closes none is one of a pattern of `case`.
                    if let Some(scope) = outer.pop() {
                        self.scope = scope;
                    }
                }
                // The patterns of the next case.
                Token::Operator(";;") => {
                    place = all[place..]
                        .iter()
                        .position(|token| *token == Token::Operator(")") || token.plain() == Some("esac"))
                        .map_or(all.len(), |length| place + length);
                    place += usize::from(all.get(place) == Some(&Token::Operator(")")));
                    continue;
                }
                // What follows a test is run only if that says so.
                Token::Operator("&&") => is_alternative |= was_test,
                Token::Operator(operator) => is_alternative = *operator == "||",
                Token::Word(_) => {
                    let end = all[place..].iter().position(|token| matches!(token, Token::Operator(_)));
                    let end = end.map_or(all.len(), |length| place + length);
                    if let Some(next) = self.structure(all, place, end) {
                        place = next;
                        continue;
                    }
                    was_test = matches!(all[place].plain(), Some("[" | "[[" | "test"));
                    self.depth += usize::from(is_alternative);
                    self.simple(&all[place..end]);
                    self.depth -= usize::from(is_alternative);
                    place = end;
                    continue;
                }
            }
            place += 1;
        }
    }

    /// A word that begins or ends a condition, a loop or a group. Gives the place behind what was read.
    fn structure(&mut self, all: &[Token], place: usize, end: usize) -> Option<usize> {
        match all[place].plain()? {
            // How often a loop runs, or which branch, is not known: what it assigns is unknown afterwards.
            "if" | "while" | "until" | "case" => self.depth += 1,
            "fi" | "esac" => self.depth = self.depth.saturating_sub(1),
            "done" => self.depth = self.depth.saturating_sub(1),
            "for" => return self.loop_over(all, place, end),
            "then" | "elif" | "else" | "do" | "{" | "}" | "!" | "time" => {}
            // The parts of a function are known only where it is called.
            "function" => {
                self.scope.arguments = None;
                return Some((place + 2).min(end));
            }
            _ if matches!(all.get(place + 1), Some(Token::Operator("(")))
                && matches!(all.get(place + 2), Some(Token::Operator(")"))) =>
            {
                self.scope.arguments = None;
                return Some(place + 3);
            }
            _ => return None,
        }
        if all[place].plain() == Some("case") {
            // `case WORD in PATTERN)`: what is behind are commands again.
            let close = all[place..].iter().position(|token| *token == Token::Operator(")"));
            return Some(close.map_or(all.len(), |length| place + length + 1));
        }
        Some(place + 1)
    }

    /// `for NAME in WORDS; do …; done`: the commands in it, for each of the words.
    fn loop_over(&mut self, all: &[Token], place: usize, end: usize) -> Option<usize> {
        let name = all.get(place + 1)?.plain()?.to_owned();
        let body = (end..all.len()).find(|at| all[*at].plain() == Some("do"))? + 1;
        let mut open = 1;
        // A word such as `done` ends the loop only where a command may begin; as an argument it is
        // a plain word.
        let close = (body..all.len()).find(|at| {
            let begins_command = matches!(all[at - 1], Token::Operator(_))
                || all[at - 1].plain().is_some_and(|word| matches!(word, "do" | "then" | "else" | "{"));
            match all[*at].plain() {
                Some("for" | "while" | "until") if begins_command => open += 1,
                Some("done") if begins_command => open -= 1,
                _ => {}
            }
            open == 0
        })?;
        let is_in = all.get(place + 2).and_then(Token::plain) == Some("in");
        let words = match is_in {
            true => all[place + 3..end].iter().flat_map(|word| self.expanded(word)).collect(),
            false => self.scope.arguments.clone().map_or_else(
                || vec![Word { is_known: false, ..Word::known("") }],
                |all| all.into_iter().skip(1).collect(),
            ),
        };
        // Otherwise the body is read once, with an unknown value of the variable.
        let is_known = words.iter().all(|word| word.is_known && !word.is_pattern)
            && words.len() <= MAX_ROUNDS
            && self.nesting < MAX_NESTING;
        self.nesting += 1;
        match is_known {
            true => {
                for word in words {
                    self.scope.variables.insert(name.clone(), Some(word.text));
                    self.read(&all[body..close]);
                }
            }
            false => {
                self.scope.variables.insert(name, None);
                self.depth += 1;
                self.read(&all[body..close]);
                self.depth -= 1;
            }
        }
        self.nesting -= 1;
        Some(close + 1)
    }

    fn simple(&mut self, tokens: &[Token]) {
        let mut first = 0;
        let mut assigned: Vec<(String, Option<String>)> = Vec::new();
        while let Some((name, value)) = tokens.get(first).and_then(Token::assignment) {
            assigned.push((name, self.joined(&value)));
            first += 1;
        }
        let words: Vec<Word> = tokens[first..].iter().flat_map(|token| self.expanded(token)).collect();
        let Some(program) = words.first() else {
            assigned.into_iter().for_each(|(name, value)| self.assign(name, value));
            return;
        };
        match &*program.text {
            "cd" => self.change_directory(&words[1..]),
            "export" | "readonly" | "local" | "declare" => {
                // As it is written: most shells do not divide the value of an assignment into words, even here.
                for token in &tokens[first + 1..] {
                    if let Some((name, value)) = token.assignment() {
                        let value = self.joined(&value);
                        self.assign(name, value);
                    }
                }
            }
            "set" => {
                if let Some(end) = words.iter().position(|word| word.text == "--") {
                    let name = self.scope.arguments.as_ref().and_then(|all| all.first()).cloned();
                    let name = name.unwrap_or_else(|| Word::known("sh"));
                    // `$0` stays: `set` replaces the arguments behind it.
                    let all = [&[name], &words[end + 1..]].concat();
                    self.scope.arguments = (self.depth == 0).then_some(all);
                }
            }
            "shift" => match (&mut self.scope.arguments, self.depth, words.len()) {
                (Some(all), 0, 1) if all.len() > 1 => drop(all.remove(1)),
                // Within a condition it may not be run; more than one argument at a time is rare.
                (all, ..) => *all = None,
            },
            // What they set is known only when they run.
            "." | "source" | "eval" | "read" | "getopts" | "unset" => {
                self.scope.is_closed = false;
                if matches!(&*program.text, "read" | "getopts" | "unset") {
                    for word in &words[1..] {
                        self.scope.variables.insert(word.text.clone(), None);
                    }
                } else {
                    self.scope.variables.values_mut().for_each(|value| *value = None);
                }
            }
            _ => self.found.push(Command { directory: self.scope.directory.clone(), words }),
        }
    }

    fn assign(&mut self, name: String, value: Option<String>) {
        // Within a condition it may not be executed, so afterwards the variable may have either value.
        let value = value.filter(|_| self.depth == 0);
        self.scope.variables.insert(name, value);
    }

    fn change_directory(&mut self, words: &[Word]) {
        // `cd` alone goes home, which an action does not have; with options it is rare in build scripts.
        let [word] = words else {
            self.scope.directory = None;
            return;
        };
        let is_known = word.is_known && !word.is_pattern && self.depth == 0;
        let below = self.scope.directory.as_ref().filter(|_| is_known);
        self.scope.directory = below.map(|directory| match word.text.starts_with('/') {
            true => word.text.clone(),
            false => crate::join(directory, &word.text),
        });
    }

    /// The text of a variable or an argument; nothing if it is not known.
    fn value(&self, name: &str) -> Option<String> {
        // Paths of the action are relative here, so the current directory is `.`, wherever that is.
        if name == "PWD" {
            return Some(".".to_owned());
        }
        if let Ok(number) = name.parse::<usize>() {
            let all = self.scope.arguments.as_ref()?;
            return match all.get(number) {
                Some(word) => word.is_known.then(|| word.text.clone()),
                None => Some(String::new()),
            };
        }
        match self.scope.variables.get(name) {
            Some(value) => value.clone(),
            // In an environment that is known as a whole a variable that is not set is empty; `$?` and the like never
            // are.
            None if self.scope.is_closed && name.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                Some(String::new())
            }
            None => None,
        }
    }

    fn piece(&self, piece: &Piece) -> Option<String> {
        match piece {
            Piece::Text { text, .. } => Some(text.clone()),
            Piece::Variable { name, change, .. } => change.apply(self.value(name)),
            Piece::Arguments { .. } => {
                let all = self.scope.arguments.as_ref()?;
                let known = all.iter().skip(1).all(|word| word.is_known);
                known.then(|| all.iter().skip(1).map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "))
            }
            Piece::Unknown => None,
        }
    }

    /// What a variable becomes that is set to a word.
    fn joined(&self, pieces: &[Piece]) -> Option<String> {
        pieces.iter().map(|piece| self.piece(piece)).collect()
    }

    /// The words that a word becomes.
    fn expanded(&self, token: &Token) -> Vec<Word> {
        let Token::Word(pieces) = token else { return Vec::new() };
        // `"$@"`: each argument becomes a word, unchanged, blanks included.
        if let [Piece::Arguments { is_quoted: true }] = &pieces[..]
            && let Some(all) = &self.scope.arguments
        {
            return all.iter().skip(1).cloned().collect();
        }
        let mut done: Vec<Word> = Vec::new();
        let mut word: Option<Word> = None;
        for piece in pieces {
            let text = self.piece(piece);
            if piece.is_split() && text.is_some() {
                let text = text.unwrap_or_default();
                let mut parts = text.split_whitespace().peekable();
                // A blank at the edge of the value divides it from what the word has before it.
                if text.starts_with(char::is_whitespace) {
                    done.extend(word.take());
                }
                while let Some(part) = parts.next() {
                    let begun = word.get_or_insert_with(|| Word::known(""));
                    begun.text += part;
                    begun.is_pattern |= part.contains(['*', '?']);
                    if parts.peek().is_some() {
                        done.extend(word.take());
                    }
                }
                if text.ends_with(char::is_whitespace) {
                    done.extend(word.take());
                }
                continue;
            }
            let begun = word.get_or_insert_with(|| Word::known(""));
            begun.is_known &= text.is_some();
            begun.text += &text.unwrap_or_default();
            begun.is_pattern |= piece.is_pattern();
        }
        done.extend(word);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands as lines: the directory, if it is another one, then the words; unknown ones in angle brackets,
    /// patterns in braces.
    fn read(script: &str, arguments: &[&str]) -> Vec<String> {
        let variables = [("CC".to_owned(), "cc -pipe".to_owned())].into();
        let environment = Environment { variables, is_whole: true };
        let arguments: Vec<Word> = arguments.iter().map(|word| Word::known(word)).collect();
        let shown = |word: &Word| match (word.is_known, word.is_pattern) {
            (true, false) => word.text.clone(),
            (true, true) => format!("{{{}}}", word.text),
            (false, _) => format!("<{}>", word.text),
        };
        commands(script, Some(".".to_owned()), &environment, &arguments)
            .iter()
            .map(|command| {
                let words: Vec<String> = command.words.iter().map(shown).collect();
                let directory = command.directory.as_deref().unwrap_or("?");
                let directory = taut_value::path::normal_path(directory);
                let place = if directory == "." { String::new() } else { format!("{directory}: ") };
                place + &words.join(" ")
            })
            .collect()
    }

    #[track_caller]
    fn check(script: &str, expected: &[&str]) {
        assert_eq!(read(script, &["sh", "one", "two 2"]), expected, "{script}");
    }

    #[test]
    fn commands_are_separated_and_redirections_are_no_words() {
        check("a b && c; d | e\nf & g || h", &["a b", "c", "d", "e", "f", "g", "h"]);
        check("a >out 2>&1 <in b >> more 2>/dev/null", &["a b"]);
        check("a \\\n  b # not c\n# d\n", &["a b"]);
        check("cat <<END > x.c\ncc -c no.c\nEND\ncc -c x.c", &["cat", "cc -c x.c"]);
    }

    #[test]
    fn quotes_and_variables_become_what_they_become_in_a_shell() {
        check("a 'b c' \"d e\" f\\ g '' \"\"", &["a b c d e f g  "]);
        check("$CC -c \"$1\" -o ${2}.o $3 \"$CC\"", &["cc -pipe -c one -o two 2.o cc -pipe"]);
        check("F='-O2 -g'; cc $F \"$@\"; x $*", &["cc -O2 -g one two 2", "x one two 2"]);
        check("export A=1 B=\"x y\"; a -D$A -D\"$B\" -D'$A'", &["a -D1 -Dx y -D$A"]);
        check("A=1 b $A", &["b"]);
        check("f=d/a.c; a ${f%.c}.o ${f##*/} ${N:-none} ${f#d/}", &["a d/a.o a.c none a.c"]);
        check("a -I$PWD/i -I$(pwd)/j `pwd`", &["a -I./i -I./j ."]);
        check("a \"*.c\" *.c", &["a *.c {*.c}"]);
    }

    #[test]
    fn what_is_known_only_when_it_runs_is_unknown() {
        check("a $(b c) x`d`y $((1 + 2)) $? ${x:?no} z", &["a <> <xy> <> <> <> z"]);
        check("if t; then F=-O1; else F=-O2; fi; a $F", &["t", "a <>"]);
        check("[ -n \"$1\" ] || F=-O1; a $F", &["[ -n one ]", "a <>"]);
        check("test -e x && F=-O1; cd d && G=1; a $F $G", &["test -e x", "d: a <> 1"]);
        check(". ./settings; a $F $CC", &["a <> <>"]);
        check("read F; a $F", &["a <>"]);
        check("f() { cc -c $1; }; f a.c", &["cc -c <>", "f a.c"]);
    }

    #[test]
    fn directories_are_followed() {
        check("cd d && a; cd e; b; cd ..; c", &["d: a", "d/e: b", "d: c"]);
        check("(cd d; a); b", &["d: a", "b"]);
        check("cd $(x); a", &["?: a"]);
        check("if t; then cd d; fi; a", &["t", "?: a"]);
    }

    #[test]
    fn loops_over_words_are_written_out() {
        check(
            "for f in a b; do cc -c $f.c; for g in 1 2; do x $f$g; done; done; y",
            &["cc -c a.c", "x a1", "x a2", "cc -c b.c", "x b1", "x b2", "y"],
        );
        check("for f; do a \"$f\"; done", &["a one", "a two 2"]);
        check("for f in *.c; do a $f; done", &["a <>"]);
        check("while t; do a; done; F=1; b $F", &["t", "a", "b 1"]);
        check("case $1 in x) a;; *) b;; esac; c", &["a", "b", "c"]);
    }

    #[test]
    fn odd_scripts_end() {
        for script in
            ["'", "\"$", "${", "$(", "`", "for", "for x in", "<<", "((", "a() ", "\\", "for x in a; do"]
        {
            let _ = read(script, &[]);
        }
    }
}
