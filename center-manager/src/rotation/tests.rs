use super::*;
use mailfmt::Nonce;
use mailfmt::exchange::{EphemeralPublic, EphemeralSecret, Halves};
use mailfmt::rotation::next;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What travels; each mail is sealed under the credential that its sender holds when it is sent.
#[derive(Debug, Clone)]
enum Mail {
    Request { nonce: u8, center_key: EphemeralPublic },
    Answer { nonce: u8, appliance_key: EphemeralPublic },
    Word,
}

/// An appliance as the design wants it: the next credential is stored before it is answered, and becomes the present one
/// with the first mail under it.
struct Appliance {
    present: Credential,
    next: Option<(u8, EphemeralPublic, Credential)>,
}

struct Center {
    known: Credentials,
    asked: Option<(u8, EphemeralSecret)>,
}

fn half(fill: u8) -> EphemeralSecret {
    EphemeralSecret::generate(&mut |buffer: &mut [u8]| buffer.fill(fill))
}

fn nonce(number: u8) -> Nonce {
    Nonce::from_bytes([number; 16])
}

impl Appliance {
    fn hear(&mut self, key: &Credential, mail: &Mail) -> Option<Mail> {
        match &self.next {
            Some((_, _, next)) if next == key => self.present = self.next.take()?.2,
            _ if self.present == *key => {}
            _ => return None,
        }
        let Mail::Request { nonce: number, center_key } = mail else { return None };
        match &self.next {
            Some((known, appliance_key, _)) if known == number => {
                return Some(Mail::Answer { nonce: *number, appliance_key: *appliance_key });
            }
            Some((known, ..)) if known > number => return None,
            _ => {}
        }
        let ours = half(number.wrapping_mul(2));
        let halves = Halves { appliance: ours.public(), center: *center_key };
        let credential = next(&nonce(*number), &self.present, &ours, center_key, halves).ok()?;
        self.next = Some((*number, ours.public(), credential));
        Some(Mail::Answer { nonce: *number, appliance_key: ours.public() })
    }
}

impl Center {
    /// Whether the mail was authentic.
    fn hear(&mut self, key: &Credential, mail: &Mail) -> bool {
        let present = self.known.present == *key;
        if !present && self.known.before.as_ref() != Some(key) {
            return false;
        }
        if present {
            self.known = self.known.clone().heard();
        }
        if let (Mail::Answer { nonce: number, appliance_key }, true) = (mail, present)
            && let Some((_, ours)) = self.asked.take_if(|(asked, _)| asked == number)
        {
            let halves = Halves { appliance: *appliance_key, center: ours.public() };
            if let Ok(next) = next(&nonce(*number), &self.known.present, &ours, appliance_key, halves) {
                self.known = self.known.clone().answered(next);
            }
        }
        true
    }
}

proptest! {
    /// Mails are lost, doubled and overtaken, rotations begun at any moment. What one side sends now the other side takes,
    /// in every state between two events.
    #[test]
    fn both_sides_always_have_a_common_key(events in proptest::collection::vec((0u8..6, any::<u8>()), 0..120)) {
        let first = Credential::from_bytes([1; 32]);
        let mut center = Center { known: Credentials { present: first.clone(), before: None }, asked: None };
        let mut appliance = Appliance { present: first, next: None };
        let (mut down, mut up) = (BTreeMap::new(), BTreeMap::new());
        let (mut sent, mut rotations) = (0u32, 0u8);
        for (event, choice) in events {
            sent += 1;
            let choose = |waiting: &BTreeMap<u32, (Credential, Mail)>| {
                waiting.keys().nth(usize::from(choice) % waiting.len().max(1)).copied()
            };
            match event {
                0 if rotations < 100 => {
                    rotations += 1;
                    let ours = half(rotations.wrapping_mul(2).wrapping_add(1));
                    let request = Mail::Request { nonce: rotations, center_key: ours.public() };
                    down.insert(sent, (center.known.present.clone(), request));
                    center.asked = Some((rotations, ours));
                }
                1 => { down.insert(sent, (center.known.present.clone(), Mail::Word)); }
                2 => { up.insert(sent, (appliance.present.clone(), Mail::Word)); }
                3 => if let Some(nth) = choose(&down) {
                    let (key, mail) = if choice > 200 { down[&nth].clone() } else { down.remove(&nth).unwrap() };
                    if let Some(answer) = appliance.hear(&key, &mail) {
                        up.insert(sent, (appliance.present.clone(), answer));
                    }
                },
                4 => if let Some(nth) = choose(&up) {
                    let (key, mail) = if choice > 200 { up[&nth].clone() } else { up.remove(&nth).unwrap() };
                    center.hear(&key, &mail);
                },
                _ => {
                    let lost = if choice > 127 { &mut down } else { &mut up };
                    choose(lost).map(|nth| lost.remove(&nth));
                }
            }
            let heard = |key: &Credential| appliance.present == *key
                || appliance.next.as_ref().is_some_and(|(_, _, next)| next == key);
            prop_assert!(heard(&center.known.present), "the appliance cannot read the center");
            let taken = |key: &Credential| center.known.present == *key || center.known.before.as_ref() == Some(key);
            prop_assert!(taken(&appliance.present), "the center cannot read the appliance");
        }
    }
}
