//! What is read from files must be what is read from memory.

use super::*;

fn pieces(octets: &[u8]) -> impl std::io::Read + '_ {
    // A reader that gives little at a time, as a file may.
    struct Slow<'a>(&'a [u8]);
    impl std::io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let part = buffer.len().min(self.0.len()).min(777);
            let (now, later) = self.0.split_at(part);
            buffer[..part].copy_from_slice(now);
            self.0 = later;
            Ok(part)
        }
    }
    Slow(octets)
}

fn unwrapped(enclosure: &[u8], octets: usize, limits: &Limits) -> Result<Vec<u8>, EnclosureError> {
    let mut package = Vec::new();
    match unwrap_from(pieces(enclosure), octets as u64, &content_key(), limits, &mut package) {
        Ok(()) => Ok(package),
        Err(UnwrapError::Enclosure(error)) => Err(error),
        Err(UnwrapError::Io(error)) => panic!("{error}"),
    }
}

#[test]
fn an_enclosure_is_decrypted_in_chunks_to_the_same_package() {
    let chunk = 64 << 10;
    for octets in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 5] {
        let package = vec![5; octets];
        let enclosure = enclose(&package, &content_key());
        assert_eq!(unwrapped(&enclosure, enclosure.len(), &Limits::default()).unwrap(), package);
    }
}

#[test]
fn an_enclosure_that_is_cut_changed_or_too_large_is_refused_as_in_memory() {
    let enclosure = enclose(&vec![5; 200_000], &content_key());
    let small = Limits { package_octets: 1_000, ..Limits::default() };
    for (octets, limits) in [(enclosure.as_slice(), &small), (&enclosure[1..], &Limits::default())] {
        let whole = unwrap(octets, &content_key(), limits).unwrap_err();
        assert_eq!(unwrapped(octets, octets.len(), limits).unwrap_err(), whole);
    }
    for cut in [0, 3, 4, 20, 65_556, 131_108, enclosure.len() - 1] {
        let whole = unwrap(&enclosure[..cut], &content_key(), &Limits::default()).unwrap_err();
        assert_eq!(unwrapped(&enclosure, cut, &Limits::default()).unwrap_err(), whole, "cut at {cut}");
    }
    let mut changed = enclosure.clone();
    changed[100_000] ^= 1;
    assert_eq!(unwrapped(&changed, changed.len(), &Limits::default()), Err(EnclosureError::Forged));
}

#[test]
fn a_package_file_tells_the_same_about_itself_as_in_memory() {
    let package = signed(&draft());
    let whole = inspect(&package, &Limits::default()).unwrap();
    let read = inspect_from(pieces(&package), package.len() as u64, &Limits::default()).unwrap();
    assert_eq!((read.id, &read.manifest, &read.signers), (whole.id, &whole.manifest, &whole.signers));
}

proptest! {
    #[test]
    fn a_damaged_package_file_is_refused_for_the_same_reason(
        at in 0usize..2_000, with in any::<u8>(), cut in 0usize..2_000, more in 0usize..3,
    ) {
        let mut package = signed(&draft());
        let place = at % package.len();
        package[place] ^= with;
        package.truncate(package.len().saturating_sub(cut % 40));
        package.extend(vec![0; more]);
        let whole = inspect(&package, &Limits::default()).map(|found| found.id).map_err(|error| error.to_string());
        let read = inspect_from(pieces(&package), package.len() as u64, &Limits::default());
        prop_assert_eq!(read.map(|found| found.id).map_err(|error| error.to_string()), whole);
    }
}
