use super::*;
use proptest::prelude::*;

#[test]
fn a_picture_is_drawn_over_the_one_before_with_plain_sequences() {
    let lines = ["one".to_owned(), "two".to_owned()];
    assert_eq!(frame(0, &lines), "one\u{1b}[K\r\ntwo\u{1b}[K\r\n\u{1b}[J");
    assert_eq!(frame(5, &lines[..1]), "\r\u{1b}[5Aone\u{1b}[K\r\n\u{1b}[J");
}

#[test]
fn the_waves_around_the_newest_are_shown_where_there_is_no_room_for_all() {
    let row = |wave| WaveRow { wave, released: wave <= 50, ..WaveRow::default() };
    let waves: Vec<_> = (1..=100).map(row).collect();
    let shown = |room| window(&waves, room).iter().map(|wave| wave.wave).collect::<Vec<_>>();
    assert_eq!(shown(6), [48, 49, 50, 51, 52]);
    assert_eq!(shown(1), [50]);
    assert_eq!(shown(100).len(), 100);
}

proptest! {
    #[test]
    fn a_bar_is_as_long_as_it_should_be_and_hides_no_part(parts: [u32; 5], width in 10usize..200) {
        prop_assume!(parts.iter().any(|part| *part > 0));
        let cells = cells(parts, width);
        prop_assert_eq!(cells.iter().sum::<usize>(), width);
        for (part, cells) in parts.iter().zip(cells) {
            prop_assert_eq!(*part > 0, cells > 0);
        }
    }
}
