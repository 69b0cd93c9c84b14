//! The trees of C sources.
//!
//! The definition in a header is part of the objects of all sources that include it, so that an edit of the header
//! changes them.

use super::{Graph, TARGETS_PER_MODULE, module};
use std::fmt::Write as _;
use taut_testkit::Rng;

impl Graph {
    /// Sources with a header each, and a header for each module; a source includes its own, its module's, and three to
    /// five others near to it, most of them in its module.
    pub(super) fn c(&mut self, files: usize) {
        let mut rng = Rng::new(files as u64);
        let mut main = String::from("#include <stdio.h>\n");
        let mut sum = String::new();
        for number in 0..files {
            let own = module(number);
            // One header that a whole module includes: an edit of it is the expensive case of real trees.
            let of_module = format!("{own}/module.h");
            if number % TARGETS_PER_MODULE == 0 {
                let text = format!(
                    "#ifndef MODULE_{own}\n#define MODULE_{own}\nstruct pair_{own} {{ int a, b; }};\n#endif\n"
                );
                self.sources.push((of_module.clone(), text));
            }
            let text = format!(
                "#ifndef H{number}\n#define H{number}\nenum {{ k{number} = {number} }};\nint g{number}(int);\n#endif\n"
            );
            self.sources.push((header(number), text));
            let mut seen = vec![number];
            let fan_in = (3 + rng.below(3)).min(number);
            while seen.len() < 1 + fan_in {
                // One of the last thirty: most dependencies are near, as in real trees.
                let other = number - 1 - rng.below(number.min(30));
                if !seen.contains(&other) {
                    seen.push(other);
                }
            }
            let path = format!("{own}/c{number}.c");
            self.sources.push((path.clone(), c_file(number, &own, &of_module, &seen)));
            let _ = writeln!(main, "int g{number}(int);");
            let _ = writeln!(sum, "  x += g{number}(x);");
            let sources = [path, of_module].into_iter().chain(seen.into_iter().map(header)).collect();
            self.push(Vec::new(), sources);
        }
        let _ = write!(main, "int main(void) {{\n  int x = 1;\n{sum}  printf(\"%d\\n\", x);\n}}\n");
        let path = format!("{}/main.c", module(files));
        self.sources.push((path.clone(), main));
        self.push(Vec::new(), vec![path]);
        self.push((0..=files).collect(), Vec::new());
    }

    /// Each header includes two of those before it, so that a source includes many indirectly.
    pub(super) fn headers(&mut self, files: usize) {
        let mut seen: Vec<Vec<usize>> = Vec::new();
        for number in 0..files {
            // The one before, through which all earlier ones are reached, and one that is so reached in two
            // ways.
            let below: Vec<usize> =
                [number.checked_sub(1), (number > 2).then_some(number / 2)].into_iter().flatten().collect();
            let includes: String = below.iter().map(|n| format!("#include \"{}\"\n", header(*n))).collect();
            let text = format!(
                "#ifndef H{number}\n#define H{number}\n{includes}static inline int f{number}(int x) {{ return x + {number}; }}\n#endif\n"
            );
            self.sources.push((header(number), text));
            let mut all: Vec<usize> = below.iter().flat_map(|n| seen[*n].clone()).chain([number]).collect();
            all.sort_unstable();
            all.dedup();
            let path = format!("{}/c{number}.c", module(number));
            let text = format!(
                "#include \"{}\"\nint g{number}(int x);\nint g{number}(int x) {{ return f{number}(x); }}\n",
                header(number)
            );
            self.sources.push((path.clone(), text));
            let sources = [path].into_iter().chain(all.iter().map(|n| header(*n))).collect();
            seen.push(all);
            self.push(Vec::new(), sources);
        }
        self.sum_of(0..files);
    }
}

/// The header of the source with this number.
fn header(number: usize) -> String {
    format!("{}/h{number}.h", module(number))
}

/// A source of some length, so that compiling it takes some time.
fn c_file(number: usize, own: &str, of_module: &str, seen: &[usize]) -> String {
    let mut text =
        format!("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include \"{of_module}\"\n");
    for other in seen {
        let _ = writeln!(text, "#include \"{}\"", header(*other));
    }
    // Functions that a compiler cannot drop, as their results are summed below.
    for part in 0..20 {
        let _ = writeln!(
            text,
            "static int p{part}(int n, const char *s) {{\n  int r = {part};\n  for (int i = 0; i < n; i++) \
             r = r * 31 + s[i % (int)(strlen(s) + 1)];\n  return r;\n}}"
        );
    }
    let calls: Vec<String> = (0..20).map(|part| format!("p{part}(n, \"{number}\")")).collect();
    let shown: Vec<String> = seen.iter().map(|other| format!("k{other}")).collect();
    let _ = writeln!(
        text,
        "int g{number}(int n) {{\n  struct pair_{own} s = {{n, {number}}};\n  \
         return s.a + s.b + {} + {};\n}}",
        shown.join(" + "),
        calls.join(" + ")
    );
    text
}
