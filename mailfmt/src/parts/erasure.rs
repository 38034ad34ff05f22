//! The Reed-Solomon code of the parity parts: GF(256) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 and a Cauchy matrix.
//!
//! Parity part `row` of a group is the sum over the group's parts, each multiplied by `1 / (row + (128 + place))`, where
//! `place` counts the parts of the group from 0 and `+` is the sum of the field (exclusive or). Every square piece of
//! such a matrix can be inverted, so any `extra` lost parts of a group can be restored.
//!
//! Source: Blömer and others, An XOR-Based Erasure-Resilient Coding Scheme (1995), section 4: Cauchy matrices.

use super::Shape;
use std::collections::BTreeMap;

/// Most parts of one group; the places 128 to 247 of the field stand for them.
pub(super) const GROUP_MAX: u8 = 120;
/// Most parity parts of one group.
pub(super) const EXTRA_MAX: u8 = 16;

/// The field's polynomial without its highest power.
const POLYNOMIAL: u8 = 0x1d;

fn multiply(mut left: u8, mut right: u8) -> u8 {
    let mut product = 0;
    while right != 0 {
        if right & 1 != 0 {
            product ^= left;
        }
        let carry = left & 0x80 != 0;
        left <<= 1;
        if carry {
            left ^= POLYNOMIAL;
        }
        right >>= 1;
    }
    product
}

/// `value` to the power of 254: its inverse, since the field has 255 elements but zero.
fn inverse(value: u8) -> u8 {
    let (mut result, mut power) = (1, value);
    for _ in 0..7 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

/// What part `place` of a group counts in parity part `row`.
fn coefficient(row: usize, place: usize) -> u8 {
    let (row, place) = (u8::try_from(row).unwrap_or(0), u8::try_from(place).unwrap_or(0));
    inverse(row ^ place.wrapping_add(0x80))
}

/// Adds `source` times `factor` to `target`.
fn add(target: &mut [u8], source: &[u8], factor: u8) {
    let mut table = [0u8; 256];
    for (value, product) in (0..=u8::MAX).zip(&mut table) {
        *product = multiply(value, factor);
    }
    for (target, octet) in target.iter_mut().zip(source) {
        // A table of 256 has a place for every octet.
        *target ^= table.get(usize::from(*octet)).copied().unwrap_or_default();
    }
}

fn part_octets(shape: &Shape) -> usize {
    usize::try_from(shape.part_octets).unwrap_or(usize::MAX)
}

/// The parity parts of `whole` in the order of their numbers, behind each other.
pub(super) fn encode(whole: &[u8], shape: &Shape) -> Vec<u8> {
    if shape.extra == 0 {
        return Vec::new();
    }
    let octets = part_octets(shape);
    let parts: Vec<&[u8]> = whole.chunks(octets).collect();
    let groups = usize::try_from(shape.groups).unwrap_or(usize::MAX).max(1);
    let extra = usize::try_from(shape.extra).unwrap_or_default();
    let mut parity = vec![0; octets.saturating_mul(groups).saturating_mul(extra)];
    for (nth, target) in parity.chunks_mut(octets).enumerate() {
        let (row, group) = (nth.checked_div(groups).unwrap_or(0), nth.checked_rem(groups).unwrap_or(0));
        for (place, part) in parts.iter().skip(group).step_by(groups).enumerate() {
            add(target, part, coefficient(row, place));
        }
    }
    parity
}

/// The lost parts by their numbers, each with all octets of a part. All lost parts of a group must be replaceable
/// ([`Shape::missing`]), and the parts that are here must have their lengths.
pub(super) fn restore<'a>(shape: &Shape, part: &impl Fn(u32) -> Option<&'a [u8]>) -> BTreeMap<u32, Vec<u8>> {
    let mut restored = BTreeMap::new();
    let is_here = |place: &u32| part(place.saturating_add(1)).is_some();
    for group in 0..shape.groups {
        let (data, parity) = shape.group(group);
        let lost: Vec<(usize, u32)> =
            data.iter().copied().enumerate().filter(|(_, place)| !is_here(place)).collect();
        if lost.is_empty() {
            continue;
        }
        // One equation per parity part: what the lost parts together add to it.
        let mut equations = Vec::with_capacity(lost.len());
        for (row, at) in parity.iter().enumerate().filter(|(_, at)| is_here(at)).take(lost.len()) {
            let mut sum = part(at.saturating_add(1)).unwrap_or_default().to_vec();
            for (place, at) in data.iter().enumerate() {
                if let Some(octets) = part(at.saturating_add(1)) {
                    add(&mut sum, octets, coefficient(row, place));
                }
            }
            let factors: Vec<u8> = lost.iter().map(|(place, _)| coefficient(row, *place)).collect();
            equations.push((factors, sum));
        }
        let solved = solve(equations);
        restored.extend(lost.iter().zip(solved).map(|((_, at), octets)| (at.saturating_add(1), octets)));
    }
    restored
}

/// Solves linear equations by elimination; as many as there are unknowns, and with exactly one solution.
fn solve(mut equations: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<Vec<u8>> {
    let factor = |equation: &(Vec<u8>, Vec<u8>), nth: usize| equation.0.get(nth).copied().unwrap_or_default();
    for nth in 0..equations.len() {
        let Some(pivot) = (nth..equations.len())
            .find(|row| equations.get(*row).is_some_and(|equation| factor(equation, nth) != 0))
        else {
            continue;
        };
        equations.swap(nth, pivot);
        let Some(own) = equations.get_mut(nth) else { continue };
        let scale = inverse(factor(own, nth));
        for octet in own.0.iter_mut().chain(&mut own.1) {
            *octet = multiply(*octet, scale);
        }
        let own = own.clone();
        for (_, other) in equations.iter_mut().enumerate().filter(|(row, _)| *row != nth) {
            let times = factor(other, nth);
            add(&mut other.0, &own.0, times);
            add(&mut other.1, &own.1, times);
        }
    }
    equations.into_iter().map(|(_, sum)| sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_but_zero_has_an_inverse() {
        for value in 1..=u8::MAX {
            assert_eq!(multiply(value, inverse(value)), 1, "{value}");
        }
        assert_eq!(multiply(0x80, 2), POLYNOMIAL);
    }
}
