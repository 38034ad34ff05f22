//! Numbers that stand for words in the Printer and Host Resources MIBs (RFC 3805, RFC 2790, IANA printer MIB).
//!
//! A number that is in no list is kept as the number: devices use them, and lists grow.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A code as it is stored: its name, or the number itself where the list has none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Number(i32),
    Name(String),
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        ///
        /// Stored as its name, or as the number where the standard names none.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`, ", $number, ".")] $variant,)*
            /// A number without a name in the standard.
            Unlisted(i32),
        }

        impl $name {
            /// The code for this number.
            #[must_use]
            pub fn from_number(number: i32) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Unlisted(other),
                }
            }

            /// The number of this code.
            #[must_use]
            pub fn number(self) -> i32 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Unlisted(number) => number,
                }
            }

            /// The standard's name in lower case with hyphens; `None` where it has none.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($text),)*
                    Self::Unlisted(_) => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => f.pad(&self.number().to_string()),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.name() {
                    Some(name) => serializer.serialize_str(name),
                    None => serializer.serialize_i32(self.number()),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match Stored::deserialize(deserializer)? {
                    Stored::Number(number) => Ok(Self::from_number(number)),
                    Stored::Name(name) => match name.as_str() {
                        $($text => Ok(Self::$variant),)*
                        other => Err(serde::de::Error::custom(format!(
                            "`{other}` is no name of a {}", stringify!($name)
                        ))),
                    },
                }
            }
        }
    };
}

codes! {
    /// What a supply is (`PrtMarkerSuppliesTypeTC`).
    SupplyType {
        Other = 1 "other",
        Unknown = 2 "unknown",
        Toner = 3 "toner",
        WasteToner = 4 "waste-toner",
        Ink = 5 "ink",
        InkCartridge = 6 "ink-cartridge",
        InkRibbon = 7 "ink-ribbon",
        WasteInk = 8 "waste-ink",
        Opc = 9 "opc",
        Developer = 10 "developer",
        FuserOil = 11 "fuser-oil",
        SolidInk = 12 "solid-ink",
        RibbonWax = 13 "ribbon-wax",
        WasteWax = 14 "waste-wax",
        Fuser = 15 "fuser",
        CoronaWire = 16 "corona-wire",
        FuserOilWick = 17 "fuser-oil-wick",
        CleanerUnit = 18 "cleaner-unit",
        FuserCleaningPad = 19 "fuser-cleaning-pad",
        TransferUnit = 20 "transfer-unit",
        TonerCartridge = 21 "toner-cartridge",
        FuserOiler = 22 "fuser-oiler",
        Water = 23 "water",
        WasteWater = 24 "waste-water",
        GlueWaterAdditive = 25 "glue-water-additive",
        WastePaper = 26 "waste-paper",
        BindingSupply = 27 "binding-supply",
        BandingSupply = 28 "banding-supply",
        StitchingWire = 29 "stitching-wire",
        ShrinkWrap = 30 "shrink-wrap",
        PaperWrap = 31 "paper-wrap",
        Staples = 32 "staples",
        Inserts = 33 "inserts",
        Covers = 34 "covers",
    }
}

codes! {
    /// Whether a supply is used up or fills up (`PrtMarkerSuppliesClassTC`).
    ///
    /// What the level of a filled one counts, room or contents, differs by maker and is not assumed here.
    SupplyClass {
        Other = 1 "other",
        SupplyThatIsConsumed = 3 "supply-that-is-consumed",
        ReceptacleThatIsFilled = 4 "receptacle-that-is-filled",
    }
}

codes! {
    /// A unit of capacity, level or count: `PrtMarkerCounterUnitTC`, `PrtMarkerSuppliesSupplyUnitTC` and `PrtCapacityUnitTC`, which number alike.
    Unit {
        Other = 1 "other",
        Unknown = 2 "unknown",
        TenThousandthsOfInches = 3 "ten-thousandths-of-inches",
        Micrometers = 4 "micrometers",
        Characters = 5 "characters",
        Lines = 6 "lines",
        Impressions = 7 "impressions",
        Sheets = 8 "sheets",
        DotRow = 9 "dot-row",
        Hours = 11 "hours",
        ThousandthsOfOunces = 12 "thousandths-of-ounces",
        TenthsOfGrams = 13 "tenths-of-grams",
        HundrethsOfFluidOunces = 14 "hundreths-of-fluid-ounces",
        TenthsOfMilliliters = 15 "tenths-of-milliliters",
        Feet = 16 "feet",
        Meters = 17 "meters",
        Items = 18 "items",
        Percent = 19 "percent",
    }
}

codes! {
    /// How a tray feeds (`PrtInputTypeTC`).
    InputType {
        Other = 1 "other",
        Unknown = 2 "unknown",
        SheetFeedAutoRemovableTray = 3 "sheet-feed-auto-removable-tray",
        SheetFeedAutoNonRemovableTray = 4 "sheet-feed-auto-non-removable-tray",
        SheetFeedManual = 5 "sheet-feed-manual",
        ContinuousRoll = 6 "continuous-roll",
        ContinuousFanFold = 7 "continuous-fan-fold",
    }
}

codes! {
    /// Whether a cover is open (`PrtCoverStatusTC`).
    CoverState {
        Other = 1 "other",
        Unknown = 2 "unknown",
        CoverOpen = 3 "cover-open",
        CoverClosed = 4 "cover-closed",
        InterlockOpen = 5 "interlock-open",
        InterlockClosed = 6 "interlock-closed",
    }
}

codes! {
    /// How grave an alert is (`PrtAlertSeverityLevelTC`).
    AlertSeverity {
        Other = 1 "other",
        Critical = 3 "critical",
        Warning = 4 "warning",
        WarningBinaryChangeEvent = 5 "warning-binary-change-event",
    }
}

codes! {
    /// Who can clear an alert (`PrtAlertTrainingLevelTC`).
    AlertTraining {
        Other = 1 "other",
        Unknown = 2 "unknown",
        Untrained = 3 "untrained",
        Trained = 4 "trained",
        FieldService = 5 "field-service",
        Management = 6 "management",
        NoInterventionRequired = 7 "no-intervention-required",
    }
}

codes! {
    /// Which part of the device an alert is about (`PrtAlertGroupTC`).
    AlertGroup {
        Other = 1 "other",
        HostResourcesMibStorageTable = 3 "host-resources-mib-storage-table",
        HostResourcesMibDeviceTable = 4 "host-resources-mib-device-table",
        GeneralPrinter = 5 "general-printer",
        Cover = 6 "cover",
        Localization = 7 "localization",
        Input = 8 "input",
        Output = 9 "output",
        Marker = 10 "marker",
        MarkerSupplies = 11 "marker-supplies",
        MarkerColorant = 12 "marker-colorant",
        MediaPath = 13 "media-path",
        Channel = 14 "channel",
        Interpreter = 15 "interpreter",
        ConsoleDisplayBuffer = 16 "console-display-buffer",
        ConsoleLights = 17 "console-lights",
        Alert = 18 "alert",
        FinDevice = 30 "fin-device",
        FinSupply = 31 "fin-supply",
        FinSupplyMediaInput = 32 "fin-supply-media-input",
        FinAttributeTable = 33 "fin-attribute-table",
    }
}

codes! {
    /// `hrDeviceStatus` (RFC 2790).
    DeviceState {
        Unknown = 1 "unknown",
        Running = 2 "running",
        Warning = 3 "warning",
        Testing = 4 "testing",
        Down = 5 "down",
    }
}

codes! {
    /// `hrPrinterStatus` (RFC 2790).
    PrinterState {
        Other = 1 "other",
        Unknown = 2 "unknown",
        Idle = 3 "idle",
        Printing = 4 "printing",
        Warmup = 5 "warmup",
    }
}
