//! Conditions of `#if`, as far as they can be known without a compiler: yes, no, or perhaps.
//!
//! A macro that no file of the tree defines is not defined, since users begin with a plain build. What the compiler
//! says of itself is known for the machines that taut runs on; what differs among these is unknown.

use std::collections::BTreeSet;

/// The value of a condition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
// In this order: "and" is the least, "or" the greatest (Kleene's three values).
pub(crate) enum Truth {
    No,
    Perhaps,
    Yes,
}

impl Truth {
    pub(crate) fn and(self, other: Truth) -> Truth {
        self.min(other)
    }

    pub(crate) fn or(self, other: Truth) -> Truth {
        self.max(other)
    }

    pub(crate) fn not(self) -> Truth {
        match self {
            Truth::No => Truth::Yes,
            Truth::Perhaps => Truth::Perhaps,
            Truth::Yes => Truth::No,
        }
    }
}

/// What is known about macros.
pub(crate) struct Macros<'m> {
    /// The macros that a file of the tree defines.
    pub(crate) defined: &'m BTreeSet<String>,
    /// The macros that the build surely defines as 1.
    pub(crate) passed: &'m BTreeSet<String>,
    /// Whether the text is C++, where that is certain.
    pub(crate) is_cxx: Option<bool>,
}

/// What compilers for Linux define, and what is defined elsewhere only.
const DEFINED_ON_LINUX: [&str; 7] =
    ["__linux__", "__linux", "__unix__", "__unix", "__GNUC__", "__STDC__", "__ELF__"];
const DEFINED_ELSEWHERE: [&str; 12] = [
    "__APPLE__",
    "__CYGWIN__",
    "__FreeBSD__",
    "__MINGW32__",
    "__NetBSD__",
    "__OpenBSD__",
    "__sun",
    "__ANDROID__",
    "__EMSCRIPTEN__",
    "__HAIKU__",
    "__BORLANDC__",
    "__DragonFly__",
];

impl Macros<'_> {
    /// Whether a macro is defined.
    pub(crate) fn is_defined(&self, name: &str) -> Truth {
        if name == "__cplusplus" {
            return match self.is_cxx {
                Some(true) => Truth::Yes,
                Some(false) => Truth::No,
                None => Truth::Perhaps,
            };
        }
        if DEFINED_ON_LINUX.contains(&name) || self.passed.contains(name) {
            return Truth::Yes;
        }
        if self.defined.contains(name) {
            return Truth::Perhaps;
        }
        // The targets that are proposed are for Linux, so what only other systems define is surely not defined.
        let is_elsewhere =
            DEFINED_ELSEWHERE.contains(&name) || name.starts_with("_WIN") || name.starts_with("_MSC");
        // Two underscores: a compiler may define it, or a header of the system.
        if !is_elsewhere && (name.starts_with("__") || name == "NDEBUG") { Truth::Perhaps } else { Truth::No }
    }

    /// The value of an expression.
    pub(crate) fn value_of(&self, expression: &str) -> Truth {
        match evaluate(&words(expression), self) {
            Some(Some(0)) => Truth::No,
            Some(Some(_)) => Truth::Yes,
            _ => Truth::Perhaps,
        }
    }

    /// The number that a name has as its value; nothing if that is unknown.
    fn number_of(&self, name: &str) -> Option<i64> {
        match (name, self.is_defined(name)) {
            // Keywords in C++ and C23, and macros of `stdbool.h` before.
            ("true", _) => Some(1),
            ("false", _) | (_, Truth::No) => Some(0),
            // Its value differs from compiler to compiler.
            ("__GNUC__" | "__cplusplus" | "__STDC_VERSION__", _) => None,
            (_, Truth::Yes) => Some(1),
            (_, Truth::Perhaps) => None,
        }
    }
}

/// Names, numbers, and operators of one or two characters.
fn words(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '\'';
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if ["&&", "||", "==", "!=", "<=", ">="].iter().any(|two| rest.starts_with(two)) {
            2
        } else {
            first.len_utf8()
        };
        all.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    all
}

/// How tightly an operator of two operands binds.
// The precedences of C (6.5), of the operators that are usual in `#if`. An expression with another one is unknown.
fn binding(operator: &str) -> Option<u8> {
    Some(match operator {
        "||" => 1,
        "&&" => 2,
        "==" | "!=" => 3,
        "<" | ">" | "<=" | ">=" => 4,
        "+" | "-" => 5,
        _ => return None,
    })
}

fn applied(operator: &str, a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (operator, a, b) {
        // One operand may decide alone, also if the other one is unknown.
        ("||", Some(x), _) | ("||", _, Some(x)) if x != 0 => return Some(1),
        ("&&", Some(0), _) | ("&&", _, Some(0)) => return Some(0),
        _ => {}
    }
    let (a, b) = (a?, b?);
    Some(match operator {
        "||" => i64::from(a != 0 || b != 0),
        "&&" => i64::from(a != 0 && b != 0),
        "==" => i64::from(a == b),
        "!=" => i64::from(a != b),
        "<" => i64::from(a < b),
        ">" => i64::from(a > b),
        "<=" => i64::from(a <= b),
        ">=" => i64::from(a >= b),
        // An overflow is unknown, not wrapped: the preprocessor's number may be unsigned.
        "+" => a.checked_add(b)?,
        "-" => a.checked_sub(b)?,
        _ => return None,
    })
}

/// The value, which may be unknown; nothing if the text is not an expression, or one with operators that are not known
/// here.
// Dijkstra's shunting-yard algorithm, with values in place of output.
fn evaluate(words: &[&str], macros: &Macros<'_>) -> Option<Option<i64>> {
    // Two stacks in place of recursion: the text may be nested to any depth.
    let (mut values, mut operators): (Vec<Option<i64>>, Vec<&str>) = (Vec::new(), Vec::new());
    // Whether an operand comes next.
    let mut is_operand = true;
    let mut rest = words.iter().copied().peekable();
    while let Some(word) = rest.next() {
        match word {
            "!" | "(" if is_operand => operators.push(word),
            ")" if !is_operand => {
                while *operators.last()? != "(" {
                    reduce(&mut values, &mut operators)?;
                }
                operators.pop();
                negate(&mut values, &mut operators)?;
            }
            "defined" if is_operand => {
                let in_brackets = rest.next_if_eq(&"(").is_some();
                let name = rest.next()?;
                if in_brackets {
                    rest.next_if_eq(&")")?;
                }
                values.push(match macros.is_defined(name) {
                    Truth::Yes => Some(1),
                    Truth::No => Some(0),
                    Truth::Perhaps => None,
                });
                negate(&mut values, &mut operators)?;
                is_operand = false;
            }
            _ if is_operand => {
                values.push(operand(word, macros)?);
                // What looks like a call of a macro is unknown as a whole.
                if rest.peek() == Some(&"(") {
                    return None;
                }
                negate(&mut values, &mut operators)?;
                is_operand = false;
            }
            _ => {
                let own = binding(word)?;
                while operators.last().and_then(|last| binding(last)).is_some_and(|last| last >= own) {
                    reduce(&mut values, &mut operators)?;
                }
                operators.push(word);
                is_operand = true;
            }
        }
    }
    while !operators.is_empty() {
        reduce(&mut values, &mut operators)?;
    }
    match values.as_slice() {
        [value] if !is_operand => Some(*value),
        _ => None,
    }
}

/// Applies the last operator of two operands.
fn reduce(values: &mut Vec<Option<i64>>, operators: &mut Vec<&str>) -> Option<()> {
    let operator = operators.pop()?;
    binding(operator)?;
    let (b, a) = (values.pop()?, values.pop()?);
    values.push(applied(operator, a, b));
    Some(())
}

/// Applies what negates the operand that was just read.
fn negate(values: &mut [Option<i64>], operators: &mut Vec<&str>) -> Option<()> {
    while operators.last() == Some(&"!") {
        operators.pop();
        let last = values.last_mut()?;
        *last = last.map(|value| i64::from(value == 0));
    }
    Some(())
}

/// The value of a number or name.
fn operand(word: &str, macros: &Macros<'_>) -> Option<Option<i64>> {
    let first = word.chars().next()?;
    if !first.is_ascii_digit() {
        return (first.is_alphabetic() || first == '_').then(|| macros.number_of(word));
    }
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']).replace('\'', "");
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };
    Some(value.ok())
}

#[cfg(test)]
mod tests {
    use super::{Truth::*, *};

    #[test]
    fn conditions_are_evaluated_as_far_as_they_are_known() {
        let defined = BTreeSet::from(["HAVE_X".to_owned()]);
        let passed = BTreeSet::from(["HAVE_CONFIG_H".to_owned()]);
        let macros = Macros { defined: &defined, passed: &passed, is_cxx: Some(false) };
        for (expression, expected) in [
            ("0", No),
            ("1", Yes),
            ("0x10 > 15UL && 1", Yes),
            ("defined(__linux__) && !defined _WIN32", Yes),
            ("defined(TEST_MAIN)", No),
            ("defined(HAVE_X) || 1", Yes),
            ("defined(HAVE_X) && 1", Perhaps),
            ("!(defined(HAVE_X) && 0)", Yes),
            ("HAVE_X >= 3", Perhaps),
            ("MISSING >= 3", No),
            ("HAVE_CONFIG_H", Yes),
            ("defined HAVE_CONFIG_H && HAVE_CONFIG_H == 1", Yes),
            ("__GNUC__ > 4", Perhaps),
            ("__cplusplus", No),
            ("1 ? 2 : 3", Perhaps),
            ("__has_include(<x.h>)", Perhaps),
            ("", Perhaps),
            ("(1", Perhaps),
            ("1)", Perhaps),
            ("! !1 == 1", Yes),
            ("9223372036854775807 + 1", Perhaps),
        ] {
            assert_eq!(macros.value_of(expression), expected, "{expression}");
        }
        assert_eq!(macros.value_of(&"!(".repeat(100_000)), Perhaps);
    }
}
