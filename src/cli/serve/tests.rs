use clap::Parser;

use super::args::ServeArgs;
use crate::settings::{
    AccessSettings, CreditSettings, DatabaseSettings, RetentionSettings, Settings, SpendSettings, TransportSettings,
    WatchSettings, WebhookSettings,
};

#[derive(Parser)]
struct Only {
    #[command(flatten)]
    args: ServeArgs,
}

#[test]
fn the_defaults_of_the_flags_are_those_of_the_settings() {
    let (listen, metrics_listen, settings) = Only::parse_from(["serve"]).args.settings();
    assert_eq!((listen.as_str(), metrics_listen), ("127.0.0.1:50051", None));
    assert_eq!(
        settings,
        Settings {
            database: DatabaseSettings::default(),
            ready_file: None,
            transport: TransportSettings::default(),
            watch: WatchSettings::default(),
            retention: RetentionSettings::default(),
            spend: SpendSettings::default(),
            credit: CreditSettings::default(),
            access: AccessSettings::default(),
            webhooks: WebhookSettings::default(),
        }
    );
}

#[test]
fn what_watchers_rely_on_cannot_be_turned_off() {
    for flags in [
        ["--compact-after", "23h"],
        ["--audit-retention", "23h"],
        ["--heartbeat-interval", "0s"],
        ["--max-streams", "0"],
        ["--shutdown-grace", "10"],
    ] {
        assert!(Only::try_parse_from(["serve"].into_iter().chain(flags)).is_err(), "{flags:?}");
    }
}
