use super::{firmware_in_sys_descr, is_serial, model_of_device_descr, serial_in_sys_descr};
use crate::device::{DeviceIdentity, Oid, Value, Walk, interpret};
use crate::profile::Profiles;

/// The identity of a device that tells nothing but this description.
fn described(descr: &str) -> DeviceIdentity {
    let object = ("1.3.6.1.2.1.1.1.0".parse().unwrap(), Value::Octets(descr.as_bytes().to_vec()));
    interpret(&[object].into_iter().collect(), &Profiles::built_in()).identity
}

fn mac(walk: &Walk) -> Option<String> {
    interpret(walk, &Profiles::built_in()).identity.mac
}

#[test]
fn the_brand_on_the_machine_is_the_vendor() {
    for (descr, vendor) in [
        ("SAVIN MP C4503 1.18 / SAVIN Network Printer C model", Some("Savin")),
        ("HP ETHERNET MULTI-ENVIRONMENT,ROM J.sp.00,JETDIRECT EX", Some("HP")),
        ("TOSHIBA e-STUDIO305CS version NH63.GM.N639 kernel 3.0.0 All-N-1", Some("Toshiba")),
        ("KONICA MINOLTA bizhub C3110", Some("Konica Minolta")),
        ("FUJI XEROX ApeosPort-II C4300 ;ESS 1.121.8", Some("Fuji Xerox")),
        ("TTP244CE Version: 7.02 EZD", Some("TSC")),
        ("hp", Some("HP")),
        ("HPE switch", None),
        ("Linux fileserver 6.12.0", None),
        ("", None),
    ] {
        assert_eq!(described(descr).vendor.as_deref(), vendor, "{descr}");
    }
}

#[test]
fn the_model_is_found_in_system_descriptions_of_the_common_makers() {
    for (descr, model) in [
        (
            "RICOH MP C2503 1.35 / RICOH Network Printer C model / RICOH Network Scanner C model",
            Some("MP C2503"),
        ),
        ("Lexmark T640 version NS.NP.N219 kernel 2.6.6 All-N-1", Some("T640")),
        ("Xerox AltaLink C8045; SS 100.002.057.09608, NC 100.002.09608", Some("AltaLink C8045")),
        (
            "HP ETHERNET MULTI-ENVIRONMENT,SN:TEST000000,PID:HP Color LaserJet Test",
            Some("Color LaserJet Test"),
        ),
        (
            "OKI OkiLAN 8500e Rev.01.23 10/100BASE Ethernet PrintServer: Attached to MC342 Rev.02.70 : Copyright",
            Some("MC342"),
        ),
        ("Canon D1180/MF6680 /P", Some("D1180/MF6680")),
        ("SHARP MX-3570N", Some("MX-3570N")),
        ("Canon Inc., LBP-3260 Printer /P", Some("LBP-3260")),
        ("Oce, VarioPrint 2045 R3.2, Controller R8.2.15", Some("VarioPrint 2045")),
        ("Samsung ML-2850 Series OS 1.01.15.47 02-10-2010;Engine 1.01.25", Some("ML-2850 Series")),
        ("NRG SP C312DN V1.03 / NRG Network Printer C model", Some("SP C312DN")),
        ("TTP244CE Version: 7.02 EZD", Some("TTP244CE")),
        ("Canon", None),
        ("KYOCERA Document Solutions Printing System", None),
        ("EPSON Built-in 11b/g/n & 10/100 Print Server", None),
        ("Brother NC-8700w, Firmware Ver.Y  ,MID 84E-822", None),
        ("Linux fileserver 6.12.0", None),
    ] {
        assert_eq!(described(descr).model.as_deref(), model, "{descr}");
    }
}

#[test]
fn serial_number_and_firmware_behind_the_model_are_cut_off() {
    let descr = "Dell S5830dn 7XQ1R92 LW62.DN4.P636";
    assert_eq!(model_of_device_descr(descr, Some("7XQ1R92-132-13")).as_deref(), Some("Dell S5830dn"));
    assert_eq!(model_of_device_descr("Generic 28C-1", None), None);
    assert_eq!(model_of_device_descr("Samsung M408x Series", None).as_deref(), Some("Samsung M408x Series"));
}

#[test]
fn firmware_and_serial_number_are_found_where_the_description_names_them() {
    assert_eq!(
        firmware_in_sys_descr("Brother NC-8300h, Firmware Ver.1.14  (14.11.06)").as_deref(),
        Some("1.14")
    );
    assert_eq!(
        firmware_in_sys_descr("Dell S5830dn version NH62.YS.N636 kernel 3.0.0").as_deref(),
        Some("NH62.YS.N636")
    );
    assert_eq!(
        firmware_in_sys_descr("RICOH MP C2503 1.35 / RICOH Network Printer C model").as_deref(),
        Some("1.35")
    );
    assert_eq!(firmware_in_sys_descr("SHARP MX-3570N"), None);
    assert_eq!(
        serial_in_sys_descr("HP ETHERNET MULTI-ENVIRONMENT,SN:AAA0A00000,FN:1G11F33").as_deref(),
        Some("AAA0A00000")
    );
    assert_eq!(serial_in_sys_descr("Samsung M4080FX; V11;NIC ;S/N "), None);
}

#[test]
fn the_address_does_not_change_with_the_interface_in_use() {
    let address = |index: u32, octets: [u8; 6]| {
        (Oid::new(&[1, 3, 6, 1, 2, 1, 2, 2, 1, 6, index]), Value::Octets(octets.to_vec()))
    };
    let loopback = address(1, [0; 6]);
    let bridge = address(2, [0x02, 0x42, 1, 2, 3, 4]);
    let wired = address(3, [0x00, 0x17, 0xc8, 0x65, 0xe2, 0xb9]);
    let walk: Walk = [loopback.clone(), bridge.clone(), wired].into_iter().collect();
    assert_eq!(mac(&walk).as_deref(), Some("00:17:c8:65:e2:b9"));
    assert_eq!(mac(&[loopback.clone(), bridge].into_iter().collect()).as_deref(), Some("02:42:01:02:03:04"));
    let lan = |octets: [u32; 4]| Oid::new(&[&[1, 3, 6, 1, 2, 1, 4, 20, 1, 2], octets.as_slice()].concat());
    let wireless = address(1, [0xf8, 0xda, 0x0c, 0x2d, 0xe3, 0xaa]);
    let used = address(2, [0x3c, 0x2a, 0xf4, 0x10, 0xd2, 0x78]);
    let with_address = (lan([192, 168, 0, 104]), Value::Integer(2));
    let own = (lan([127, 0, 0, 1]), Value::Integer(1));
    let walk = [wireless.clone(), used.clone(), with_address, own.clone()].into_iter().collect();
    assert_eq!(mac(&walk).as_deref(), Some("3c:2a:f4:10:d2:78"), "the interface on the LAN");
    assert_eq!(mac(&[wireless, used, own].into_iter().collect()).as_deref(), Some("f8:da:0c:2d:e3:aa"));
    assert_eq!(mac(&[loopback].into_iter().collect()), None);
}

#[test]
fn one_repeated_character_is_no_serial_number() {
    for serial in ["VNB3A12345", "1-2", "7"] {
        assert!(is_serial(serial), "{serial}");
    }
    for serial in ["", "0", "0000000", "XXXXXXXXXXXX", "----"] {
        assert!(!is_serial(serial), "{serial}");
    }
}
