//! Each rate, one at a time; and numbers that are hard to add.

use super::rate::exact;
use super::*;
use crate::domain::RATE_NAMES;

fn rates(named: &[(&str, f64)]) -> Rates {
    let mut rates: Vec<(u8, f64)> =
        named.iter().map(|(name, rate)| (u8::try_from(place(name)).unwrap(), *rate)).collect();
    rates.sort_by_key(|(place, _)| *place);
    Rates(rates)
}

fn nanos(named: &[(&str, f64)], used: &Usage) -> i64 {
    cost(&rates(named), used).nanos()
}

#[test]
fn each_rate_has_a_use() {
    // Something of everything, in each tier, quality and size.
    let tiers = [Tier::Standard, Tier::Batch, Tier::Priority];
    let qualities = [
        ImageQuality::Unknown,
        ImageQuality::Low,
        ImageQuality::Medium,
        ImageQuality::High,
        ImageQuality::Auto,
        ImageQuality::Premium,
    ];
    for name in RATE_NAMES {
        let mut uses = 0;
        for tier in tiers {
            for image_quality in qualities {
                for image_side in [512, 513, 1_025, 2_049, 4_097] {
                    let used = Usage { tier, image_quality, image_side, ..everything() };
                    uses += i32::from(nanos(&[(name, 1.0)], &used) > 0);
                }
            }
        }
        assert!(uses > 0, "{name} is never used");
    }
}

fn everything() -> Usage {
    Usage {
        tier: Tier::Standard,
        input_tokens: 300_000,
        cache_read_tokens: 1_000,
        cache_read_image_tokens: 10,
        cache_creation_tokens: 2_000,
        cache_creation_audio_tokens: 20,
        input_audio_tokens: 30,
        input_image_tokens: 40,
        input_characters: 50,
        input_images: 6,
        input_audio_millis: 7_000,
        input_video_millis: 8_000,
        output_tokens: 900,
        output_audio_tokens: 90,
        output_image_tokens: 91,
        output_images: 1,
        image_quality: ImageQuality::Unknown,
        image_side: 512,
        pixels: 1_000_000,
        output_audio_millis: 1_000,
        output_video_millis: 2_000,
        searches: 3,
        code_interpreter_sessions: 4,
    }
}

#[test]
fn a_rate_is_the_decimal_that_was_written() {
    assert_eq!(exact(1.5e-7), 150_000_000_000);
    assert_eq!(exact(0.04), 40_000_000_000_000_000);
    assert_eq!(exact(3.0), 3_000_000_000_000_000_000);
    assert_eq!(exact(0.1 + 0.2), 300_000_000_000_000_040);
    assert_eq!(exact(-0.0), 0);
    // Beyond 18 digits: half to even.
    assert_eq!([0.5e-18, 1.5e-18, 2.5e-18, 2.6e-18, 0.49e-18].map(exact), [0, 2, 2, 3, 0]);
    assert_eq!(exact(f64::MIN_POSITIVE), 0);
    assert_eq!(exact(f64::MAX), u128::MAX);
}

#[test]
fn the_sum_is_rounded_once_half_to_even() {
    let half = [("input_cost_per_token", 0.5e-9), ("output_cost_per_token", 0.5e-9)];
    let used = |input_tokens, output_tokens| Usage { input_tokens, output_tokens, ..Usage::default() };
    assert_eq!(nanos(&half, &used(1, 0)), 0);
    assert_eq!(nanos(&half, &used(1, 1)), 1);
    assert_eq!(nanos(&half, &used(3, 0)), 2);
    // In doubles, 1e6 times 1e-7 and 3 times 1e-7 do not add up.
    assert_eq!(nanos(&[("input_cost_per_token", 1e-7)], &used(1_000_003, 0)), 100_000_300);
}

#[test]
fn whatever_is_asked_nothing_overflows() {
    let all: Vec<(&str, f64)> = RATE_NAMES.into_iter().map(|name| (name, f64::MAX)).collect();
    assert_eq!(nanos(&all, &everything()), i64::MAX);
    let much = Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, pixels: u64::MAX, ..Usage::default() };
    assert_eq!(nanos(&[("input_cost_per_token", 1e9), ("output_cost_per_token", 1e9)], &much), i64::MAX);
    assert_eq!(nanos(&[], &everything()), 0);
}

#[test]
fn parts_beyond_the_whole_are_not_charged() {
    let named = [("input_cost_per_token", 1.0), ("cache_read_input_token_cost", 0.1), ("output_cost_per_token", 2.0)];
    let used = Usage { input_tokens: 10, cache_read_tokens: 50, input_audio_tokens: 5, ..Usage::default() };
    assert_eq!(nanos(&named, &used), 1_000_000_000);
    let used = Usage { output_tokens: 1, output_audio_tokens: 7, output_image_tokens: 9, ..Usage::default() };
    assert_eq!(nanos(&named, &used), 2_000_000_000);
}

#[test]
fn a_long_prompt_counts_what_it_read_from_the_cache() {
    let named = [("input_cost_per_token", 1e-6), ("input_cost_per_token_above_200k_tokens", 2e-6)];
    let used = |input_tokens| Usage { input_tokens, cache_read_tokens: 150_000, ..Usage::default() };
    assert_eq!(nanos(&named, &used(200_000)), 200_000_000);
    assert_eq!(nanos(&named, &used(200_001)), 400_002_000);
}

#[test]
fn what_is_counted_in_another_unit_is_not_charged_twice() {
    let speech = [("input_cost_per_token", 1.0), ("input_cost_per_character", 1e-3)];
    assert_eq!(nanos(&speech, &Usage { input_tokens: 5, input_characters: 20, ..Usage::default() }), 20_000_000);
    let heard = [("input_cost_per_audio_token", 1.0), ("input_cost_per_second", 1e-4)];
    let used = Usage { input_tokens: 5, input_audio_tokens: 5, input_audio_millis: 1_500, ..Usage::default() };
    assert_eq!(nanos(&heard, &used), 150_000);
    let made = [("output_cost_per_image", 0.04), ("output_cost_per_image_token", 1e-5)];
    let used = Usage { output_images: 1, output_tokens: 100, output_image_tokens: 100, ..Usage::default() };
    assert_eq!(nanos(&made, &used), 1_000_000);
    assert_eq!(nanos(&made, &Usage { output_images: 2, ..Usage::default() }), 80_000_000);
}
