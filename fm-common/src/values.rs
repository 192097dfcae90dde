//! The closed vocabularies of an alarm: state, severity, type and probable cause.
//!
//! Invariants:
//! - Each value has one text, the one that the REST API, the Python constants and the controller's
//!   database use; `from` and `as_str` are inverse for every text, known or not.
//! - A text that is not in the vocabulary is kept as it is: another writer may have stored it in the
//!   controller, and a reader must get it back.
//!
//! Whether a value may be *set* is decided by [`Alarm::validate`](crate::Alarm::validate), not here.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text outside the vocabulary, as another writer stored it. Made only by `From<&str>`, so that a
/// known text is never held as an unlisted one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unlisted(Box<str>);

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each value is documented by its text")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// Any other text, kept as it is.
            Other(Unlisted),
        }

        impl $name {
            /// Every value of the vocabulary, in the order of its numbers.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant,)+];

            /// The text of this value.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(Unlisted(text)) => text,
                }
            }

            /// Whether the value belongs to the vocabulary.
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(Unlisted(other.into())),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a text")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        Ok($name::from(text))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

vocabulary! {
    /// What a request means (`set`, `clear`, or one of the two words for a log).
    AlarmState {
        Clear = "clear",
        Set = "set",
        /// A log: recorded in the event log, never an alarm.
        Msg = "msg",
        /// A log, under the word the event log itself uses.
        Log = "log",
    }
}

vocabulary! {
    /// How bad the fault is, after ITU-T X.733.
    Severity {
        /// X.733 'cleared': an alarm set with it is a clear of that alarm.
        Clear = "clear",
        Warning = "warning",
        Minor = "minor",
        Major = "major",
        Critical = "critical",
        /// The C interface's text for its severity 0; means the same as [`Severity::Clear`].
        NotApplicable = "not-applicable",
        /// The controller accepts it; the libraries never offered it to callers.
        Unranked = "none",
    }
}

impl Severity {
    /// Whether an alarm set with this severity is a clear of that alarm.
    pub fn is_clear(&self) -> bool {
        matches!(self, Self::Clear | Self::NotApplicable)
    }
}

vocabulary! {
    /// The kind of fault, after ITU-T X.733.
    AlarmType {
        Unknown = "other",
        Communication = "communication",
        QualityOfService = "qos",
        ProcessingError = "processing-error",
        Equipment = "equipment",
        Environmental = "environmental",
        Integrity = "integrity-violation",
        Operational = "operational-violation",
        Physical = "physical-violation",
        Security = "security-service-or-mechanism-violation",
        TimeDomain = "time-domain-violation",
        DeploymentInProgress = "deployment in progress",
    }
}

vocabulary! {
    /// Why the fault came about, after ITU-T X.733 and X.736; listed by the number that the C
    /// interface gives each.
    ProbableCause {
        NotApplicable = "not-applicable",
        AdaptorError = "adaptor-error",
        ApplicationSubsystemFailure = "application-subsystem-failure",
        BandwidthReduced = "bandwidth-reduced",
        CallEstablishmentError = "call-establishment-error",
        CommunicationProtocolError = "communication-protocol-error",
        CommunicationSubsystemFailure = "communication-subsystem-failure",
        ConfigurationOrCustomizationError = "configuration-or-customization-error",
        Congestion = "congestion",
        CorruptData = "corrupt-data",
        CpuCyclesLimitExceeded = "cpu-cycles-limit-exceeded",
        DatasetOrModemError = "dataset-or-modem-error",
        DegradedSignal = "degraded-signal",
        DteDceInterfaceError = "dte-dce-interface-error",
        EnclosureDoorOpen = "enclosure-door-open",
        EquipmentMalfunction = "equipment-malfunction",
        ExcessiveVibration = "excessive-vibration",
        FileError = "file-error",
        FireDetected = "fire-detected",
        FloodDetected = "flood-detected",
        FramingError = "framing-error",
        HeatingVentilationCoolingSystemProblem = "heating-ventilation-cooling-system-problem",
        HumidityUnacceptable = "humidity-unacceptable",
        IoDeviceError = "io-device-error",
        InputDeviceError = "input-device-error",
        LanError = "lan-error",
        LeakDetected = "leak-detected",
        LocalNodeTransmissionError = "local-node-transmission-error",
        LossOfFrame = "loss-of-frame",
        LossOfSignal = "loss-of-signal",
        MaterialSupplyExhausted = "material-supply-exhausted",
        MultiplexerProblem = "multiplexer-problem",
        OutOfMemory = "out-of-memory",
        OutputDeviceError = "output-device-error",
        PerformanceDegraded = "performance-degraded",
        PowerProblem = "power-problem",
        ProcessorProblem = "processor-problem",
        PumpFailure = "pump-failure",
        QueueSizeExceeded = "queue-size-exceeded",
        ReceiveFailure = "receive-failure",
        ReceiverFailure = "receiver-failure",
        RemoteNodeTransmissionError = "remote-node-transmission-error",
        ResourceAtOrNearingCapacity = "resource-at-or-nearing-capacity",
        ResponseTimeExcessive = "response-time-excessive",
        RetransmissionRateExcessive = "retransmission-rate-excessive",
        SoftwareError = "software-error",
        SoftwareProgramAbnormallyTerminated = "software-program-abnormally-terminated",
        SoftwareProgramError = "software-program-error",
        StorageCapacityProblem = "storage-capacity-problem",
        TemperatureUnacceptable = "temperature-unacceptable",
        ThresholdCrossed = "threshold-crossed",
        TimingProblem = "timing-problem",
        ToxicLeakDetected = "toxic-leak-detected",
        TransmitFailure = "transmit-failure",
        TransmitterFailure = "transmitter-failure",
        UnderlyingResourceUnavailable = "underlying-resource-unavailable",
        VersionMismatch = "version-mismatch",
        DuplicateInformation = "duplicate-information",
        InformationMissing = "information-missing",
        InformationModificationDetected = "information-modification-detected",
        InformationOutOfSequence = "information-out-of-sequence",
        UnexpectedInformation = "unexpected-information",
        DenialOfService = "denial-of-service",
        OutOfService = "out-of-service",
        ProceduralError = "procedural-error",
        UnspecifiedReason = "unspecified-reason",
        CableTamper = "cable-tamper",
        IntrusionDetection = "intrusion-detection",
        AuthenticationFailure = "authentication-failure",
        BreachOfConfidentiality = "breach-of-confidentiality",
        NonRepudiationFailure = "non-repudiation-failure",
        UnauthorizedAccessAttempt = "unauthorized-access-attempt",
        DelayedInformation = "delayed-information",
        KeyExpired = "key-expired",
        OutOfHoursActivity = "out-of-hours-activity",
        ConfigurationOutOfDate = "configuration-out-of-date",
        ConfigurationProvisioningRequired = "configuration-provisioning-required",
        CertificateExpiration = "certificate-expiration",
        Unknown = "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads one of the committed tables of the existing interfaces.
    fn table(text: &str) -> impl Iterator<Item = Vec<String>> + '_ {
        text.lines().skip(1).map(|line| line.splitn(4, ',').map(str::to_owned).collect())
    }

    fn known(enumeration: &str, text: &str) -> bool {
        match enumeration {
            "EFmAlarmStateT" => AlarmState::from(text).is_known(),
            "EFmAlarmSeverityT" => Severity::from(text).is_known(),
            "EFmAlarmTypeT" => AlarmType::from(text).is_known(),
            "EFmAlarmProbableCauseT" => ProbableCause::from(text).is_known(),
            _ => true,
        }
    }

    #[test]
    fn every_text_of_the_c_interface_is_known_and_numbered_alike() {
        let mut causes = 0;
        for row in table(include_str!("../data/c_enums.csv")) {
            let (enumeration, value, text) = (&row[0], &row[2], &row[3]);
            if text.is_empty() {
                continue;
            }
            assert!(known(enumeration, text), "{row:?}");
            let number: usize = value.parse().unwrap();
            match enumeration.as_str() {
                "EFmAlarmStateT" => assert_eq!(AlarmState::KNOWN[number].as_str(), text),
                "EFmAlarmTypeT" => assert_eq!(AlarmType::KNOWN[number].as_str(), text),
                "EFmAlarmProbableCauseT" => {
                    causes += 1;
                    assert_eq!(ProbableCause::KNOWN[number].as_str(), text);
                }
                "EFmAlarmSeverityT" if number > 0 => assert_eq!(Severity::KNOWN[number].as_str(), text),
                _ => {}
            }
        }
        assert_eq!(causes, 75);
    }

    #[test]
    fn every_text_of_the_python_constants_is_known() {
        let mut seen = 0;
        for line in include_str!("../data/fm_api_constants.csv").lines().skip(1) {
            let (name, rest) = line.split_once(',').unwrap();
            let (_, value) = rest.split_once(',').unwrap();
            let json = value.trim_matches('"').replace("\"\"", "\"");
            let known: fn(&str) -> bool = match name {
                "ALARM_STATE" => |text| AlarmState::from(text).is_known(),
                "ALARM_SEVERITY" => |text| Severity::from(text).is_known(),
                "ALARM_TYPE" => |text| AlarmType::from(text).is_known(),
                "ALARM_PROBABLE_CAUSE" => |text| ProbableCause::from(text).is_known(),
                _ => continue,
            };
            let texts: Vec<String> = serde_json::from_str(&json).unwrap();
            assert!(!texts.is_empty());
            for text in texts {
                seen += 1;
                assert!(known(&text), "{name}: {text}");
            }
        }
        assert_eq!(seen, 4 + 5 + 12 + 78);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            prop_assert_eq!(AlarmState::from(text.as_str()).to_string(), text.clone());
            prop_assert_eq!(Severity::from(text.as_str()).to_string(), text.clone());
            prop_assert_eq!(AlarmType::from(text.as_str()).to_string(), text.clone());
            prop_assert_eq!(ProbableCause::from(text.as_str()).to_string(), text.clone());
        }
    }

    #[test]
    fn the_severities_that_clear() {
        let clearing: Vec<&str> =
            Severity::KNOWN.iter().filter(|s| s.is_clear()).map(Severity::as_str).collect();
        assert_eq!(clearing, ["clear", "not-applicable"]);
    }
}
