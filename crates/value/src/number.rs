//! Numbers in JSON text.
//!
//! All numbers are doubles and print in round-trip form, always as doubles, as in the reference, since this text is
//! part of action definitions and cache keys: fixed notation while the decimal point falls within `-4 < n <= 15`
//! digits, else exponents of at least two digits.

/// Appends the JSON text of a number; `null` for what JSON cannot express.
pub fn format_number(number: f64, out: &mut String) {
    if !number.is_finite() {
        out.push_str("null");
        return;
    }
    // Before the test for zero: the text of -0.0, and so its id, differs from that of 0.0.
    if number.is_sign_negative() {
        out.push('-');
    }
    if number == 0.0 {
        out.push_str("0.0");
        return;
    }
    let (digits, exponent) = crate::grisu::digits(number.abs());
    // Where the decimal point lies, counted from the first digit.
    let point = digits.len() as i32 + exponent;
    let len = digits.len() as i32;
    // 15 decimal digits are exact in a double; the bounds are those of the reference's library (nlohmann/json).
    if (1..=15).contains(&point) {
        let split = point.min(len) as usize;
        out.push_str(&digits[..split]);
        out.extend(std::iter::repeat_n('0', (point - len).max(0) as usize));
        out.push('.');
        out.push_str(if split < digits.len() { &digits[split..] } else { "0" });
    } else if point > -4 && point <= 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', -point as usize));
        out.push_str(&digits);
    } else {
        out.push_str(&digits[..1]);
        if len > 1 {
            out.push('.');
            out.push_str(&digits[1..]);
        }
        let exponent = point - 1;
        out.push('e');
        out.push(if exponent < 0 { '-' } else { '+' });
        out.push_str(&format!("{:02}", exponent.abs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_the_reference() {
        let cases = [
            (1.0, "1.0"),
            (100000000000000.0, "100000000000000.0"),
            (1e15, "1e+15"),
            (123456789012345.0, "123456789012345.0"),
            (1234567890123456.0, "1.234567890123456e+15"),
            (0.0001, "0.0001"),
            (1e-5, "1e-05"),
            (-0.0, "-0.0"),
            (9007199254740993.0, "9.007199254740992e+15"),
            (2.5, "2.5"),
            (-12.75, "-12.75"),
            (1e300, "1e+300"),
            (0.1, "0.1"),
            (f64::INFINITY, "null"),
        ];
        for (number, text) in cases {
            let mut out = String::new();
            format_number(number, &mut out);
            assert_eq!(out, text);
        }
    }
}
