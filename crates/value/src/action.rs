//! The definition of an action, which is also its identity.

use std::{sync::OnceLock, time::Duration};

use crate::{Id, JsonWriter, Map, Str, Value};

/// A command with everything that determines what it does: inputs, outputs, environment, and how it
/// may fail and be cached. All paths are normalised and have been checked for conflicts.
#[derive(Debug, Default)]
pub struct ActionDescription {
    /// Output files: sorted, unique.
    pub outs: Vec<Str>,
    /// Output directories: sorted, unique, disjoint from the files.
    pub out_dirs: Vec<Str>,
    /// The command line, not empty.
    pub command: Vec<Str>,
    /// Working directory below the action's root; "" for the root itself.
    pub cwd: Str,
    /// The variables; the action's environment has no others.
    pub env: Map,
    /// The message for a failure that does not fail the build; `None` if a failure does.
    pub may_fail: Option<Str>,
    /// Whether the action runs in each build.
    pub no_cache: bool,
    /// Factor on the time limit; 1 by default.
    pub timeout_scale: f64,
    /// Properties that the executing platform must have: name to text.
    pub execution_properties: Map,
    /// Path to artifact.
    pub inputs: Map,
    id: OnceLock<Id>,
}

impl ActionDescription {
    /// The action with an id that was computed before: it must be the id of this action.
    pub(crate) fn with_id(self, id: Id) -> ActionDescription {
        // This cannot fail: a new description has no id yet.
        let _ = self.id.set(id);
        self
    }

    /// How long it may run where `limit` is the configured time limit.
    pub fn time_limit(&self, limit: Duration) -> Duration {
        // A description may compute any number. Infinity times zero is not a number, and changes nothing.
        // A second times 1e9 is 31 years: a larger factor would change nothing but the range of the product.
        let scale = if self.timeout_scale.is_nan() { 1.0 } else { self.timeout_scale.clamp(0.0, 1e9) };
        Duration::try_from_secs_f64(limit.as_secs_f64() * scale).unwrap_or(Duration::MAX)
    }

    /// The action's id: SHA-256 over the parts in a fixed order. The recipe is that of the reference: `"ACTION:"`,
    /// outputs, output directories, command, `[cwd]`, the environment's id, the failure message if any, `N` for not
    /// cached or `Y`, the time factor as C prints it with `%+24a`, but what is not finite at the left, the ids of the
    /// execution properties and of the inputs. A list of texts is hashed as the concatenation of the hashes of its
    /// items.
    pub fn id(&self) -> Id {
        *self.id.get_or_init(|| {
            let texts = |texts: &[Str]| {
                // Ids have one length, so lists that are divided differently have different hashes.
                let ids: Vec<[u8; 32]> = texts.iter().map(|text| Id::of(text.as_str()).0).collect();
                Id::of(ids.as_flattened())
            };
            // The usual factor, which is expensive to format.
            let scale = match self.timeout_scale {
                1.0 => format!("{:>24}", "+0x1p+0"),
                finite if finite.is_finite() => format!("{:>24}", hex_float(finite)),
                infinite if infinite > 0.0 => format!("{:<24}", "+inf"),
                infinite if infinite < 0.0 => format!("{:<24}", "-inf"),
                // With the sign that infinity times zero has on most processors.
                _ => format!("{:<24}", "-nan"),
            };
            let pieces = [
                b"ACTION:".as_slice(),
                &texts(&self.outs).0,
                &texts(&self.out_dirs).0,
                &texts(&self.command).0,
                &texts(std::slice::from_ref(&self.cwd)).0,
                &self.env.id().0,
                &texts(self.may_fail.as_slice()).0,
                if self.no_cache { b"N" } else { b"Y" },
                scale.as_bytes(),
                &self.execution_properties.id().0,
                &self.inputs.id().0,
            ];
            Id::of(pieces.concat())
        })
    }

    /// Writes the fields that dumps and graph files have, without the surrounding object, in sorted order; `origins` is
    /// called to add that key, which sorts between `no_cache` and `output`.
    pub fn write_fields(&self, w: &mut JsonWriter, origins: impl FnOnce(&mut JsonWriter)) {
        use crate::JsonMode::All;
        // Fields with default values are left out, as the reference does; a graph is compared with its output byte for
        // byte.
        w.key("command").strings(&self.command);
        if !self.cwd.is_empty() {
            w.key("cwd").string(&self.cwd);
        }
        if !self.env.is_empty() {
            w.key("env").value(&Value::Map(self.env.clone()), All);
        }
        if !self.execution_properties.is_empty() {
            w.key("execution properties").value(&Value::Map(self.execution_properties.clone()), All);
        }
        if !self.inputs.is_empty() {
            w.key("input").value(&Value::Map(self.inputs.clone()), All);
        }
        if let Some(message) = &self.may_fail {
            w.key("may_fail").string(message);
        }
        if self.no_cache {
            w.key("no_cache").bool(true);
        }
        origins(w);
        if !self.outs.is_empty() {
            w.key("output").strings(&self.outs);
        }
        if !self.out_dirs.is_empty() {
            w.key("output_dirs").strings(&self.out_dirs);
        }
        if self.timeout_scale != 1.0 {
            w.key("timeout scaling").number(self.timeout_scale);
        }
    }
}

/// A finite double as C's `%+a` prints it: sign, `0x1.`, the mantissa without trailing zeros, binary exponent; but the
/// exponent of zero is that of the smallest numbers, as in the reference.
fn hex_float(number: f64) -> String {
    let sign = if number.is_sign_negative() { '-' } else { '+' };
    let bits = number.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    // IEEE 754 binary64: a sign, eleven bits of exponent, 52 of fraction.
    let biased = (bits >> 52 & 0x7ff) as i32;
    let (lead, exponent) = match (biased, fraction) {
        // Subnormal numbers and zero have no implicit leading bit.
        (0, _) => (0, -1022),
        _ => (1, biased - 1023),
    };
    let digits = format!("{fraction:013x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("{sign}0x{lead}{point}{digits}p{exponent:+}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_factors_print_as_in_c() {
        for (number, text) in
            [(1.0, "+0x1p+0"), (2.5, "+0x1.4p+1"), (0.1, "+0x1.999999999999ap-4"), (0.0, "+0x0p-1022")]
        {
            assert_eq!(hex_float(number), text);
        }
    }

    #[test]
    fn time_limits_are_scaled_by_any_factor() {
        let limit = |scale, seconds| {
            let action = ActionDescription { timeout_scale: scale, ..ActionDescription::default() };
            action.time_limit(Duration::from_secs(seconds))
        };
        assert_eq!(limit(2.5, 2), Duration::from_secs(5));
        assert_eq!(limit(-1.0, 2), Duration::ZERO);
        assert_eq!(limit(f64::INFINITY, 1), Duration::from_secs(1_000_000_000));
        assert_eq!(limit(f64::NAN, 2), Duration::from_secs(2));
        assert_eq!(limit(1.0, u64::MAX), Duration::MAX);
        assert_eq!(limit(f64::INFINITY, u64::MAX), Duration::MAX);
    }

    /// The second seed's example.
    #[test]
    fn ids_equal_those_of_the_reference() {
        let action = |cmd: &str, out: &str, inputs: Map| ActionDescription {
            outs: vec![out.into()],
            command: vec!["sh".into(), "-c".into(), format!("{cmd}\n").into()],
            timeout_scale: 1.0,
            inputs,
            ..Default::default()
        };
        let upper = |cmd| {
            let id = action(cmd, "out.txt", Map::default()).id();
            let output = Value::artifact(crate::Artifact::Action { id, path: "out.txt".into() });
            let inputs = [("out.txt", output)].into_iter().collect();
            action("cat out.txt | tr a-z A-Z > upper.txt", "upper.txt", inputs).id().to_hex()
        };
        assert_eq!(
            upper("echo Hello World > out.txt"),
            "fe5038f3ef061ea10f1df79bbfb6268e21737984732e5aaaa2a5e567f6522ff3"
        );
        let scaled = |timeout_scale| {
            ActionDescription { timeout_scale, ..action("echo a > a", "a", Map::default()) }.id().to_hex()
        };
        for (scale, id) in [
            (1e300, "f433713a9bf48b75452e3084cd1727f4da849be1784a47d9cb828fc41fbf0951"),
            (f64::INFINITY, "17a876d142acdb13d61a21c3e6eac4c301f89b2283f133a9bf14ab082c396043"),
            (f64::NAN, "685b0c5de9f7a699cab5f0f3f3dc06f20592650be3b90f8ca1756bc4b427d5d6"),
        ] {
            assert_eq!(scaled(scale), id, "{scale}");
        }
        assert_eq!(
            upper("echo -n Hello > out.txt && echo ' World' >> out.txt"),
            "eb7ea768df011682a88945ccc291d47dfa87223a589a5bf47702307163942ca0"
        );
    }
}
