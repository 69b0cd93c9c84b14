//! The decimal digits of a double by the Grisu2 algorithm (F. Loitsch, *Printing Floating-Point Numbers Quickly and
//! Accurately with Integers*, PLDI 2010).
//!
//! The digits always read back as the same double, but where several of the same length do, they need not be the
//! nearest ones, and in rare cases they are not even the fewest. The reference prints numbers with this algorithm, and
//! their text is part of identities; so a printer with shortest output (Ryu) cannot be used.

/// `significand * 2^exponent`.
#[derive(Clone, Copy)]
struct Float {
    significand: u64,
    exponent: i32,
}

impl Float {
    /// The rounded upper half of the product.
    fn times(self, other: Float) -> Float {
        let product = u128::from(self.significand) * u128::from(other.significand);
        let significand = ((product + (1 << 63)) >> 64) as u64;
        Float { significand, exponent: self.exponent + other.exponent + 64 }
    }

    /// The same number with this exponent, which is not greater than its own.
    fn with_exponent(self, exponent: i32) -> Float {
        Float { significand: self.significand << (self.exponent - exponent), exponent }
    }

    fn normalised(self) -> Float {
        self.with_exponent(self.exponent - self.significand.leading_zeros() as i32)
    }
}

/// Powers of ten from `10^FIRST` on, every `STEP`th: the nearest 64-bit significand, and its exponent.
const POWERS: [(u64, i32); COUNT] = [
    (0xab70fe17c79ac6ca, -1060),
    (0xff77b1fcbebcdc4f, -1034),
    (0xbe5691ef416bd60c, -1007),
    (0x8dd01fad907ffc3c, -980),
    (0xd3515c2831559a83, -954),
    (0x9d71ac8fada6c9b5, -927),
    (0xea9c227723ee8bcb, -901),
    (0xaecc49914078536d, -874),
    (0x823c12795db6ce57, -847),
    (0xc21094364dfb5637, -821),
    (0x9096ea6f3848984f, -794),
    (0xd77485cb25823ac7, -768),
    (0xa086cfcd97bf97f4, -741),
    (0xef340a98172aace5, -715),
    (0xb23867fb2a35b28e, -688),
    (0x84c8d4dfd2c63f3b, -661),
    (0xc5dd44271ad3cdba, -635),
    (0x936b9fcebb25c996, -608),
    (0xdbac6c247d62a584, -582),
    (0xa3ab66580d5fdaf6, -555),
    (0xf3e2f893dec3f126, -529),
    (0xb5b5ada8aaff80b8, -502),
    (0x87625f056c7c4a8b, -475),
    (0xc9bcff6034c13053, -449),
    (0x964e858c91ba2655, -422),
    (0xdff9772470297ebd, -396),
    (0xa6dfbd9fb8e5b88f, -369),
    (0xf8a95fcf88747d94, -343),
    (0xb94470938fa89bcf, -316),
    (0x8a08f0f8bf0f156b, -289),
    (0xcdb02555653131b6, -263),
    (0x993fe2c6d07b7fac, -236),
    (0xe45c10c42a2b3b06, -210),
    (0xaa242499697392d3, -183),
    (0xfd87b5f28300ca0e, -157),
    (0xbce5086492111aeb, -130),
    (0x8cbccc096f5088cc, -103),
    (0xd1b71758e219652c, -77),
    (0x9c40000000000000, -50),
    (0xe8d4a51000000000, -24),
    (0xad78ebc5ac620000, 3),
    (0x813f3978f8940984, 30),
    (0xc097ce7bc90715b3, 56),
    (0x8f7e32ce7bea5c70, 83),
    (0xd5d238a4abe98068, 109),
    (0x9f4f2726179a2245, 136),
    (0xed63a231d4c4fb27, 162),
    (0xb0de65388cc8ada8, 189),
    (0x83c7088e1aab65db, 216),
    (0xc45d1df942711d9a, 242),
    (0x924d692ca61be758, 269),
    (0xda01ee641a708dea, 295),
    (0xa26da3999aef774a, 322),
    (0xf209787bb47d6b85, 348),
    (0xb454e4a179dd1877, 375),
    (0x865b86925b9bc5c2, 402),
    (0xc83553c5c8965d3d, 428),
    (0x952ab45cfa97a0b3, 455),
    (0xde469fbd99a05fe3, 481),
    (0xa59bc234db398c25, 508),
    (0xf6c69a72a3989f5c, 534),
    (0xb7dcbf5354e9bece, 561),
    (0x88fcf317f22241e2, 588),
    (0xcc20ce9bd35c78a5, 614),
    (0x98165af37b2153df, 641),
    (0xe2a0b5dc971f303a, 667),
    (0xa8d9d1535ce3b396, 694),
    (0xfb9b7cd9a4a7443c, 720),
    (0xbb764c4ca7a44410, 747),
    (0x8bab8eefb6409c1a, 774),
    (0xd01fef10a657842c, 800),
    (0x9b10a4e5e9913129, 827),
    (0xe7109bfba19c0c9d, 853),
    (0xac2820d9623bf429, 880),
    (0x80444b5e7aa7cf85, 907),
    (0xbf21e44003acdd2d, 933),
    (0x8e679c2f5e44ff8f, 960),
    (0xd433179d9c8cb841, 986),
    (0x9e19db92b4e31ba9, 1013),
];

const COUNT: usize = 79;
const FIRST: i32 = -300;
// Fewer powers would not hit the range of exponents that `power_for` needs, more would only take space.
const STEP: i32 = 8;

/// The power of ten by which a normalised number is multiplied to have an exponent between -60 and -32, and
/// its own decimal exponent.
fn power_for(exponent: i32) -> (Float, i32) {
    let bits = -60 - exponent - 1;
    // log10(2) in 18 bits.
    // Rounded up: the division does so for negative numbers only.
    let decimal = bits * 78913 / (1 << 18) + i32::from(bits > 0);
    // The next power in the table. Eight decimal digits are 26.6 bits, so one is always within the range of 28
    // exponents.
    let index = (decimal - FIRST + STEP - 1) / STEP;
    let (significand, exponent) = POWERS[index as usize];
    (Float { significand, exponent }, FIRST + index * STEP)
}

/// The digits of a positive finite number, without leading or trailing zeros, and the power of ten of the last one.
pub(crate) fn digits(number: f64) -> (String, i32) {
    let bits = number.to_bits();
    let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52) as i32);
    // 1075 is the bias of 1023 plus the 52 bits of the fraction: the significand is a whole number. Subnormal numbers
    // (`biased == 0`) have no implicit leading bit.
    let (significand, exponent) =
        if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) };
    let value = Float { significand, exponent }.normalised();
    // Every number between these two reads back as the given one; the lower gap of a power of two is half as wide.
    let above = Float { significand: 2 * significand + 1, exponent: exponent - 1 }.normalised();
    let below = match fraction == 0 && biased > 1 {
        true => Float { significand: 4 * significand - 1, exponent: exponent - 2 },
        false => Float { significand: 2 * significand - 1, exponent: exponent - 1 },
    };
    let below = below.with_exponent(above.exponent);
    let (power, decimal) = power_for(above.exponent);
    let (value, low, high) = (value.times(power), below.times(power), above.times(power));
    // Each product is rounded and may be wrong by one unit, so the interval is made smaller by one at both ends: all
    // numbers that are left do read back as the given one.
    let (low, high) = (low.significand + 1, high.significand - 1);
    generate(value.significand, low, high, -high_exponent(above, power), -decimal)
}

fn high_exponent(above: Float, power: Float) -> i32 {
    above.exponent + power.exponent + 64
}

/// The fewest digits of a number between `low` and `high`, from above towards `value`, all with `shift` bits
/// behind the point.
fn generate(value: u64, low: u64, high: u64, shift: i32, mut decimal: i32) -> (String, i32) {
    let (mut delta, mut distance) = (high - low, high - value);
    let one = 1_u64 << shift;
    let (mut whole, mut part) = (high >> shift, high & (one - 1));
    // No double needs more digits to be read back.
    let mut digits = Vec::with_capacity(17);
    // The whole part first: it is less than 2^32, so its digits come by division.
    let mut unit = 1_u64;
    while unit * 10 <= whole {
        unit *= 10;
        decimal += 1;
    }
    decimal += 1;
    while unit > 0 {
        digits.push(b'0' + (whole / unit) as u8);
        whole %= unit;
        decimal -= 1;
        let rest = (whole << shift) + part;
        if rest <= delta {
            approach(&mut digits, distance, delta, rest, unit << shift);
            return (text(digits), decimal);
        }
        unit /= 10;
    }
    loop {
        // This cannot overflow: `part` is less than `one`, which is at most 2^60.
        part *= 10;
        digits.push(b'0' + (part >> shift) as u8);
        part &= one - 1;
        decimal -= 1;
        delta *= 10;
        distance *= 10;
        if part <= delta {
            approach(&mut digits, distance, delta, part, one);
            return (text(digits), decimal);
        }
    }
}

/// Lowers the last digit while that leads nearer to the number.
fn approach(digits: &mut [u8], distance: u64, delta: u64, mut rest: u64, unit: u64) {
    let last = digits.last_mut().expect("there are digits");
    while rest < distance
        && delta - rest >= unit
        && (rest + unit < distance || distance - rest > rest + unit - distance)
    {
        *last -= 1;
        rest += unit;
    }
}

fn text(digits: Vec<u8>) -> String {
    String::from_utf8(digits).expect("digits are ASCII")
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn digits_read_back_as_the_same_number() {
        let mut bits = 1_u64;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits(bits & !(1 << 63));
            if number.is_finite() && number > 0.0 {
                let (text, exponent) = digits(number);
                assert_eq!(format!("{text}e{exponent}").parse(), Ok(number), "{bits:x}");
            }
        }
        for number in [f64::MIN_POSITIVE, f64::MAX, 5e-324, 1.0, 0.1, 1e23, 9007199254740993.0] {
            let (text, exponent) = digits(number);
            assert_eq!(format!("{text}e{exponent}").parse(), Ok(number));
        }
    }

    /// The reference's answer; the nearest two are equally near.
    #[test]
    fn of_equally_near_digits_the_choice_of_the_reference_is_taken() {
        assert_eq!(digits(8_000_000_000_000_026.0 / 8.0), ("10000000000000032".to_owned(), -1));
    }
}
