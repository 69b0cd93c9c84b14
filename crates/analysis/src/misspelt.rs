//! Variables and parts of expressions that are probably misspelt.

use taut_expr::{Expr, MisspeltPart, MisspeltVariable};
use taut_syntax::{Diagnostic, quoted};
use taut_value::Str;

/// Warnings about probable misspellings: an unset variable is named almost like a set one, or an ignored key of a
/// construct almost like one of its parts.
pub(crate) fn warnings(expr: &Expr, declared: &[Str]) -> Vec<Diagnostic> {
    let found = expr.misspelt_variables(declared).into_iter();
    let warning = |MisspeltVariable { name, location, meant }: MisspeltVariable| {
        let message = format!("no variable {} is declared here, so it is always null", quoted(&name));
        Diagnostic::warning(message).reference("").at(location).suggest(Some(meant.as_str()))
    };
    let part = |MisspeltPart { construct, key, location, meant }: MisspeltPart| {
        let message = format!("{} is not part of {} and is ignored", quoted(&key), quoted(&construct));
        Diagnostic::warning(message).reference("").at(location).suggest(Some(meant))
    };
    found.map(warning).chain(expr.misspelt_parts().into_iter().map(part)).collect()
}
