//! ROCA (CVE-2017-15361): moduli of a broken key generator, told by their remainders.
//!
//! The generator made primes of the form k*M + (65537^a mod M) with M a product of small primes, so the modulus is a
//! power of 65537 modulo each of them. A good modulus passes all these tests once in some hundred million.

/// Primes for which the powers of 65537 are a small part of all remainders.
const PRIMES: [u32; 17] = [
    11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
];

/// Whether the big-endian modulus has the fingerprint.
pub(super) fn is_vulnerable(modulus: &[u8]) -> bool {
    PRIMES
        .iter()
        .all(|prime| is_power_of_65537(remainder(modulus, *prime), *prime))
}

fn remainder(number: &[u8], prime: u32) -> u32 {
    number
        .iter()
        .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime)
}

fn is_power_of_65537(value: u32, prime: u32) -> bool {
    let generator = 65_537 % prime;
    let mut power = 1;
    for _ in 0..prime {
        if power == value {
            return true;
        }
        power = power * generator % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_83_a_power_of_65537_is_told_and_its_neighbour_is_not() {
        // 65537^2 = 2^32 + 2^17 + 1.
        assert!(is_vulnerable(&[1, 0, 2, 0, 1]));
        assert!(!is_vulnerable(&[1, 0, 2, 0, 2]));
    }
}
