//! A target as it is written into a targets file.

use std::fmt::Write as _;

use taut_value::quoted;

/// A proposed target.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    /// A rule in the box (module and name), or a built-in one.
    pub(crate) rule: Rule,
    // In the order in which they are written.
    pub(crate) fields: Vec<(&'static str, Field)>,
}

/// Which rule a target is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    InTheBox(&'static str, &'static str),
    BuiltIn(&'static str),
}

/// The value of a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    Texts(Vec<String>),
    Text(String),
    Map(Vec<(String, String)>),
    Pairs(Vec<(String, String)>),
}

impl Target {
    pub(crate) fn new(name: &str, rule: Rule) -> Target {
        let mut target = Target { name: name.to_owned(), rule, fields: Vec::new() };
        if let Rule::InTheBox(_, "test") = rule {
            // The rules of tests in the box require it.
            target = target.texts("tainted", ["test"]);
        }
        target
    }

    /// With a field; one without texts is left out.
    pub(crate) fn texts<T: Into<String>>(
        self,
        field: &'static str,
        texts: impl IntoIterator<Item = T>,
    ) -> Target {
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        if texts.is_empty() { self } else { self.with(field, Field::Texts(texts)) }
    }

    /// The libraries that it uses.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &String> {
        let fields = self.fields.iter().filter(|(field, _)| matches!(*field, "deps" | "private deps"));
        fields.flat_map(|(_, field)| match field {
            Field::Texts(texts) => texts.as_slice(),
            _ => &[],
        })
    }

    /// All texts in its fields.
    pub(crate) fn texts_of_all(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().flat_map(|(_, field)| -> Vec<&str> {
            match field {
                Field::Texts(texts) => texts.iter().map(String::as_str).collect(),
                Field::Text(text) => vec![text],
                Field::Map(pairs) | Field::Pairs(pairs) => {
                    pairs.iter().flat_map(|(a, b)| [a.as_str(), b.as_str()]).collect()
                }
            }
        })
    }

    pub(crate) fn with(mut self, field: &'static str, value: Field) -> Target {
        self.fields.push((field, value));
        self
    }
}

/// The lines are no longer than this, where their words allow it.
// As lines of this project's sources.
const WIDTH: usize = 110;

/// The text of a targets file.
pub(crate) fn targets_file(targets: &[Target]) -> String {
    let mut text = String::new();
    for (index, target) in targets.iter().enumerate() {
        let _ = write!(text, "{} {}:", if index == 0 { '{' } else { ',' }, quoted(&target.name));
        let parts = parts(target);
        // One line if the target fits there.
        let line = format!("  {{{}}}", parts.iter().map(Part::line).collect::<Vec<_>>().join(", "));
        if width(&line) <= WIDTH {
            let _ = writeln!(text, "\n{line}");
            continue;
        }
        text.push('\n');
        for (index, part) in parts.iter().enumerate() {
            part.write(if index == 0 { "  { " } else { "  , " }, &mut text);
        }
        text += "  }\n";
    }
    if targets.is_empty() { "{}\n".to_owned() } else { text + "}\n" }
}

/// A field as text: what is before its items, the items, and what is behind them.
struct Part {
    before: String,
    items: Vec<String>,
    after: &'static str,
}

impl Part {
    fn line(&self) -> String {
        format!("{}{}{}", self.before, self.items.join(", "), self.after)
    }

    /// One line if that is not too long; else the items are below, as many to a line as fit.
    fn write(&self, lead: &str, text: &mut String) {
        let line = format!("{lead}{}", self.line());
        if width(&line) <= WIDTH || self.items.len() < 2 {
            *text += &line;
            text.push('\n');
            return;
        }
        // The bracket of `before` opens the list on a line of its own.
        let (key, open) = self.before.split_at(self.before.len() - 1);
        let _ = writeln!(text, "{lead}{}", key.trim_end());
        let mut line = format!("    {open} {}", self.items[0]);
        for item in &self.items[1..] {
            if width(&line) + width(item) + 2 > WIDTH {
                let _ = writeln!(text, "{line}");
                line = format!("    , {item}");
            } else {
                line += ", ";
                line += item;
            }
        }
        let _ = writeln!(text, "{line}\n    {}", self.after);
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn parts(target: &Target) -> Vec<Part> {
    let whole = |before: String| Part { before, items: Vec::new(), after: "" };
    let rule = match target.rule {
        Rule::InTheBox(module, name) => {
            let words = ["@", "std", module, name].map(quoted);
            format!("[{}]", words.join(", "))
        }
        Rule::BuiltIn(name) => quoted(name),
    };
    let mut all = vec![whole(format!("\"type\": {rule}"))];
    for (field, value) in &target.fields {
        let key = format!("{}: ", quoted(field));
        let pair = |(a, b): &(String, String), between: &str| format!("{}{between}{}", quoted(a), quoted(b));
        all.push(match value {
            Field::Text(text) => whole(key + &quoted(text)),
            Field::Texts(texts) => {
                Part { before: key + "[", items: texts.iter().map(|text| quoted(text)).collect(), after: "]" }
            }
            Field::Map(entries) => Part {
                before: key + "{",
                items: entries.iter().map(|entry| pair(entry, ": ")).collect(),
                after: "}",
            },
            Field::Pairs(pairs) => Part {
                before: key + "[",
                items: pairs.iter().map(|two| format!("[{}]", pair(two, ", "))).collect(),
                after: "]",
            },
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_targets_is_laid_out_as_one_would_write_it() {
        let short =
            Target::new("a", Rule::InTheBox("cc", "test")).texts("srcs", ["a.c"]).texts("deps", [""; 0]);
        let sources = (0..12).map(|n| format!("source-number-{n}.c"));
        let long = Target::new("b \"c\"", Rule::BuiltIn("install"))
            .texts("srcs", sources)
            .with("files", Field::Map(vec![("bin/a".into(), "a".into())]))
            .with("dirs", Field::Pairs(vec![("a".into(), "lib".into())]));
        assert_eq!(
            targets_file(&[short, long]),
            r#"{ "a":
  {"type": ["@", "std", "cc", "test"], "tainted": ["test"], "srcs": ["a.c"]}
, "b \"c\"":
  { "type": "install"
  , "srcs":
    [ "source-number-0.c", "source-number-1.c", "source-number-2.c", "source-number-3.c", "source-number-4.c"
    , "source-number-5.c", "source-number-6.c", "source-number-7.c", "source-number-8.c", "source-number-9.c"
    , "source-number-10.c", "source-number-11.c"
    ]
  , "files": {"bin/a": "a"}
  , "dirs": [["a", "lib"]]
  }
}
"#
        );
        assert_eq!(targets_file(&[]), "{}\n");
    }
}
